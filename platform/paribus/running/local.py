"""The engine of one machine: a pool of warm processes, each doing one run after the other."""

import collections
import multiprocessing
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from paribus.errors import MachineError
from paribus.planning import Job
from paribus.processes import started
from paribus.running import Event, Finished, Moved
from paribus.running.worker import LOG, TAIL, main, working_folder
from paribus.store import record as records

GRACE = 10.0  # seconds that workers have to end a step after Ctrl-C, or a run after its time limit
RECYCLED = 100  # jobs of a worker, before a new process takes its place: what leaks in between stays small
FALSE_STARTS = 3  # workers that may die one after the other before any of them is ready


class Process(Protocol):
    """What the pool wants of whatever a worker is: a process of this machine, or one far away."""

    @property
    def pid(self) -> int | None: ...

    @property
    def exitcode(self) -> int | None: ...

    def is_alive(self) -> bool: ...

    def join(self, timeout: float | None = None) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Worker:
    """A worker, and what it is at."""

    number: int
    process: Process
    connection: Connection
    job: Job | None = None
    attempts: int = 0
    ready: bool = False
    began: float = 0.0
    jobs: int = 0


class Pool:
    """Workers start when there is work and end with it; one that dies is replaced and its run tried again."""

    def __init__(
        self,
        runs: Path,
        *,
        workers: int,
        threads: int,
        retries: int,
        devices: Sequence[str] = (),
        recycled: int | None = RECYCLED,
        target: Callable[..., None] = main,
        artifacts: str = "",
    ) -> None:
        self._runs = runs
        self._artifacts = artifacts
        self._size = workers
        self._threads = threads
        self._retries = retries
        self._devices = devices  # of each worker, as CUDA_VISIBLE_DEVICES has them
        self._recycled = recycled
        self._target = target
        self._waiting: collections.deque[tuple[Job, int]] = collections.deque()
        self._refused: collections.deque[Finished] = collections.deque()
        self._workers: list[Worker] = []
        self._leaving: list[Worker] = []
        self._false_starts = 0
        self._deadline: float | None = None  # set once the pool is to stop

    def add(self, jobs: Sequence[Job]) -> None:
        """More jobs, after those that wait."""
        self._waiting.extend((job, 0) for job in jobs)

    def give_up(self, job: str) -> None:
        """Ask one job to end with its step; a request that comes too late is forgotten."""
        for worker in self._busy():
            if worker.job is not None and worker.job.id == job:
                self._say(worker, {"stop": job, "status": "pruned"})
        for entry in [entry for entry in self._waiting if entry[0].id == job]:
            self._waiting.remove(entry)
            self._refused.append(Finished(entry[0], "pruned", "given up before it began"))

    def stop(self) -> None:
        """Hand out nothing more, and ask the runs at work to end with their step."""
        self._deadline = self._deadline or time.monotonic() + GRACE

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        """Do all jobs, in order as workers come free, and those that are added before the last one is done."""
        self.add(jobs)
        self._runs.mkdir(parents=True, exist_ok=True)
        try:
            while self._deadline is None and (self._waiting or self._refused or self._busy()):
                self._hand_out(work)
                yield from self._news()
                yield from self._overdue()
                while self._refused:
                    yield self._refused.popleft()
            if self._deadline is not None:
                yield from self._break_off(self._deadline)
        finally:
            self._waiting.clear()
            self._end()

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.job is not None]

    def _hand_out(self, work: str) -> None:
        for worker in self._workers:
            if self._waiting and worker.ready and worker.job is None:
                job, attempts = self._waiting[0]
                if self._say(worker, {"work": work, "job": vars(job)}):
                    self._waiting.popleft()
                    worker.job, worker.attempts, worker.began = job, attempts, time.monotonic()
        free = sum(worker.job is None for worker in self._workers)
        for _ in range(min(self._size - len(self._workers), len(self._waiting) - free)):
            taken = {worker.number for worker in self._workers}
            self._workers.append(self._start(next(n for n in range(self._size) if n not in taken)))

    def _start(self, number: int) -> Worker:
        here, there = multiprocessing.Pipe()
        devices = self._devices[number] if self._devices else None
        arguments = (there, str(self._runs), self._threads, list(sys.path), devices, self._artifacts)
        # CUDA does not work in a process forked from one that has looked at it.
        process = started(self._target, arguments, f"paribus-worker-{number}", fork=not self._devices)
        there.close()
        return Worker(number, process, here)

    def _say(self, worker: Worker, message: Any) -> bool:
        """Whether a worker could be told; that it is gone is seen when it is listened to."""
        try:
            worker.connection.send(message)
        except (OSError, ValueError):
            return False
        return True

    def _news(self) -> Iterator[Event]:
        """What the workers say within a moment."""
        by_connection: dict[Any, Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout=0.2):
            worker = by_connection[connection]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._lost(worker)
                continue
            event = self._heard(worker, message)
            if event is not None:
                yield event

    def _heard(self, worker: Worker, message: dict[str, Any]) -> Event | None:
        if message["type"] == "ready":
            worker.ready, self._false_starts = True, 0
            return None
        assert worker.job is not None
        if message["type"] == "news":
            return Moved(worker.job, worker.number, message["news"])
        job, worker.job = worker.job, None
        worker.jobs += 1
        if message.get("spoiled") or worker.jobs == self._recycled:
            self._say(worker, None)
            self._workers.remove(worker)
            self._leaving.append(worker)
        record = records.of(message["record"]) if message.get("record") else None
        return Finished(job, message["status"], message["reason"], record, message.get("answer"))

    def _overdue(self) -> Iterator[Event]:
        """A worker that does not see by itself that its time is over is ended."""
        for worker in self._busy():
            job = worker.job
            assert job is not None
            limit = job.time_limit
            if limit is not None and time.monotonic() - worker.began > limit + GRACE:
                worker.process.kill()
                worker.process.join()
                reason = f"the time limit of {limit:g} s was over and the worker gave no sign; it was ended"
                self._forget(worker)
                yield Finished(job, "timeout", reason)

    def _lost(self, worker: Worker) -> Iterator[Event]:
        """A worker died: its run is tried again unless that was done often enough."""
        worker.process.join(5)
        if worker.process.is_alive():  # it closed its pipe and yet goes on
            worker.process.kill()
            worker.process.join()
        reason = self._last_words(worker)
        job, attempts = worker.job, worker.attempts + 1
        self._forget(worker)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                raise MachineError(f"{FALSE_STARTS} workers ended before they were ready, the last because {reason}")
        if job is not None:
            again = attempts <= self._retries
            if again:
                self._waiting.appendleft((job, attempts))
            yield Finished(job, "crashed", reason, final=not again)

    def _forget(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        if worker.job is not None:
            shutil.rmtree(self._folder(worker), ignore_errors=True)

    def _folder(self, worker: Worker) -> Path:
        assert worker.job is not None and worker.process.pid is not None
        return working_folder(self._runs, worker.job.id, worker.process.pid)

    def _last_words(self, worker: Worker) -> str:
        """Why a worker died, as far as can be told."""
        log = self._folder(worker) / LOG if worker.job is not None else None
        return last_words(worker.process.exitcode or 0, log)

    def _break_off(self, deadline: float) -> Iterator[Event]:
        """Ask busy workers to stop, and hear what they have to say for a while."""
        self._retries = 0
        for worker in self._busy():
            assert worker.job is not None
            self._say(worker, {"stop": worker.job.id, "status": "interrupted"})
        while self._busy() and time.monotonic() < deadline:
            for event in self._news():
                if isinstance(event, Finished):
                    yield event
        for worker in self._busy():
            assert worker.job is not None
            yield Finished(worker.job, "interrupted", "stopped before its step was over")

    def _end(self) -> None:
        everyone = [*self._workers, *self._leaving]
        for worker in self._workers:
            self._say(worker, None)
        for worker in everyone:
            if worker.ready and worker.job is None:
                worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            if worker.job is not None:
                shutil.rmtree(self._folder(worker), ignore_errors=True)
            worker.connection.close()
        self._workers, self._leaving = [], []


def last_words(code: int, log: Path | None) -> str:
    """Why a process died, as far as can be told, with the end of its log."""
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        cause = f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    else:
        cause = f"the worker ended with code {code}"
    tail = log.read_text(errors="replace")[-TAIL:].strip() if log is not None and log.is_file() else ""
    return f"{tail}\n{cause}".strip()
