"""How scores change with the length of the source, beyond what was trained on too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from statistics import fmean

import numpy as np

from paribus.planning import MetricInfo, TaskInfo
from paribus.report.numbers import general, listed
from paribus.report.panels import Words
from paribus.report.results import Results, metric_named
from paribus.stats.correction import adjusted
from paribus.stats.interval import NOWHERE, Interval, around
from paribus.stats.paired import no_spread, p_different
from paribus.store.kept import Array

BINS = 12
FEWEST = 10  # examples of a stretch of lengths
Columns = Mapping[str, Array]

# How an example-by-example column makes up a metric over some examples.
METRICS: Mapping[str, Callable[[Columns, Array], float]] = {
    "exact_match": lambda found, rows: float(found["exact"][rows].mean()),
    "accuracy": lambda found, rows: float(found["exact"][rows].mean()),
    "token_accuracy": lambda found, rows: float(found["right"][rows].sum() / found["asked"][rows].sum()),
    "loss": lambda found, rows: float(found["loss"][rows].sum() / found["asked"][rows].sum()),
}


@dataclass(frozen=True)
class Bin:
    low: int
    high: int
    count: int  # examples

    @property
    def text(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


@dataclass(frozen=True)
class Gap:
    """How much better an arm is than its baseline on one stretch of lengths, over pairs of runs with one seed."""

    arm: str
    bin: Bin
    mean: float
    se: float
    interval: Interval
    p: float  # after Benjamini and Hochberg over all of them; nan where no test is possible


@dataclass(frozen=True, eq=False)
class Lengths:
    words: Words
    axis: str
    metric: str
    bins: tuple[Bin, ...]
    longest: int | None  # in training
    values: Mapping[str, Mapping[int, tuple[float, ...]]]  # arm -> seed -> one value a bin
    means: Mapping[str, tuple[float, ...]]
    gaps: tuple[Gap, ...]
    alpha: float


def lengths(results: Results, task: TaskInfo, metric: MetricInfo) -> Lengths | None:
    """The deciding metric by length, or another where single examples do not make it up."""
    known = {
        arm.name: {
            seed: joined for seed, kept in results.kept_of(arm.name, task.name) if (joined := _joined(kept.scores))
        }
        for arm in results.plan.arms
    }
    known = {arm: runs for arm, runs in known.items() if runs}
    columns = [found for runs in known.values() for found in runs.values()]
    if not columns:
        return None
    chosen = metric if metric.name in METRICS else metric_named(task, "token_accuracy")
    if chosen.name in ("exact_match", "accuracy") and not all("exact" in found for found in columns):
        chosen = metric_named(task, "token_accuracy")
    longest = next((kept.longest.get("source") for arm in known for _, kept in results.kept_of(arm, task.name)), None)
    bins = tuple(_bins(max((found["source_length"] for found in columns), key=len), longest))
    if len(bins) < 2:
        return None
    measure = METRICS[chosen.name]
    values = {
        arm: {seed: tuple(_values(found, bins, measure)) for seed, found in runs.items()} for arm, runs in known.items()
    }
    means = {arm: tuple(fmean(row) for row in zip(*runs.values(), strict=True)) for arm, runs in values.items()}
    unit = f" ({chosen.unit})" if chosen.unit else ""
    alpha = results.analysis.alpha_a_look
    pairs = {arm: results.against(task.name).get(arm, results.baseline) for arm in values if arm != results.baseline}
    gaps = _gaps(bins, values, pairs, 1 if chosen.direction == "max" else -1, alpha)
    words = _words(chosen, bins, longest, means)
    return Lengths(words, f"{chosen.title}{unit}", chosen.name, bins, longest, values, means, gaps, alpha)


def _gaps(
    bins: Sequence[Bin],
    values: Mapping[str, Mapping[int, Sequence[float]]],
    pairs: Mapping[str, str],
    sign: int,
    alpha: float,
) -> tuple[Gap, ...]:
    """Those of every arm with the baseline that it is paired with, stretch by stretch."""
    found = []
    for arm, baseline in pairs.items():
        seeds = sorted(values[arm].keys() & values.get(baseline, {}).keys())
        for at, one in enumerate(bins):
            own, base = (np.array([values[name][seed][at] for seed in seeds]) for name in (arm, baseline))
            if len(seeds) > 1 and np.isfinite(own - base).all():
                found.append(_gap(arm, one, sign * own, sign * base, alpha))
    corrected = adjusted([gap.p for gap in found], "bh")
    return tuple(replace(gap, p=p) for gap, p in zip(found, corrected, strict=True))


def _gap(arm: str, one: Bin, own: Array, base: Array, alpha: float) -> Gap:
    differences = own - base
    df = len(differences) - 1
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    if no_spread(sd, own, base):
        return Gap(arm, one, mean, 0.0, NOWHERE, nan)
    se = sd / sqrt(len(differences))
    return Gap(arm, one, mean, se, around(mean, se, df, 1 - alpha), float(p_different(mean, se, df)))


def _joined(scores: Mapping[str, Columns]) -> Columns:
    """The test splits one after the other; validation was selected on."""
    parts = [found for split, found in scores.items() if split != "validation"]
    names = [name for name in (parts[0] if parts else {}) if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _bins(found: Array, longest: int | None) -> Iterator[Bin]:
    """Stretches of lengths with examples enough; none holds both what was trained on and what was not."""
    different, counts = np.unique(found, return_counts=True)
    share = FEWEST if len(different) <= BINS else max(FEWEST, len(found) / BINS)
    low, total = None, 0
    for length, count in zip(different.tolist(), counts.tolist(), strict=True):
        low = length if low is None else low
        total += count
        if total >= share or length in (different[-1], longest):
            yield Bin(int(low), int(length), int(total))
            low, total = None, 0


def _values(found: Columns, bins: Sequence[Bin], measure: Callable[[Columns, Array], float]) -> Iterator[float]:
    for one in bins:
        rows = (found["source_length"] >= one.low) & (found["source_length"] <= one.high)
        yield measure(found, rows) if rows.any() else float("nan")


def _words(metric: MetricInfo, bins: Sequence[Bin], longest: int | None, means: Mapping[str, Sequence[float]]) -> Words:
    trained = [index for index, one in enumerate(bins) if longest is None or one.high <= longest]
    beyond = [index for index in range(len(bins)) if index not in trained]

    def told(places: Sequence[int]) -> str:
        return listed(f"{arm} {general(_over(bins, row, places), 3)}" for arm, row in means.items())

    parts = [f"Up to {bins[trained[-1]].high} tokens: {told(trained)}." if trained else ""]
    if beyond:
        parts.append(f"Longer than any source in training: {told(beyond)}.")
    said = " ".join(part for part in parts if part)
    return Words(
        f"{metric.title[0].upper()}{metric.title[1:]} by length of the source",
        f"{said} Bars count test examples; the line marks the longest source in training.",
        f"{len(bins)} stretches of lengths, means over seeds. {said}",
    )


def _over(bins: Sequence[Bin], row: Sequence[float], places: Sequence[int]) -> float:
    """A mean over examples; nan where an arm has no score for some of them."""
    return sum(bins[at].count * row[at] for at in places) / sum(bins[at].count for at in places)
