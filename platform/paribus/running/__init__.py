"""Many runs -> records: hand out what is missing, store what comes back, tell a listener how it goes."""

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from paribus.errors import plural
from paribus.planning import Job, Plan, Run
from paribus.store.record import RESULTS, Record

if TYPE_CHECKING:  # workers come by here, and have no use for a database
    from paribus.store.claims import Claims
    from paribus.store.folder import Store

POLL = 1.0  # seconds between looks at what other drivers are doing
TOGETHER = 0.1  # seconds: what comes back sooner after something was stored waits for more


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
    completed: int = 0
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
            return f"more than {plural(self.failures, 'run')} failed (--max-failures)"
        if self.hours is not None and time.monotonic() - self._began > self.hours * 3600:
            return f"{self.hours:g} hours are over (--max-hours)"
        return ""


class Backlog:
    """The runs that nobody has begun yet, as far as this driver knows."""

    def __init__(self, plan: Plan, runs: Sequence[Run], claims: "Claims", *, fresh: bool) -> None:
        self._plan = plan
        self._new = deque(runs)
        self._round: deque[Run] = deque()  # those of the seed that is begun
        self._theirs: deque[Run] = deque()  # asked for, and at work elsewhere
        self._taken: dict[str, Run] = {}
        self._seconds: dict[tuple[str, str], float] = {}  # of the newest run of an arm and a task
        self._claims = claims
        self._fresh = fresh

    def __bool__(self) -> bool:
        return bool(self._new or self._round or self._theirs)

    def take(self, count: int) -> "tuple[list[Job], list[Finished]]":
        """Jobs that are this driver's from now on, and those that another one has done."""
        jobs: list[Job] = []
        done: list[Finished] = []
        others, self._theirs = self._theirs, deque()
        while len(jobs) < count and (some := self._next(count - len(jobs))):
            self._ask(some, jobs, done)
        while len(jobs) < count and others:
            self._ask([others.popleft() for _ in range(min(count - len(jobs), len(others)))], jobs, done)
        self._theirs.extend(others)
        return jobs, done

    def learn(self, event: Finished) -> None:
        """How long a run took that was taken from here."""
        run = self._taken.pop(event.job.id, None) if event.final else None
        if run is not None and event.record is not None:
            self._seconds[run.arm, run.task] = event.record.seconds

    def _next(self, count: int) -> list[Run]:
        """Seed by seed; of one seed what will take longest comes first, so that workers come to the end together."""
        some: list[Run] = []
        while len(some) < count and (self._round or self._new):
            if not self._round:
                seed = self._new[0].seed
                while self._new and self._new[0].seed == seed:
                    self._round.append(self._new.popleft())
                known = self._seconds
                self._round = deque(sorted(self._round, key=lambda run: -known.get((run.arm, run.task), math.inf)))
            some.append(self._round.popleft())
        return some

    def _ask(self, runs: Sequence[Run], jobs: list[Job], done: list[Finished]) -> None:
        states = self._claims.take([run.id for run in runs], fresh=self._fresh)
        for run in runs:
            state = states[run.id]
            if state == "theirs":
                self._theirs.append(run)
            elif state == "mine":
                self._taken[run.id] = run
                jobs.append(self._plan.job(run))
            else:
                done.append(Finished(self._plan.job(run), state, "trained by another driver"))


class Desk:
    """What came back and is not stored yet: what comes thick and fast is stored together."""

    def __init__(self, store: "Store", claims: "Claims") -> None:
        self._store = store
        self._claims = claims
        self._waiting: list[Finished] = []
        self._began = self._stored = time.monotonic()
        self._urgent = False
        self.pace = 0.0  # runs that end in a second

    def put(self, event: Finished) -> None:
        self._waiting.append(event)
        self._urgent = self._urgent or event.status not in RESULTS  # it left no folder that would tell of it

    def due(self) -> bool:
        return bool(self._waiting) and (self._urgent or time.monotonic() - self._stored >= TOGETHER)

    def store(self) -> int:
        """Store it all and let go of the runs that are over; gives how many those are."""
        events, self._waiting, self._urgent = self._waiting, [], False  # what fails is not tried again
        if not events:
            return 0
        from paribus.store.database import Attempt

        self._store.database.add_attempts([Attempt(e.job.id, e.status, e.reason, e.record) for e in events])
        over = [event.job.id for event in events if event.final]
        self._claims.release(*over)
        now = time.monotonic()
        self.pace, self._stored = len(over) / max(TOGETHER, now - self._stored), now
        return len(over)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing(plan: Plan, store: "Store", *, fresh: bool = False) -> list[Run]:
    """The runs that have no result yet, each once."""
    return unfinished(plan, {} if fresh else store.database.statuses(run.id for run in plan.runs))


