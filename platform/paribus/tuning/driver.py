"""Runs the trials of one or more searches: ask, override, run, tell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from paribus.planning import Job, Run, metric_info, run_id, settings_of
from paribus.running import Engine, Finished, Limits, Moved, Summary, gently, keep
from paribus.spec.arms import Arm, Setting, variant
from paribus.spec.machine import seconds
from paribus.spec.override import Complaint
from paribus.spec.tuning import COSTS, FIRST_SEED
from paribus.store.folder import Store
from paribus.store.record import RESULTS, Record
from paribus.tuning.study import Outcome, Search

COST_NAMES = {"parameters": "parameters", "flops": "flops_per_token"}


class Watcher(Protocol):
    """Whoever shows how searches go."""

    def begin(self, searches: Sequence[Search], workers: int) -> None: ...

    def waits(self, name: str) -> None: ...

    def moved(self, search: Search, number: int, news: dict[str, Any]) -> None: ...

    def told(self, search: Search, number: int, outcome: Outcome) -> None: ...

    def end(self) -> None: ...


@dataclass
class _Trial:
    """A trial at work."""

    search: Search
    number: int
    jobs: list[Job]
    waiting: list[str] = field(default_factory=list)  # runs that it waits for
    records: dict[str, Record] = field(default_factory=dict)
    reason: str = ""  # why it failed, if so
    heard: int = 0  # values of its only run that the pruner knows
    pruned: bool = False

    @property
    def over(self) -> bool:
        return not self.waiting


class Driver:
    """Keeps the workers of an engine busy with trials."""

    def __init__(
        self,
        searches: Sequence[Search],
        store: Store,
        engine: Engine,
        watcher: Watcher,
        workers: int,
        machine: dict[str, Any],
        experiment: str,
        limits: Limits,
    ) -> None:
        self._searches = list(searches)
        self._store = store
        self._engine = engine
        self._workers = workers
        self._watcher = watcher
        self._machine = machine
        self._experiment = experiment
        self._limits = limits
        self._trials: list[_Trial] = []
        self._at_work: dict[str, Job] = {}
        self._given_up: set[str] = set()
        self._new: list[Job] = []
        self.summary = Summary()

    def run(self) -> Summary:
        """All trials that the searches still lack."""
        self._watcher.begin(self._searches, self._workers)
        try:
            with gently(self._engine.stop) as asked:
                for search in self._searches:
                    for trial in search.running:  # what was broken off comes first, with the same settings
                        self._begin(search, trial.number, search.chosen(trial), kept=True)
                jobs = self._more()
                for event in self._engine.run(jobs, "train") if jobs else ():
                    if isinstance(event, Finished):
                        self._finished(event)
                    else:
                        self._moved(event)
                    if not self.summary.stopped and (why := self._limits.reached(self.summary)):
                        self.summary.stopped = why
                        self._engine.stop()
                    if not (asked.is_set() or self.summary.stopped):
                        self._engine.add(self._more())
            self.summary.interrupted = self.summary.interrupted or asked.is_set() or bool(self.summary.stopped)
        finally:
            self._watcher.end()
        return self.summary

    # Proposing

    def _more(self) -> list[Job]:
        """Jobs of the trials that can begin now."""
        self._settle()
        while (search := self._next()) is not None:
            number, settings = search.ask()
            self._begin(search, number, settings)
            self._settle()
        jobs, self._new = self._new, []
        return jobs

    def _next(self) -> Search | None:
        """The search that may propose a trial: the one with the fewest."""
        open_ = [search for search in self._searches if self._may_ask(search)]
        return min(open_, key=lambda search: len(search.proposed)) if open_ else None

    def _may_ask(self, search: Search) -> bool:
        asked = len(search.proposed)
        if asked >= search.target or self._out_of_time(search):
            return False
        if search.tuning.order == "free":
            return len(self._at_work) < self._workers
        first = asked - asked % search.tuning.batch
        return all(trial.number >= first for trial in search.running)

    def _out_of_time(self, search: Search) -> bool:
        limit = search.tuning.time_limit
        spent = sum(search.outcome(trial).get("seconds", 0.0) for trial in search.trials)
        return limit is not None and spent >= seconds(limit)

    def _begin(self, search: Search, number: int, settings: dict[str, Any], *, kept: bool = False) -> None:
        """Start a trial: keep what it is made of, then hand out its runs."""
        setting, complaints = variant(search.arm, settings)
        jobs = [] if setting is None else self._jobs(search, settings, setting)
        if not kept:
            search.begin(number, [job.id for job in jobs], settings)
        runs = [Run(job.id, search.arm.name, search.task, job.seed) for job in jobs]
        self._store.database.save_trial(self._experiment, number, runs)
        trial = _Trial(search, number, jobs, reason=_told(complaints))
        self._trials.append(trial)
        if search.tuning.pruner == "wilcoxon":
            self._hand_out(trial, jobs[:1])
        else:
            self._hand_out(trial, jobs)

    def _jobs(self, search: Search, settings: dict[str, Any], setting: Setting) -> list[Job]:
        """The runs of a trial, one for each of its seeds."""
        arm = Arm(search.arm.name, settings, search.arm.start, setting)
        seeds = range(FIRST_SEED, FIRST_SEED + search.tuning.seeds)
        resolved = settings_of(arm, search.task)
        return [Job(run_id(arm, search.task, seed), seed, resolved, self._machine) for seed in seeds]

    def _hand_out(self, trial: _Trial, jobs: Sequence[Job]) -> None:
        """Have runs trained unless the store has them, or another trial waits for them too."""
        known = self._store.database.outcomes(job.id for job in jobs)
        for job in jobs:
            outcome = known[job.id]
            trial.waiting.append(job.id)
            if outcome.status in RESULTS and outcome.record is not None:
                self._hear(trial, outcome.record.curves)
                self._arrived(trial, job, outcome.status, outcome.error, outcome.record)
            elif job.id not in self._at_work:
                self._at_work[job.id] = job
                self._new.append(job)

    # Learning

    def _moved(self, event: Moved) -> None:
        curves = event.news.get("curves")
        for trial in self._waiting_for(event.job.id):
            self._watcher.moved(trial.search, trial.number, event.news)
            if curves:
                self._hear(trial, curves)
        waiting = self._waiting_for(event.job.id)
        if waiting and all(trial.pruned for trial in waiting) and event.job.id not in self._given_up:
            self._given_up.add(event.job.id)
            self._engine.give_up(event.job.id)

    def _waiting_for(self, run: str) -> list[_Trial]:
        return [trial for trial in self._trials if run in trial.waiting]

    def _hear(self, trial: _Trial, curves: dict[str, Any]) -> None:
        """Give the pruner what it has not heard yet; it hears the same however late the news come."""
        if trial.search.tuning.pruner not in ("median", "hyperband") or trial.pruned:
            return
        values = list(watched(trial.search, trial.jobs[0], curves))
        for step, value in enumerate(values[trial.heard :], start=trial.heard + 1):
            trial.heard = step
            if value is not None and trial.search.report(trial.number, step, value):
                trial.pruned = True
                return

    def _finished(self, event: Finished) -> None:
        keep(event, self._store, self.summary)
        if not event.final:
            return
        job = self._at_work.pop(event.job.id)
        if event.status == "interrupted":
            return
        for trial in self._waiting_for(job.id):
            if event.record is not None:
                self._hear(trial, event.record.curves)
            if event.status == "pruned" and not trial.pruned:  # another trial with the same settings gave it up
                trial.waiting.remove(job.id)
                self._given_up.discard(job.id)
                self._hand_out(trial, [job])
            else:
                self._arrived(trial, job, event.status, event.reason, event.record)
        self._given_up.discard(job.id)
        if event.status == "pruned" and job.id not in self._at_work:
            self._store.forget_checkpoints([job.id])

    def _arrived(self, trial: _Trial, job: Job, status: str, reason: str, record: Record | None) -> None:
        """A run of a trial is over."""
        trial.waiting.remove(job.id)
        if record is not None:
            trial.records[job.id] = record
        if trial.pruned:
            return
        if status != "ok":
            trial.reason = trial.reason or f"{status}: {reason.splitlines()[-1] if reason else 'no reason given'}"
        elif trial.search.tuning.pruner == "wilcoxon":
            index = trial.jobs.index(job)
            value = value_of(trial.search, 0, record)
            trial.pruned = value is not None and trial.search.report(trial.number, index, value)
            if not trial.pruned and index + 1 < len(trial.jobs):
                self._hand_out(trial, [trial.jobs[index + 1]])

    def _settle(self) -> None:
        """Tell what is over; with a fixed order a batch is told as a whole, in the order of its numbers."""
        for search in self._searches:
            own = sorted((trial for trial in self._trials if trial.search is search), key=lambda trial: trial.number)
            if search.tuning.order == "fixed" and not self._batch_is_over(search, own):
                continue
            for trial in [trial for trial in own if trial.over]:
                self._trials.remove(trial)
                outcome = outcome_of(trial.search, trial.jobs, trial.records, trial.reason, pruned=trial.pruned)
                search.tell(trial.number, outcome)
                self._watcher.told(search, trial.number, outcome)

    def _batch_is_over(self, search: Search, own: list[_Trial]) -> bool:
        asked = len(search.proposed)
        whole = asked % search.tuning.batch == 0 or asked >= search.target or self._out_of_time(search)
        return whole and all(trial.over for trial in own)


def _told(complaints: list[Complaint]) -> str:
    """Why settings do not go together."""
    return "; ".join(f"{'.'.join(str(piece) for piece in c.path)}: {c.message}" for c in complaints[:3])


def value_of(search: Search, index: int, record: Record | None) -> float | None:
    """What a run is worth on one objective."""
    if record is None:
        return None
    name = search.objectives[index].name
    if name == "seconds":
        return record.seconds
    if name in COSTS:
        return record.cost.get(COST_NAMES[name])
    score = next((s for s in record.scores if (s.split, s.metric) == (search.tuning.split, name)), None)
    return score.value if score is not None else None


def outcome_of(
    search: Search, jobs: Sequence[Job], records: dict[str, Record], reason: str, *, pruned: bool
) -> Outcome:
    """What came of a trial: the mean over its seeds on each objective."""
    known = [records[job.id] for job in jobs if job.id in records]
    spent, steps = sum(record.seconds for record in known), sum(record.steps for record in known)
    main = [value_of(search, 0, record) for record in known]
    if pruned:
        return Outcome("pruned", [None] * len(search.objectives), reason, main, spent, steps)
    values = [_mean([value_of(search, i, records.get(job.id)) for job in jobs]) for i in range(len(search.objectives))]
    if not reason and None in values:
        lacking = [objective.name for objective, value in zip(search.objectives, values, strict=True) if value is None]
        reason = f"no value of {', '.join(lacking)}"
    if reason:
        values[0] = None
    return Outcome("failed" if reason else "ok", values, reason, main, spent, steps)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if values and len(known) == len(values) else None


def watched(search: Search, job: Job, curves: dict[str, Any]) -> Iterator[float | None]:
    """The values of a run that a pruner compares, turned so that they have the direction of the objective.

    That is the objective itself where evaluations compute it, else what selects the checkpoint.
    """
    objective = search.objectives[0]
    column = curves.get(f"{search.tuning.split}_{objective.name}")
    if column is not None:
        yield from column
        return
    monitor = job.settings["training"]["monitor"]
    turned = 1 if metric_info(monitor).direction == objective.direction else -1
    for value in curves.get(f"{search.tuning.split}_{monitor}", []):
        yield None if value is None else turned * value
