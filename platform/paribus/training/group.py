"""One run over several devices: a process for each; the first one leads, the others only train along.

Every process makes the same batches and takes its own share of each. Gradients and losses are summed over all. What
is looked at, kept and decided is the leader's alone: the others end when they have trained all steps or are left.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from torch import Tensor, distributed
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from paribus.planning import Job
from paribus.training.checkpoint import State

HERE = "127.0.0.1"
PATIENCE = timedelta(days=7)  # a process that is gone is noticed otherwise, and the leader may evaluate for long
LEAVING = 10.0  # seconds that the others have to end by themselves
START = (
    "import pickle, sys; paths, threads, along = pickle.load(sys.stdin.buffer)\n"
    "sys.path.extend(path for path in paths if path not in sys.path)\n"
    "from paribus.training import prepare; prepare(threads)\n"
    "from paribus.training.along import main; main(along)"
)


class Place(ClusterEnvironment):
    """Which of how many processes this one is, so that Lightning neither starts others nor looks for a batch system."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        super().__init__()
        self.rank = rank
        self.size = size

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def summed(self, value: Tensor) -> Tensor:
        """The sum of a value over all processes."""
        if self.size == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return HERE

    @property
    def main_port(self) -> int:
        return 0  # never asked for: the processes have met before Lightning begins

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.rank

    def node_rank(self) -> int:
        return 0


@dataclass(frozen=True)
class Along:
    """What a process needs to train along."""

    job: Job
    rank: int
    size: int
    port: int
    before: State | None  # the checkpoint that the leader goes on from
    folder: Path


@contextmanager
def leading(job: Job, place: Place, device: torch.device, before: State | None, folder: Path) -> Iterator[None]:
    """The other processes of a run live as long as this; on one device there are none."""
    size = place.size
    if size == 1:
        yield
        return
    store = TCPStore(HERE, 0, size, is_master=True, wait_for_workers=False)
    others = [_started(Along(job, rank, size, store.port, before, folder)) for rank in range(1, size)]
    over = threading.Event()
    watchers = [threading.Thread(target=_watch, args=(other, over), daemon=True) for other in others]
    for watcher in watchers:
        watcher.start()
    try:
        meet(store, place, device)
        try:
            yield
        except RuntimeError:
            # Most likely one of the others is gone. Then its watcher ends this process, which is tried again.
            watchers[0].join(LEAVING)
            raise
    finally:
        over.set()
        for other in others:
            _left(other)
        part(alone=True)


def _started(along: Along) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", START], stdin=subprocess.PIPE)
    assert process.stdin is not None
    # The paths are needed to load the rest.
    process.stdin.write(pickle.dumps((sys.path, along.job.machine["threads"], pickle.dumps(along))))
    process.stdin.flush()
    return process


def _watch(process: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    """End this process with another one of its group: it would wait for it forever, inside a library."""
    code = process.wait()
    if code and not over.is_set():
        sys.stderr.write(f"a process that trained along ended with code {code}\n")
        sys.stderr.flush()
        os._exit(1)


def _left(process: "subprocess.Popen[bytes]") -> None:
    """Let go of a process: it ends when nobody holds its pipe."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(LEAVING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def meet(store: TCPStore, place: Place, device: torch.device) -> None:
    """Wait until all processes are there."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=PATIENCE)


def part(*, alone: bool = False) -> None:
    """Leave the group; alone where the others may still wait for this process."""
    world = distributed.group.WORLD
    if world is None:
        return
    if alone and distributed.get_backend() == "nccl":
        torch.cuda.synchronize()
        world.abort()  # to end in good order takes all of them
    distributed.destroy_process_group()