def unfinished(plan: Plan, statuses: Mapping[str, str]) -> list[Run]:
    """The runs without a result among these statuses, each once."""
    waiting: dict[str, Run] = {}
    for run in plan.runs:
        if statuses.get(run.id) not in RESULTS:
            waiting.setdefault(run.id, run)
    return list(waiting.values())


def execute(
    plan: Plan,
    store: "Store",
    engine: Engine,
    listener: Listener,
    *,
    workers: int,
    fresh: bool = False,
    limits: Limits | None = None,
) -> Summary:
    """Train what is missing of a plan, and store every attempt as it ends; drivers on one store share the runs."""
    from paribus.store.claims import Claims

    store.sweep()
    store.take_in()
    store.place()
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
            backlog, desk = Backlog(plan, waiting, claims, fresh=fresh), Desk(store, claims)
            while backlog and not (asked.is_set() or summary.interrupted or summary.stopped):
                # Two for each worker, so that none of them waits for the store.
                jobs, done = backlog.take(2 * workers)
                told(done)
                try:
                    held = len(jobs)
                    for event in engine.run(jobs, "train") if jobs else ():
                        if isinstance(event, Finished):
                            count(event, summary)
                            backlog.learn(event)
                            desk.put(event)
                            held -= event.final
                        if desk.due() or (backlog and 2 * held < 3 * workers):
                            desk.store()
                            # Of runs that take no time, as many as end in a second.
                            more, others = backlog.take(max(2 * workers, int(desk.pace)) - held)
                            engine.add(more)
                            held += len(more)
                            told(others)
                        listener.hear(event)
                        if summary.stopped or (why := limits.reached(summary)):
                            summary.stopped = summary.stopped or why
                            engine.stop()
                finally:
                    desk.store()
                if not jobs and not done:
                    asked.wait(POLL)  # others train what is left
        summary.interrupted = summary.interrupted or asked.is_set() or bool(summary.stopped)
    finally:
        listener.end()
    store.place()  # what a worker could not place
    return summary


def complete(plan: Plan, store: "Store", engine: Engine, listener: Listener, *, workers: int) -> Summary:
    """Score finished runs by the metrics that their records lack, from their stored weights; nothing is trained.

    Drivers on one store share the runs, as they do in training.
    """
    from paribus.store.claims import Claims

    store.take_in()
    waiting = lacking(plan, store, {run.id: run for run in plan.trained}.values())
    summary = Summary()
    if not waiting:
        return summary
    listener.begin(plan, waiting, min(workers, len(waiting)))
    try:
        with Claims(store.database) as claims, gently(engine.stop) as asked:
            backlog = Backlog(plan, waiting, claims, fresh=True)
            runs = {run.id: run for run in waiting}

            def more(count: int) -> list[Job]:
                """Jobs that are this driver's, without what another one has done meanwhile."""
                mine, _ = backlog.take(count)
                left = {run.id for run in lacking(plan, store, [runs[job.id] for job in mine])}
                claims.release(*(job.id for job in mine if job.id not in left))
                return [job for job in mine if job.id in left]

            while backlog and not asked.is_set():
                jobs = more(2 * workers)
                held = len(jobs)
                for event in engine.run(jobs, "complete") if jobs else ():
                    if isinstance(event, Finished) and event.final:
                        _keep_scores(event, store, summary)
                        claims.release(event.job.id)
                        held -= 1
                        if backlog and 2 * held < 3 * workers:
                            new = more(2 * workers - held)
                            engine.add(new)
                            held += len(new)
                    listener.hear(event)
                if backlog and not jobs:
                    asked.wait(POLL)  # others are at what is left
        summary.interrupted = asked.is_set()
    finally:
        listener.end()
    store.place()
    return summary


def lacking(plan: Plan, store: "Store", runs: Iterable[Run]) -> list[Run]:
    """The finished runs among some that have no score by a metric of their task."""
    wanted = {
        task.name: {(split, metric.name) for split in task.splits for metric in task.metrics} for task in plan.tasks
    }
    some = list(runs)
    outcomes = store.database.outcomes(run.id for run in some)
    found = []
    for run in some:
        record = outcomes[run.id].record
        if record is not None and record.status == "ok":
            known = {(score.split, score.metric) for score in record.scores}
            if wanted[run.task] - known:
                found.append(run)
    return found


def _keep_scores(event: Finished, store: "Store", summary: Summary) -> None:
    """Store a record that has more scores now, or count why it has not."""
    if event.record is not None:
        store.database.complete(event.record)
        summary.completed += 1
    elif event.status != "interrupted":
        last = event.reason.splitlines()[-1] if event.reason else "no reason"
        summary.broken[event.job.id] = f"{event.status}: {last}"


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


def keep(event: Finished, store: "Store", summary: Summary) -> None:
    """Store an attempt, and count it."""
    from paribus.store.database import Attempt

    store.database.add_attempts([Attempt(event.job.id, event.status, event.reason, event.record)])
    count(event, summary)


def count(event: Finished, summary: Summary) -> None:
    """Count an attempt that ended its job."""
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
