"""The engine of a cluster: the pool of one machine, with each worker behind a Ray actor."""

import contextlib
import fcntl
import io
import multiprocessing
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import node
from typing import Any

from paribus.errors import MachineError
from paribus.planning import Job
from paribus.running import Event
from paribus.running.local import Pool, Worker, last_words
from paribus.running.worker import LOG, settle, working_folder
from paribus.store import record as records
from paribus.store.unfinished import unfinished

ANSWERS = 5.0  # seconds that the port of a cluster has to answer
JOINS = 30.0  # seconds that joining may take; Ray itself would try for minutes
LOSSES = 10  # nodes that may be lost under a run, besides its retries
QUIET = 10.0  # seconds without a free place before it is said that runs wait
LOOK = 2.0  # seconds between looks whether the head is still there
HEADLESS = 25.0  # seconds without a head before runs end with their step: after 60, Ray ends all processes at once
# A worker that hangs would not see that its pipe was closed: Linux ends it with its actor, however that died.
START = (
    "import ctypes, sys; getattr(ctypes.CDLL(None), 'prctl', int)(1, 9)\n"
    "from multiprocessing.connection import Connection; driver = Connection(int(sys.argv[1])); rest = driver.recv()\n"
    "sys.path.extend(path for path in rest['paths'] if path not in sys.path)\n"
    "from paribus.running.worker import main; main(driver, sys.argv[2], **rest)"
)
PROBE = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level=50); print('JOINED')"


