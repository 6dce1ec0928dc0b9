"""Results that were made elsewhere, as a plan with outcomes: a report is written of them as of our own."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from math import isfinite

from paribus.planning import MetricInfo, Plan, Row, Run, TaskInfo
from paribus.spec.analysis import Analysis
from paribus.stats.contrast import Observation
from paribus.store.record import Outcome, Record, Score

Arms = Mapping[str, Sequence[Observation]]
SPLIT = "test"


def taken_in(
    tasks: Mapping[str, Arms], metric: MetricInfo, analysis: Analysis, *, name: str, file: str, command: str
) -> tuple[Plan, dict[str, Outcome]]:
    """The plan of a table, its baseline first, and what each of its rows says; `command` makes the page again."""
    seeds = _numbers([run.seed for arms in tasks.values() for runs in arms.values() for run in runs])
    runs, outcomes = [], {}
    for task, arms in tasks.items():
        for arm, rows in arms.items():
            for row in rows:
                run = Run(_digest(f"{file}/{task}/{arm}/{row.seed}"), arm, task, seeds[row.seed])
                runs.append(run)
                outcomes[run.id] = _outcome(run, row, metric)
    names = dict.fromkeys(arm for arms in tasks.values() for arm in arms)
    values = [(run.arm, run.task, run.seed, outcomes[run.id].status, _value(outcomes[run.id])) for run in runs]
    plan = Plan(
        name=name,
        label="compare",
        question="",
        digest=_digest(repr((values, analysis.model_dump()))),
        file=file,
        text="",
        arms=[Row(arm, {}, "" if index == 0 else "baseline", [], {}) for index, arm in enumerate(names)],
        tasks=[TaskInfo(task, task or name, metric.name, [metric], [SPLIT], {}) for task in tasks],
        seeds=sorted(set(seeds.values())),
        analysis=analysis.model_dump(),
        settings={},
        machine={},
        runs=sorted(runs, key=lambda run: run.seed),
        compared=command,
    )
    return plan, outcomes


def _numbers(seeds: Sequence[Hashable]) -> dict[Hashable, int]:
    """Whole numbers for seeds: themselves, or their places where they are something else."""
    if all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        return {seed: int(str(seed)) for seed in seeds}
    return {seed: place for place, seed in enumerate(sorted(set(seeds), key=str), 1)}


def _outcome(run: Run, row: Observation, metric: MetricInfo) -> Outcome:
    if row.status != "ok":
        return Outcome(run.id, row.status)
    value = row.value if isfinite(row.value) else None
    score = Score(SPLIT, metric.name, value, "" if value is not None else "the table has no value")
    return Outcome(run.id, "ok", Record(run.id, "ok", scores=[score]), 1)


def _value(outcome: Outcome) -> float | None:
    return outcome.record.scores[0].value if outcome.record else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
