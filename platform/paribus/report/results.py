"""A plan with what the store knows of its runs, asked by arm, task and seed."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log1p, nan
from statistics import median
from typing import Any

from paribus.planning import MetricInfo, Plan, Row, Run, TaskInfo
from paribus.spec.analysis import Analysis
from paribus.stats.contrast import Contrast, Observation, compare, compare_all
from paribus.stats.verdict import EXCLUDED, FAILURES, Rule
from paribus.store.kept import Kept
from paribus.store.record import Outcome, Record

PENDING = Outcome("")
STEADY = 0.10  # speeds of an arm that differ by no more over seeds need no second look
CLEAR = 2  # a difference in speed of so many spreads over seeds is not the load of the machine


@dataclass(frozen=True)
class Results:
    plan: Plan
    outcomes: Mapping[str, Outcome]
    read: Callable[[str], Kept | None] = lambda run: None  # what a run keeps beside its record

    @cached_property
    def analysis(self) -> Analysis:
        return Analysis.model_validate(self.plan.analysis)

    @cached_property
    def baseline(self) -> str:
        return self.plan.arms[0].name

    @cached_property
    def others(self) -> list[Row]:
        return self.plan.arms[1:]

    @cached_property
    def _runs(self) -> dict[tuple[str, str, int], Run]:
        return {(run.arm, run.task, run.seed): run for run in self.plan.runs}

    def run(self, arm: str, task: str, seed: int) -> Run | None:
        return self._runs.get((arm, task, seed))

    def outcome(self, arm: str, task: str, seed: int) -> Outcome:
        run = self.run(arm, task, seed)
        return self.outcomes.get(run.id, PENDING) if run else PENDING

    def status(self, arm: str, task: str, seed: int) -> str:
        return self.outcome(arm, task, seed).status

    def records(self, arm: str, task: str) -> Iterator[tuple[int, Record]]:
        """What all runs of an arm left, failed ones included."""
        for seed in self.plan.seeds:
            record = self.outcome(arm, task, seed).record
            if record is not None:
                yield seed, record

    def finished(self, arm: str, task: str) -> Iterator[tuple[int, Record]]:
        """What the runs left that ended well."""
        return ((seed, record) for seed, record in self.records(arm, task) if self.status(arm, task, seed) == "ok")

    def kept_of(self, arm: str, task: str) -> Iterator[tuple[int, Kept]]:
        """What the runs that ended well keep beside their records, where they do."""
        for seed, _ in self.finished(arm, task):
            run = self.run(arm, task, seed)
            kept = self._kept(run.id) if run else None
            if kept is not None:
                yield seed, kept

    def _kept(self, run: str) -> Kept | None:
        if run not in self._read:
            self._read[run] = self.read(run)
        return self._read[run]

    @cached_property
    def _read(self) -> dict[str, Kept | None]:
        return {}

    def observations(self, arm: str, task: str, metric: str, split: str) -> list[Observation]:
        """One for each planned run."""
        seeds = [seed for seed in self.plan.seeds if self.run(arm, task, seed)]
        return [self._observation(arm, task, seed, metric, split) for seed in seeds]

    def _observation(self, arm: str, task: str, seed: int, metric: str, split: str) -> Observation:
        outcome = self.outcome(arm, task, seed)
        scores = outcome.record.scores if outcome.record else []
        score = next((score for score in scores if (score.metric, score.split) == (metric, split)), None)
        if score is not None:
            value = nan if score.value is None else score.value
            return Observation(seed, outcome.status, value, applicable=score.reason != "capacity")
        # A run that ended well without this metric was trained before the metric was asked for.
        return Observation(seed, "missing" if outcome.status == "ok" else outcome.status)

    def metric(self, task: TaskInfo) -> MetricInfo:
        """What decides on a task."""
        return metric_named(task, self.plan.deciding(task)[0])

    def split(self, task: TaskInfo) -> str:
        """Where it is measured: the split of the analysis, or test where the task lacks that one."""
        return self.plan.deciding(task)[1]

    def rule(self, task: TaskInfo, metric: MetricInfo, split: str, *, exploratory: bool = False) -> Rule:
        """What decides on one metric; a smallest effect belongs to the main one alone."""
        analysis = self.analysis
        values = [run.value for run in self.observations(self.baseline, task.name, metric.name, split) if run.ok]
        effect = analysis.effect_of(task.name, sum(values) / len(values) if values else nan)
        return Rule(
            "min" if metric.direction == "min" else "max",
            None if exploratory or effect is None or not effect > 0 else effect,
            analysis.alpha_a_look,
            "bh" if exploratory and analysis.correction == "holm" else analysis.correction,
            analysis.min_pairs,
            analysis.unstable_failure_rate,
            analysis.comparisons,
            analysis.pairing,
            analysis.variance,
        )

    def contrasts(
        self, task: TaskInfo, metric: MetricInfo, split: str, *, exploratory: bool = False
    ) -> dict[str, Contrast]:
        """Every arm but the baseline on one metric."""
        return compare(*self._asked(task, metric, split, exploratory))

    def all_contrasts(self, task: TaskInfo, metric: MetricInfo, split: str) -> list[Contrast]:
        """Those of every arm with the baseline, then all other pairs where the analysis compares all."""
        return compare_all(*self._asked(task, metric, split, False))

    def _asked(
        self, task: TaskInfo, metric: MetricInfo, split: str, exploratory: bool
    ) -> tuple[dict[str, list[Observation]], str, Rule, Mapping[str, str]]:
        arms = {arm.name: self.observations(arm.name, task.name, metric.name, split) for arm in self.plan.arms}
        return arms, self.baseline, self.rule(task, metric, split, exploratory=exploratory), self.against(task.name)

    def against(self, task: str) -> Mapping[str, str]:
        """For an arm with another number of training examples, the baseline's cell of that size where there is one."""
        settings = self.plan.settings
        if self.baseline not in settings:
            return {}
        bases = {
            _size(settings[arm.name][task]): arm.name
            for arm in reversed(self.plan.arms)
            if _but_size(settings[arm.name][task]) == _but_size(settings[self.baseline][task])
        }
        return {
            arm.name: base
            for arm in self.others
            if (base := bases.get(_size(settings[arm.name][task]))) not in (None, arm.name, self.baseline)
        }

    def tally(self, arm: str, task: str) -> Counter[str]:
        """How many runs have each status."""
        return Counter(self.status(arm, task, seed) for seed in self.plan.seeds if self.run(arm, task, seed))

    def excluded(self, task: str) -> Iterator[tuple[str, int, str]]:
        """Arm, seed and reason of every run that a person left out."""
        for arm in self.plan.arms:
            for seed in self.plan.seeds:
                outcome = self.outcome(arm.name, task, seed)
                if outcome.status == EXCLUDED:
                    yield arm.name, seed, outcome.error

    def failures(self, arm: str, task: str) -> int:
        return sum(count for status, count in self.tally(arm, task).items() if status in FAILURES)

    def cost(self, arm: str, task: str, name: str) -> float | None:
        """A cost that is the same for all seeds."""
        return next((record.cost[name] for _, record in self.records(arm, task) if name in record.cost), None)

    def speed(self, arm: str, task: str) -> float | None:
        """Tokens a second, the median over runs that ended well."""
        return middle(record.speed for _, record in self.finished(arm, task))

    def unsteady(self, task: str) -> dict[str, tuple[float, float]]:
        """Arms whose speed is not told from the baseline's by runs that differ so: spread over seeds, of each.

        A spread is by what share the fastest run outdoes the slowest one.
        """
        spreads = {arm.name: _spread([r.speed for _, r in self.finished(arm.name, task)]) for arm in self.plan.arms}
        base, found = spreads[self.baseline], {}
        for arm in self.others:
            most = max(spreads[arm.name], base)
            apart = change(self.speed(arm.name, task), self.speed(self.baseline, task))
            if apart is not None and most > STEADY and abs(log1p(apart)) < CLEAR * log1p(most):
                found[arm.name] = (spreads[arm.name], base)
        return found

    def seconds(self, arm: str, task: str) -> float | None:
        return middle(record.seconds for _, record in self.finished(arm, task))

    def memory(self, arm: str, task: str) -> float | None:
        return middle(record.peak_memory for _, record in self.finished(arm, task))


