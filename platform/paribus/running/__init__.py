"""Many runs -> records: hand out what is missing, store what comes back, tell a listener how it goes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from paribus.planning import Job, Plan, Run
from paribus.store.folder import Store
from paribus.store.record import RESULTS, Record


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
    plan: Plan, store: Store, engine: Engine, listener: Listener, *, workers: int, fresh: bool = False
) -> Summary:
    """Train what is missing of a plan, and store every attempt as it ends."""
    store.take_in()
    store.database.save_plan(plan)
    waiting = missing(plan, store, fresh=fresh)
    summary = Summary(reused=len({run.id for run in plan.runs}) - len(waiting))
    if not waiting:
        return summary
    listener.begin(plan, waiting, min(workers, len(waiting)))
    try:
        with gently(engine.stop) as asked:
            for event in engine.run([plan.job(run) for run in waiting], "train"):
                if isinstance(event, Finished):
                    keep(event, store, summary)
                listener.hear(event)
        summary.interrupted = summary.interrupted or asked.is_set()
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
