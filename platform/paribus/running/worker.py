"""A worker process: stays warm, does one job after the other, and ends when its driver is gone."""

import contextlib
import errno
import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from paribus.errors import ParibusError, StoreError
from paribus.planning import Job
from paribus.store import record as records
from paribus.store.artifacts import PLACED, Artifacts
from paribus.store.unfinished import unfinished

LOG = "log.txt"
TAIL = 4000  # letters of a log that go into a reason
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


Tell = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], str]  # the status that the run is asked to end with, empty while it may go on


def main(
    connection: Connection, runs: str, threads: int, paths: list[str], devices: str | None = None, artifacts: str = ""
) -> None:
    """Do what the driver sends until it says that there is no more."""
    ignore_signals()
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    sys.path.extend(path for path in paths if path not in sys.path)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stops: dict[str, str] = {}
    threading.Thread(target=_listen, args=(connection, inbox, stops), daemon=True).start()
    from paribus.training import prepare

    prepare(threads)  # while the driver is still busy
    connection.send({"type": "ready"})
    while (message := inbox.get()) is not None:
        job = Job(**message["job"])
        connection.send(do(message["work"], job, Path(runs), connection.send, _asked(stops, job.id), artifacts))


def _asked(stops: dict[str, str], run: str) -> ShouldStop:
    return lambda: stops.get(run, "")


def ignore_signals() -> None:
    """Ctrl-C and the end of a batch job reach all processes; the driver decides what they mean."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _listen(connection: Connection, inbox: "queue.SimpleQueue[Any]", stops: dict[str, str]) -> None:
    """Messages to the inbox, stop requests at once; without a driver there is nothing to live for."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        if message is not None and "stop" in message:
            stops[message["stop"]] = message["status"]
        else:
            stops.clear()  # such as came too late for the job before
            inbox.put(message)


def working_folder(runs: Path, run: str, process: int, host: str = "") -> Path:
    """Where an attempt writes before it is known whether there will be a result."""
    return unfinished(runs / run, process, host)


def resume_folder(runs: Path, run: str) -> Path:
    """Where the checkpoints of a run lie until it has a result."""
    return runs / f"{run}.resume"


def do(work: str, job: Job, runs: Path, send: Tell, should_stop: ShouldStop, artifacts: str = "") -> dict[str, Any]:
    """One job, whatever happens in it: the answer says how it ended.

    With `artifacts`, a URL, what is to be kept is placed there as well, and a run goes on that was begun elsewhere.
    """
    folder = working_folder(runs, job.id, os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        with _Logged(folder / LOG):
            try:
                tell = partial(_tell, send)
                return WORK[work](job, folder, tell, should_stop, Artifacts(artifacts) if artifacts else None)
            except ParibusError as error:
                return _crashed(str(error))
            except OSError as error:
                if error.errno in FULL:
                    return _crashed(f"cannot write to {runs}: {error.strerror}")
                return _crashed(traceback.format_exc()[-TAIL:])
            except Exception as error:
                if (full := os.strerror(errno.ENOSPC)) in str(error):  # as libraries say it that know no OSError
                    return _crashed(f"cannot write to {runs}: {full}")
                return {**_crashed(traceback.format_exc()[-TAIL:]), "spoiled": _spoils(error)}
    except OSError as error:
        return _crashed(f"cannot write to {runs}: {error.strerror}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(send: Tell, news: dict[str, Any]) -> None:
    send({"type": "news", "news": news})


def _crashed(reason: str) -> dict[str, Any]:
    return {"type": "done", "status": "crashed", "reason": reason}


def _spoils(error: Exception) -> bool:
    """Whether a process is of no use after an error: CUDA answers every later call with it."""
    return "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError"


def _train(job: Job, folder: Path, tell: Tell, should_stop: ShouldStop, artifacts: Artifacts | None) -> dict[str, Any]:
    resume = resume_folder(folder.parent, job.id)
    if "floor" in job.settings:
        from paribus.training.floors import measure

        record = measure(job)
    else:
        from paribus.training.fit import train

        keeper = None
        if artifacts is not None:
            with _kept_anyway():
                artifacts.bring(job.id, resume)
            keeper = partial(artifacts.keep, job.id)
        record = train(job, folder, tell, should_stop, resume, keeper)
    if record.status in records.RESULTS:
        records.write(record, folder)
        settle(folder, folder.parent / job.id)
        if artifacts is not None:
            with _kept_anyway():
                artifacts.place(folder.parent / job.id)
                artifacts.forget(job.id)
        shutil.rmtree(resume, ignore_errors=True)
    # A group of GPUs leaves its traces in the libraries of this process.
    spoiled = int(job.machine["devices"]) > 1 and record.environment["device"] == "cuda"
    tree = records.tree(record)
    return {"type": "done", "status": record.status, "reason": record.reason, "record": tree, "spoiled": spoiled}


@contextlib.contextmanager
def _kept_anyway() -> Iterator[None]:
    """What cannot be placed elsewhere lies here: the driver tries again at the end, and says so if it fails."""
    try:
        yield
    except StoreError as error:
        sys.stderr.write(f"{error}\n")


def _overfit(
    job: Job, folder: Path, tell: Tell, should_stop: ShouldStop, artifacts: Artifacts | None
) -> dict[str, Any]:
    from paribus.training.smoke import overfit

    found = overfit(job, tell)
    answer = {"first": found.first, "last": found.last, "steps": found.steps, "learns": found.learns}
    return {"type": "done", "status": "ok", "reason": "", "answer": answer}


def _probe(job: Job, folder: Path, tell: Tell, should_stop: ShouldStop, artifacts: Artifacts | None) -> dict[str, Any]:
    from paribus.training.timing import timing

    return {"type": "done", "status": "ok", "reason": "", "answer": timing(job)}


def _complete(
    job: Job, folder: Path, tell: Tell, should_stop: ShouldStop, artifacts: Artifacts | None
) -> dict[str, Any]:
    from paribus.training.completing import completed

    own = folder.parent / job.id
    if artifacts is not None and not (own / records.FILE).is_file():
        artifacts.fetch(job.id, folder.parent)
    before = records.read(own)
    record = completed(job, before, own)
    if record != before:
        records.write(record, own)
        if artifacts is not None:
            (own / PLACED).unlink(missing_ok=True)
            with _kept_anyway():
                artifacts.place(own)
    return {"type": "done", "status": "ok", "reason": "", "record": records.tree(record)}


WORK: dict[str, Callable[..., dict[str, Any]]] = {
    "train": _train,
    "overfit": _overfit,
    "complete": _complete,
    "probe": _probe,
}


def settle(folder: Path, target: Path) -> None:
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