def _size(settings: Mapping[str, Any]) -> object:
    return settings["task"].get("training_examples")


def _but_size(settings: Mapping[str, Any]) -> dict[str, Any]:
    task = {key: value for key, value in settings["task"].items() if key != "training_examples"}
    return {**settings, "task": task}


def reproduce(plan: Plan, arm: str = "") -> str:
    """The command that trains a plan, or one arm of it beside the baseline, where the store lacks it."""
    if plan.compared:
        return plan.compared
    words = ["paribus", "run", plan.file, *(word for text in plan.sets for word in ("--set", text))]
    words += [word for name in ([arm] if arm else plan.only) for word in ("--arms", name)]
    if plan.label == "smoke" and plan.only != ["smoke"]:
        return shlex.join([*words, "--smoke"])
    count = len(plan.seeds)
    seeds = [count] if plan.seeds == list(range(1, count + 1)) else plan.seeds
    return shlex.join([*words, *(word for seed in seeds for word in ("--seeds", str(seed)))])


def metric_named(task: TaskInfo, name: str) -> MetricInfo:
    """The metric of a task; one that the task does not know is taken as it is written, more being better."""
    return next((metric for metric in task.metrics if metric.name == name), MetricInfo(name, name, "max", "", None))


def middle(values: Iterator[float | None]) -> float | None:
    """The median of those that are known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _spread(speeds: Sequence[float | None]) -> float:
    known = [speed for speed in speeds if speed]
    return max(known) / min(known) - 1 if known else 0.0


def change(value: float | None, reference: float | None) -> float | None:
    """By what share a value differs from a reference."""
    return None if value is None or not reference else value / reference - 1