class Cluster(Pool):
    """The pool over the nodes of a Ray cluster: who comes when, retries and stops are the pool's own."""

    def __init__(
        self,
        runs: Path,
        *,
        workers: int,
        threads: int,
        cores: int,
        retries: int,
        gpus: float = 0.0,
        artifacts: str = "",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(runs, workers=workers, threads=threads, retries=retries, artifacts=artifacts)
        self._cores = cores  # of each worker: threads for each device of a run
        self._gpus = gpus
        self._tell = say
        self._mark = unfinished(runs / "shared")
        self._losses: Counter[str] = Counter()

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        """Do all jobs, in order as workers come free, and those that are added before the last one is done."""
        self._token = uuid.uuid4().hex
        self._mark.mkdir(parents=True, exist_ok=True)
        (self._mark / self._token).touch()
        self._idle_since: float | None = time.monotonic()
        head = Head()
        self._head = head
        try:
            yield from super().run(jobs, work)
        finally:
            head.leave()
            shutil.rmtree(self._mark, ignore_errors=True)

    def _hand_out(self, work: str) -> None:
        super()._hand_out(work)
        for worker in self._workers:
            if refusal := _remote(worker).refusal:
                raise MachineError(refusal)
        if self._head.silent > HEADLESS:
            self._break_up()
        if any(worker.ready for worker in self._workers):
            self._idle_since = None
        elif self._idle_since is not None and time.monotonic() - self._idle_since > QUIET:
            self._idle_since = None
            if not any(_remote(worker).host for worker in self._workers):
                self._tell(
                    f"the cluster has no place free yet ({wanted(self._cores, self._gpus)} for each run); waiting"
                )

    def _break_up(self) -> None:
        """Without a head nothing can be kept up for long: let runs end with their step."""
        told = f"the head of the Ray cluster at {self._head.address} does not answer any more; what is stored stays"
        if not self._busy():
            raise MachineError(f"{told}, and the same command goes on once there is a cluster again")
        self._tell(f"{told}, runs end with their step")
        self.stop()

    def _start(self, number: int) -> Worker:
        rest = {"threads": self._threads, "paths": list(sys.path), "artifacts": self._artifacts}
        remote = Remote(self._runs, self._mark / self._token, self._cores, self._gpus, rest, self._head)
        return Worker(number, remote, remote.outlet)

    def _say(self, worker: Worker, message: Any) -> bool:
        return _remote(worker).say(message)

    def _lost(self, worker: Worker) -> Iterator[Event]:
        run = worker.job.id if worker.job is not None else ""
        if _remote(worker).taken and self._losses[run] < LOSSES:
            self._losses[run] += 1  # neither the run nor the way workers start is to blame for a node
            worker.attempts -= 1
            self._false_starts -= not worker.ready
        yield from super()._lost(worker)

    def _last_words(self, worker: Worker) -> str:
        return _remote(worker).cause

    def _folder(self, worker: Worker) -> Path:
        assert worker.job is not None
        remote = _remote(worker)
        return working_folder(self._runs, worker.job.id, remote.pid or 0, remote.host)


class Head:
    """The head of the cluster that was joined, looked at now and then."""

    def __init__(self) -> None:
        import ray

        context: Any = ray.get_runtime_context()  # without types
        self.address = str(context.gcs_address)
        self._over = threading.Event()
        self._seen = time.monotonic()
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def silent(self) -> float:
        """Seconds since it answered; none once nobody looks."""
        return 0.0 if self._over.is_set() else time.monotonic() - self._seen

    def leave(self) -> None:
        """Look no more."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            if _answers(self.address):
                self._seen = time.monotonic()


def _remote(worker: Worker) -> "Remote":
    assert isinstance(worker.process, Remote)
    return worker.process


class Remote:
    """A worker on some node, as the pool sees a process: started, heard, ended."""

    def __init__(self, runs: Path, mark: Path, cores: int, gpus: float, rest: dict[str, Any], head: Head) -> None:
        import ray

        self._head = head

        options: dict[str, Any] = {"num_cpus": cores, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        remote: Any = ray.remote  # its types know no groups
        relay = remote(concurrency_groups={"hearing": 1, "saying": 1}, **options)(Relay)
        self._relay: Any = relay.remote(str(runs), str(mark), rest, str(Path.cwd()), version("paribus"))
        self._runs = runs
        self.outlet, self._inlet = multiprocessing.Pipe(duplex=False)
        self.host = ""  # of the node, once there is one
        self.pid: int | None = None
        self.exitcode: int | None = None
        self.refusal = ""  # why this worker and all like it cannot work
        self.cause = "its actor was ended"
        self.taken = False  # with its node, or by Ray
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def say(self, message: Any) -> bool:
        self._relay.say.options(concurrency_group="saying").remote(message)
        return True

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(10.0 if timeout is None else timeout)

    def kill(self) -> None:
        import ray

        if self._head.silent < ANSWERS + 2 * LOOK:  # else the call would wait for it, and the worker ends anyway
            ray.kill(self._relay)

    def _hear(self) -> None:
        """Hand on what the relay says until there is nothing more to come."""
        import ray

        try:
            while True:
                for message in ray.get(self._relay.hear.options(concurrency_group="hearing").remote()):
                    if message["type"] == "here":
                        self.host, self.pid, self.refusal = message["host"], message["pid"], message["refusal"]
                    elif message["type"] == "ended":
                        self.cause = message["cause"]
                        return
                    else:
                        self._inlet.send(self._brought(message))
        except OSError:
            pass  # the pool listens no more
        except ray.exceptions.RayError as error:
            full = isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in str(error)
            self.taken = bool(self.host) and not full
            if full:
                self.cause = f"Ray ended the worker because {self.host} was low on memory"
            elif self.taken:
                self.cause = f"the actor on the node {self.host} was lost"
            else:
                self.cause = _reason(error)
        finally:
            self._inlet.close()
            self.kill()

    def _brought(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message, with the folder that came with it unpacked among the runs."""
        packed, run = message.pop("folder", None), message.pop("run", "")
        if packed is not None:
            try:
                unpack(packed, self._runs / run)
            except OSError as error:
                return _crashed(f"cannot write to {self._runs}: {error.strerror}")
        return message


def _reason(error: Exception) -> str:
    """The line of an error of Ray that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class Relay:
    """The actor: keeps a worker process beside it, and hands on what goes to it and comes from it.

    The worker is a process of its own, as in the pool: an actor that trained by itself could not tell how it died.
    """

    def __init__(self, runs: str, mark: str, rest: dict[str, Any], folder: str, driver: str) -> None:
        self._outbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._shared = Path(mark).is_file()
        self._runs = Path(runs) if self._shared else own_folder(Path(mark).name)
        self._job = ""
        self._connection, self._there = multiprocessing.Pipe()
        self._words = [START, str(self._there.fileno()), str(self._runs)]
        self._connection.send(rest)
        self._cwd = folder if Path(folder).is_dir() else None
        found = version("paribus")
        self._refusal = f"{node()} has paribus {found}, the driver {driver}: all nodes need the same" * (
            found != driver
        )
        threading.Thread(target=self._keep, daemon=True).start()

    def hear(self) -> list[dict[str, Any]]:
        """All that there is to tell; waits until there is something."""
        messages = [self._outbox.get()]
        while not self._outbox.empty():
            messages.append(self._outbox.get())
        return messages

    def say(self, message: Any) -> None:
        if message is not None and "job" in message:
            self._job = message["job"]["id"]
        try:
            self._connection.send(message)
        except OSError:
            return  # it is gone, which the one who listens will see

    def _keep(self) -> None:
        """Start the worker, hand on what it says, and tell how it ended."""
        # In the thread that stays, as the system ends a process with the thread that started it; see START.
        process = subprocess.Popen(
            [sys.executable, "-c", *self._words],
            pass_fds=[self._there.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=self._cwd,
        )
        self._there.close()
        self._outbox.put({"type": "here", "host": node(), "pid": process.pid, "refusal": self._refusal})
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = self._connection.recv()
                self._outbox.put(message if self._shared or message["type"] != "done" else self._packed(message))
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:  # it closed its pipe and yet goes on
            process.kill()
            code = process.wait()
        folder = working_folder(self._runs, self._job, process.pid)
        cause = last_words(code, folder / LOG)
        shutil.rmtree(folder, ignore_errors=True)
        self._outbox.put({"type": "ended", "cause": cause})

    def _packed(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with the finished folder, which only this node sees."""
        folder = self._runs / self._job
        if not (folder / records.FILE).is_file():
            return message
        try:
            return {**message, "run": self._job, "folder": pack(folder)}
        except OSError as error:
            return _crashed(f"cannot read {folder} of {node()}: {error.strerror}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _crashed(reason: str) -> dict[str, Any]:
    return {"type": "done", "status": "crashed", "reason": reason}


def own_folder(token: str) -> Path:
    """Where the workers of one driver write on a node that does not see the store; those of the gone are removed."""
    root = Path(tempfile.gettempdir()) / f"paribus-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise MachineError(f"{root} of {node()} belongs to another user; remove it, or set TMPDIR")
    for other in root.iterdir():
        if other.name != token and _locked(other, fcntl.LOCK_EX) is not None:
            shutil.rmtree(other, ignore_errors=True)
    mine = root / token
    mine.mkdir(exist_ok=True)
    _locked(mine, fcntl.LOCK_SH)
    return mine


def _locked(folder: Path, kind: int) -> int | None:
    """A lock on a folder that lasts as long as this process."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


def pack(folder: Path) -> bytes:
    """A folder of files as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


def unpack(packed: bytes, target: Path) -> None:
    """Make a folder of what `pack` gave; it has its name once all is there."""
    partial = unfinished(target)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(partial)  # nothing goes outside of it, whatever its names are
        settle(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def join(on: str) -> None:
    """Join the cluster of `--on ray://HOST:PORT`, or for `--on ray` the one of this machine, started if there is none.

    Raises MachineError in a sentence, and within a minute.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    address = _address(on)
    if "ray" in sys.modules:
        import ray

        if ray.is_initialized():
            return
    if address is not None:
        _probe(address)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": 50}
    # What Ray says of nodes and workers would go to stdout, among the results; each loss is told by the engine.
    ray._private.worker._worker_logs_enabled = False
    try:
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, object_store_memory=200 * 2**20, **quiet)
    except Exception as error:  # of whatever kind, it is Ray's
        raise MachineError(f"Ray cannot be used here: {_reason(error)}") from None


def _address(on: str) -> str | None:
    """HOST:PORT of the cluster to join, nothing where one has to be started."""
    named = on != "ray"
    given = on.removeprefix("ray://") if named else os.environ.get("RAY_ADDRESS", "")
    if named or given not in ("", "auto", "local"):
        place = f"--on {on}" if named else f"RAY_ADDRESS={given}"
        host, _, port = given.rpartition(":")
        if not host or not port.isdigit() or "/" in host:
            raise MachineError(f"{place}: needs HOST:PORT of the cluster's head, such as 10.0.0.1:6379")
        if not _answers(given):
            raise MachineError(f"{place}: no Ray cluster answers at {given}")
        return given
    known = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    try:
        found = known.read_text().strip()
    except OSError:
        return None
    return found if _answers(found) else None  # the file of a cluster that was killed stays


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS):
            return True
    except (OSError, ValueError):
        return False


def _probe(address: str) -> None:
    """Try to join in a process of its own: one that fails to writes a wall of text for minutes."""
    modes = [os.environ.get("RAY_AUTH_MODE")]
    if modes == [None]:
        modes.append("token")  # Ray itself takes the token of this user only for clusters that it found by itself
    said = ""
    for mode in modes:
        said = _said_on_joining(address, {} if mode is None else {"RAY_AUTH_MODE": mode})
        if not said:
            if mode is not None:
                os.environ["RAY_AUTH_MODE"] = mode
            return
        if not _unknown(said):
            break
    raise MachineError(_why_not(address, said))


def _said_on_joining(address: str, more: dict[str, str]) -> str:
    """What Ray says when it cannot join; nothing if it can."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROBE, address],
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(JOINS, process.kill)
    timer.start()
    said = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("JOINED"):
                return ""
            if _unknown(line):
                break
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
    return "".join([*said, f"no end within {JOINS:g} s"])


def _unknown(said: str) -> bool:
    """Whether a token is missing or wrong."""
    return "InvalidAuthToken" in said or "Unauthenticated" in said or "AuthenticationError" in said


def _why_not(address: str, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _unknown(said):
        return (
            f"the Ray cluster at {address} asks for a token: put that of the cluster into ~/.ray/auth_token "
            "or RAY_AUTH_TOKEN, and set RAY_AUTH_MODE=token"
        )
    if "ersion mismatch" in said:
        versions = "; ".join(
            line for line in lines if line.startswith(("Ray:", "Python:", "The cluster", "This process"))
        )
        return f"the Ray cluster at {address} has other versions than this machine; they must be the same: {versions}"
    if "within" in said:
        return f"what answers at {address} is no Ray head, whose port is 6379 as a rule (10001 is Ray Client's)"
    return f"the Ray cluster at {address} cannot be joined from here: {lines[-1]}"


def places(cores: int, gpus: float) -> int:
    """How many workers the nodes of the cluster have room for."""
    import ray

    count = 0
    nodes: Any = ray.nodes  # without types
    for found in nodes():
        if found["Alive"]:
            has = found["Resources"]
            room = int(has.get("CPU", 0) // cores)
            if gpus:
                room = min(
                    room, int(has.get("GPU", 0)) * int(1 / gpus + 1e-9) if gpus <= 1 else int(has.get("GPU", 0) // gpus)
                )
            count += room
    return count


def has_gpus() -> bool:
    """Whether any node has one."""
    import ray

    resources: Any = ray.cluster_resources  # without types
    return bool(resources().get("GPU", 0))


def wanted(cores: int, gpus: float) -> str:
    """The resources of a worker, in words."""
    return f"{cores} CPU" + (f" and {gpus:g} GPU" if gpus else "")
