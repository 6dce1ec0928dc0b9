"""A worker process: stays warm, does one job after the other, and ends when its driver is gone."""

import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from paribus.errors import ParibusError
from paribus.planning import Job
from paribus.store import record as records

LOG = "log.txt"
TAIL = 4000  # letters of a log that go into a reason


def main(connection: Connection, runs: str, threads: int, paths: list[str]) -> None:
    """Do what the driver sends until it says that there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides what it means
    sys.path.extend(path for path in paths if path not in sys.path)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = Stop()
    threading.Thread(target=_listen, args=(connection, inbox, stop), daemon=True).start()
    _prepare(threads)
    connection.send({"type": "ready"})
    while (message := inbox.get()) is not None:
        work, job = message["work"], Job(**message["job"])
        stop.begin(job.id)
        folder = Path(runs) / f"{job.id}.partial-{os.getpid()}"
        connection.send(_do(work, job, folder, connection, stop))


class Stop:
    """What was asked of the job at work: nothing, to break off with all others, or to give up alone."""

    def __init__(self) -> None:
        self._all = False
        self._given_up: set[str] = set()
        self._job = ""

    def begin(self, job: str) -> None:
        self._job = job

    def ask(self, job: str | None) -> None:
        """Stop one job, or all."""
        if job is None:
            self._all = True
        else:
            self._given_up.add(job)

    def __call__(self) -> str:
        """The status to end with; empty while the job may go on."""
        if self._all:
            return "interrupted"
        return "pruned" if self._job in self._given_up else ""


def _listen(connection: Connection, inbox: "queue.SimpleQueue[Any]", stop: Stop) -> None:
    """Messages to the inbox, stop requests at once; without a driver there is nothing to live for."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        if message == "stop":
            stop.ask(None)
        elif isinstance(message, dict) and "give_up" in message:
            stop.ask(message["give_up"])
        else:
            inbox.put(message)


def _prepare(threads: int) -> None:
    """Load what every job needs while the driver is still busy."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    import paribus.training.fit  # noqa: F401


def _do(work: str, job: Job, folder: Path, connection: Connection, stop: Stop) -> dict[str, Any]:
    """One job, whatever happens in it: the answer says how it ended."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        with _Logged(folder / LOG):
            try:
                return WORK[work](job, folder, lambda news: connection.send({"type": "news", "news": news}), stop)
            except ParibusError as error:
                return {"type": "done", "status": "crashed", "reason": str(error)}
            except Exception:
                return {"type": "done", "status": "crashed", "reason": traceback.format_exc()[-TAIL:]}
    except OSError as error:
        return {"type": "done", "status": "crashed", "reason": f"cannot write to {folder.parent}: {error.strerror}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _train(job: Job, folder: Path, tell: Callable[[dict[str, Any]], None], stop: Stop) -> dict[str, Any]:
    from paribus.training.fit import train

    record = train(job, folder, tell, stop)
    if record.status in records.RESULTS:
        records.write(record, folder)
        _settle(folder, folder.parent / job.id)
    return {"type": "done", "status": record.status, "reason": record.reason, "record": records.tree(record)}


def _overfit(job: Job, folder: Path, tell: Callable[[dict[str, Any]], None], stop: Stop) -> dict[str, Any]:
    from paribus.training.smoke import overfit

    found = overfit(job, tell)
    answer = {"first": found.first, "last": found.last, "steps": found.steps, "learns": found.learns}
    return {"type": "done", "status": "ok", "reason": "", "answer": answer}


WORK: dict[str, Callable[..., dict[str, Any]]] = {"train": _train, "overfit": _overfit}


def _settle(folder: Path, target: Path) -> None:
    """Give a finished folder its name; an older one makes room first."""
    old = target.with_name(f"{target.name}.partial-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


class _Logged:
    """Sends all that this process prints, from any language, to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._saved = [os.dup(1), os.dup(2)]
        target = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, number)
            os.close(saved)
