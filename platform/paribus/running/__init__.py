"""Many runs -> records: hand out what is missing, store what comes back, tell a listener how it goes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from paribus.planning import Job, Plan, Run
from paribus.store.claims import Claims
from paribus.store.folder import Store
from paribus.store.record import RESULTS, Record

POLL = 1.0  # seconds between looks at what other drivers are doing


@dataclass(frozen=True)
class Finished:
    """How an attempt at a job ended."""

    job: Job
    status: str
    reason: str = ""
    record: Record | None = None
    answer: Any = None  # of work that leaves no record
    final: bool = True  # false: it will be tried again


@dataclass(frozen=True)
class Moved:
    """News of a job that a worker is at."""

    job: Job
    worker: int
    news: dict[str, Any]  # step, steps, loss, speed, seconds, note, curves


Event = Finished | Moved


class Engine(Protocol):
    """Something that does jobs: the pool of this machine, or a cluster."""

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        """Do all jobs, in order as workers come free, and those that are added before the last one is done."""

    def add(self, jobs: Sequence[Job]) -> None:
        """More jobs, after those that wait."""

    def give_up(self, job: str) -> None:
        """Ask one job to end with its step, as `pruned`."""

    def stop(self) -> None:
        """Hand out nothing more, and ask the runs at work to end with their step."""


class Listener(Protocol):
    """Whoever shows how it goes."""

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None: ...

    def hear(self, event: Event) -> None: ...

    def end(self) -> None: ...


@dataclass
class Summary:
    """What one call of `execute` did."""

    trained: int = 0
    reused: int = 0
    broken: dict[str, str] = field(default_factory=dict)  # run -> status and reason
    diverged: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: str = ""  # why it was ended before all was trained, where a limit did that


@dataclass
class Limits:
    """What ends a call before all is trained."""

    failures: int | None = None
    hours: float | None = None
    failed: int = 0  # runs of the tuning that came before

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def reached(self, summary: Summary) -> str:
        if self.failures is not None and self.failed + len(summary.broken) > self.failures:
            return f"more than {self.failures} runs failed (--max-failures)"
        if self.hours is not None and time.monotonic() - self._began > self.hours * 3600:
            return f"{self.hours:g} hours are over (--max-hours)"
        return ""


class Backlog:
    """The runs that nobody has begun yet, as far as this driver knows."""

    def __init__(self, plan: Plan, runs: Sequence[Run], claims: Claims, *, fresh: bool) -> None:
        self._plan = plan
        self._waiting = {run.id: run for run in runs}
        self._claims = claims
        self._fresh = fresh

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, count: int) -> "tuple[list[Job], list[Finished]]":
        """Jobs that are this driver's from now on, and those that another one has done."""
        jobs: list[Job] = []
        done: list[Finished] = []
        order = iter(list(self._waiting))
        while len(jobs) < count and (some := list(islice(order, count - len(jobs)))):
            for run, state in self._claims.take(some, fresh=self._fresh).items():
                if state == "theirs":
                    continue
                job = self._plan.job(self._waiting.pop(run))
                if state == "mine":
                    jobs.append(job)
                else:
                    done.append(Finished(job, state, "trained by another driver"))
        return jobs, done


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing(plan: Plan, store: Store, *, fresh: bool = False) -> list[Run]:
    """The runs that have no result yet, each once."""
    statuses = {} if fresh else store.database.statuses(run.id for run in plan.runs)
    waiting: dict[str, Run] = {}
    for run in plan.runs:
        if statuses.get(run.id) not in RESULTS:
            waiting.setdefault(run.id, run)
    return list(waiting.values())


def execute(
    plan: Plan,
    store: Store,
    engine: Engine,
    listener: Listener,
    *,
    workers: int,
    fresh: bool = False,
    limits: Limits | None = None,
) -> Summary:
    """Train what is missing of a plan, and store every attempt as it ends; drivers on one store share the runs."""
    store.sweep()
    store.take_in()
    store.database.save_plan(plan)
    waiting = missing(plan, store, fresh=fresh)
    summary = Summary(reused=len({run.id for run in plan.runs}) - len(waiting))
    if not waiting:
        return summary
    if fresh:
        store.forget_checkpoints(run.id for run in waiting)
    limits = limits or Limits()

    def told(done: Sequence[Finished]) -> None:
        summary.reused += len(done)
        for event in done:
            listener.hear(event)

    listener.begin(plan, waiting, min(workers, len(waiting)))
    try:
        with Claims(store.database) as claims, gently(engine.stop) as asked:
            backlog = Backlog(plan, waiting, claims, fresh=fresh)
            while backlog and not (asked.is_set() or summary.interrupted or summary.stopped):
                # Two for each worker, so that none of them waits for the store.
                jobs, done = backlog.take(2 * workers)
                told(done)
                for event in engine.run(jobs, "train") if jobs else ():
                    if isinstance(event, Finished):
                        keep(event, store, summary)
                        if event.final:
                            claims.release(event.job.id)
                            jobs, done = backlog.take(1)
                            engine.add(jobs)
                            told(done)
                    listener.hear(event)
                    if summary.stopped or (why := limits.reached(summary)):
                        summary.stopped = summary.stopped or why
                        engine.stop()
                if not jobs and not done:
                    asked.wait(POLL)  # others train what is left
        summary.interrupted = summary.interrupted or asked.is_set() or bool(summary.stopped)
    finally:
        listener.end()
    return summary


@contextmanager
def gently(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) asks for a stop, the second one breaks off at once."""
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    signals = [signal.SIGINT] + ([signal.SIGTERM] if hasattr(signal, "SIGTERM") else [])
    before = {number: signal.signal(number, ask) for number in signals}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep(event: Finished, store: Store, summary: Summary) -> None:
    """Store an attempt, and count it."""
    if event.record is not None:
        store.database.add(event.record)
    else:
        store.database.add_attempt(event.job.id, event.status, event.reason)
    if not event.final:
        return
    if event.status == "ok":
        summary.trained += 1
    elif event.status == "diverged":
        summary.trained += 1
        summary.diverged.append(event.job.id)
    elif event.status == "pruned":
        summary.pruned.append(event.job.id)
    elif event.status == "interrupted":
        summary.interrupted = True
    else:
        summary.broken[event.job.id] = (
            f"{event.status}: {event.reason.splitlines()[-1] if event.reason else 'no reason'}"
        )
