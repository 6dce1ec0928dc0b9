"""What runs wrote for the same few examples, and how often arm and baseline are right on different ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from paribus.planning import TaskInfo
from paribus.report.numbers import MISSING, listed, percent, plural
from paribus.report.results import Results
from paribus.store.kept import Array, Kept
from paribus.store.kept import Sample as KeptSample

SHOWN = 6
DISAGREEMENTS = 2  # told of each arm in each direction


@dataclass(frozen=True)
class Sample:
    """An example, who wrote it right, and what the others wrote."""

    row: int
    source: str
    target: str
    right: tuple[str, ...]
    wrong: tuple[tuple[str, str], ...]  # arm, output


@dataclass(frozen=True)
class Disagreement:
    """An arm against the baseline, example by example, as means over seeds."""

    arm: str
    agree: str
    only_baseline: str
    only_arm: str
    examples: tuple[tuple[str, str, str, str], ...]  # source, target, baseline's output, arm's output


@dataclass(frozen=True)
class Samples:
    seed: int
    caption: str
    samples: tuple[Sample, ...]
    disagreements: tuple[Disagreement, ...]


def samples(results: Results, task: TaskInfo) -> Samples | None:
    """Fixed examples as one seed wrote them, or nothing where no run kept any."""
    known = {arm.name: dict(results.kept_of(arm.name, task.name)) for arm in results.plan.arms}
    known = {arm: runs for arm, runs in known.items() if any(kept.samples for kept in runs.values())}
    if not known:
        return None
    seeds = [seed for seed in results.plan.seeds if any(seed in runs for runs in known.values())]
    # The seed that most arms have finished, the first of them.
    seed = max(seeds, key=lambda one: sum(one in runs for runs in known.values()))
    wrote = {arm: {sample.row: sample for sample in runs[seed].samples} for arm, runs in known.items() if seed in runs}
    rows = list(dict.fromkeys(row for found in wrote.values() for row in found))
    return Samples(
        seed,
        f"The first {plural(min(SHOWN, len(rows)), 'example')} by a hash that was fixed before training; seed {seed}.",
        tuple(_sample(row, wrote) for row in rows[:SHOWN]),
        tuple(_disagreements(results, known, wrote)),
    )


def _sample(row: int, wrote: Mapping[str, Mapping[int, KeptSample]]) -> Sample:
    found = {arm: samples[row] for arm, samples in wrote.items() if row in samples}
    one = next(iter(found.values()))
    right = tuple(arm for arm, sample in found.items() if sample.right)
    wrong = tuple((arm, sample.output) for arm, sample in found.items() if not sample.right)
    return Sample(row, one.source, one.target, right, wrong)


def _disagreements(
    results: Results, known: Mapping[str, Mapping[int, Kept]], wrote: Mapping[str, Mapping[int, KeptSample]]
) -> Iterator[Disagreement]:
    base = known.get(results.baseline, {})
    for arm in results.others:
        pairs = [
            (mine, theirs)
            for seed, kept in known.get(arm.name, {}).items()
            if seed in base
            and (mine := _exact(kept)) is not None
            and (theirs := _exact(base[seed])) is not None
            and len(mine) == len(theirs)
        ]
        if pairs:
            yield Disagreement(
                arm.name,
                _share([mine == theirs for mine, theirs in pairs]),
                _share([(theirs == 1) & (mine == 0) for mine, theirs in pairs]),
                _share([(theirs == 0) & (mine == 1) for mine, theirs in pairs]),
                tuple(_apart(wrote.get(results.baseline, {}), wrote.get(arm.name, {}))),
            )


def _exact(kept: Kept) -> Array | None:
    return kept.scores.get("test", {}).get("exact")


def _share(found: list[Array]) -> str:
    return percent(fmean(float(np.mean(one)) for one in found)).lstrip("+") if found else MISSING


def _apart(base: Mapping[int, KeptSample], arm: Mapping[int, KeptSample]) -> Iterator[tuple[str, str, str, str]]:
    """Some examples that one of the two got right, of each kind."""
    for wanted in (True, False):
        rows = [row for row in base if row in arm and base[row].right is wanted and arm[row].right is not wanted]
        for row in rows[:DISAGREEMENTS]:
            yield base[row].source, base[row].target, base[row].output, arm[row].output


def told(sample: Sample) -> str:
    """`right: a, b` for where no table fits."""
    return f"right: {listed(sample.right)}" if sample.right else "nobody wrote it right"
