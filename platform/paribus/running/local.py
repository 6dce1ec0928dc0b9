"""The engine of one machine: a pool of warm processes, each doing one run after the other."""

import collections
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from paribus.planning import Job
from paribus.running import Event, Finished, Moved
from paribus.running.worker import LOG, TAIL, main
from paribus.store import record as records

GRACE = 10.0  # seconds that workers have to end a step after Ctrl-C


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    attempts: int = 0
    ready: bool = False


class Pool:
    """Workers start when there is work and end with it; one that dies is replaced and its run tried again."""

    def __init__(self, runs: Path, *, workers: int, threads: int, retries: int) -> None:
        self._runs = runs
        self._size = workers
        self._threads = threads
        self._retries = retries
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._waiting: collections.deque[tuple[Job, int]] = collections.deque()
        self._deadline: float | None = None  # set once the pool is to stop

    def stop(self) -> None:
        """Hand out nothing more, and ask the runs at work to end with their step."""
        self._deadline = time.monotonic() + GRACE

    def add(self, jobs: Sequence[Job]) -> None:
        """More jobs for the run that goes on, after those that wait."""
        self._waiting.extend((job, 0) for job in jobs)

    def give_up(self, job: str) -> None:
        """Ask one job to end with its step; a stop that comes too late is forgotten."""
        for worker in self._workers:
            if worker.job is not None and worker.job.id == job:
                worker.connection.send({"give_up": job})

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        """Do all jobs, in order as workers come free, and those that are added before the last one is done."""
        waiting = self._waiting = collections.deque((job, 0) for job in jobs)
        self._runs.mkdir(parents=True, exist_ok=True)
        try:
            while self._deadline is None and (waiting or any(worker.job for worker in self._workers)):
                self._staff(len(waiting))
                self._hand_out(waiting, work)
                yield from self._news(waiting)
            if self._deadline is not None:
                yield from self._break_off(self._deadline)
        finally:
            self._end()

    def _staff(self, waiting: int) -> None:
        """As many workers as there is work for."""
        wanted = waiting + sum(worker.job is not None for worker in self._workers)
        taken = {worker.number for worker in self._workers}
        free = (number for number in range(self._size) if number not in taken)
        for number in list(free)[: max(0, wanted - len(self._workers))]:
            self._workers.append(self._start(number))

    def _start(self, number: int) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=main,
            args=(there, str(self._runs), self._threads, list(sys.path)),
            name=f"paribus-worker-{number}",
            daemon=True,
        )
        process.start()
        there.close()
        return _Worker(number, process, here)

    def _hand_out(self, waiting: "collections.deque[tuple[Job, int]]", work: str) -> None:
        for worker in self._workers:
            if waiting and worker.ready and worker.job is None:
                worker.job, worker.attempts = waiting.popleft()
                worker.connection.send({"work": work, "job": asdict(worker.job)})

    def _news(self, waiting: "collections.deque[tuple[Job, int]]") -> Iterator[Event]:
        """What the workers say within a moment."""
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout=0.2):
            worker = by_connection[connection]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._lost(worker, waiting)
                continue
            event = self._heard(worker, message)
            if event is not None:
                yield event

    def _heard(self, worker: _Worker, message: dict[str, Any]) -> Event | None:
        if message["type"] == "ready":
            worker.ready = True
            return None
        assert worker.job is not None
        if message["type"] == "news":
            return Moved(worker.job, worker.number, message["news"])
        job, worker.job = worker.job, None
        record = records.of(message["record"]) if message.get("record") else None
        return Finished(job, message["status"], message["reason"], record, message.get("answer"))

    def _lost(self, worker: _Worker, waiting: "collections.deque[tuple[Job, int]]") -> Iterator[Event]:
        """A worker died: replace it, and try its run again unless that was done often enough."""
        worker.process.join(5)
        job, attempts = worker.job, worker.attempts + 1
        again = job is not None and attempts <= self._retries
        reason = self._last_words(worker)
        if job is None and not worker.ready:
            raise RuntimeError(f"a worker ended before its first run: {reason}")
        if job is not None and again:
            waiting.appendleft((job, attempts))
        if waiting:
            self._workers[self._workers.index(worker)] = self._start(worker.number)
        else:
            self._workers.remove(worker)
        if job is not None:
            yield Finished(job, "crashed", reason, final=not again)

    def _last_words(self, worker: _Worker) -> str:
        """Why a worker died, as far as can be told, with the end of its log."""
        code = worker.process.exitcode or 0
        if code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
            cause = f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        else:
            cause = f"the worker ended with code {code}"
        log = self._runs / f"{worker.job.id if worker.job else ''}.partial-{worker.process.pid}" / LOG
        tail = log.read_text(errors="replace")[-TAIL:].strip() if log.is_file() else ""
        return f"{tail}\n{cause}".strip()

    def _break_off(self, deadline: float) -> Iterator[Event]:
        """Ask busy workers to stop, and hear what they have to say for a while."""
        busy = [worker for worker in self._workers if worker.job]
        for worker in busy:
            worker.connection.send("stop")
        while any(worker.job for worker in busy) and time.monotonic() < deadline:
            for event in self._news(collections.deque()):
                if isinstance(event, Finished):
                    yield event
        for worker in busy:
            if worker.job:
                yield Finished(worker.job, "interrupted", "stopped before its step was over")

    def _end(self) -> None:
        for worker in self._workers:
            try:
                worker.connection.send(None)
            except (OSError, ValueError):
                continue
        for worker in self._workers:
            worker.process.join(5 if worker.ready and not worker.job else 0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers = []
