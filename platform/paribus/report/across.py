"""Pictures of all tasks together: every arm on every task, shares of runs above a score, and mean ranks."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from paribus.report.numbers import equation, fixed, listed, signed
from paribus.report.overall import SEED, Overall
from paribus.report.panels import Words
from paribus.report.plots import Estimate, Estimates, Picture, Point, Traces
from paribus.report.results import Results
from paribus.stats.contrast import Contrast
from paribus.stats.tasks import friedman, normalised, profile

Contrasts = Mapping[str, Mapping[str, Contrast]]  # task -> arm
THRESHOLDS = 41  # of a profile


def across(results: Results, contrasts: Contrasts, whole: Sequence[Overall]) -> Iterator[Picture]:
    """Nothing where there is one task."""
    if len(contrasts) < 2:
        return
    gains = [one for one in whole if one.arm in _common(contrasts)]
    if gains:
        yield _gains(results, contrasts, gains)
    scores = {arm.name: list(_scores(results, arm.name)) for arm in results.plan.arms}
    yield from _profiles(results, {arm: tables for arm, tables in scores.items() if all(map(len, tables))})
    yield from _ranks(results, scores)


def _common(contrasts: Contrasts) -> set[str]:
    return set.intersection(*(set(of) for of in contrasts.values()))


def _gains(results: Results, contrasts: Contrasts, whole: Sequence[Overall]) -> Estimates:
    groups = []
    for one in whole:
        rows = [
            _row(results, task.name, task.title, contrasts[task.name][one.arm])
            for task in results.plan.tasks
            if task.name in contrasts
        ]
        ends = one.improvement.interval
        rows.append(Estimate("all tasks", one.improvement.value, ends.low, ends.high, ends.low > 0 or ends.high < 0))
        groups.append((one.arm, tuple(rows)))
    told = listed(f"{one.arm} {signed(one.improvement.value, 2)}" for one in whole)
    words = Words(
        "Every arm on every task",
        "Improvements in units of the baseline's spread over seeds, with 95 % intervals; the last row is the "
        "interquartile mean of all pairs. Blue is better or worse by the verdict of the task. Each panel has its own "
        "axis.",
        f"Improvement of each arm by task. Over all tasks: {told}.",
    )
    return Estimates(words, "noise floors", tuple(groups), shared=False, chief=True)


def _row(results: Results, task: str, title: str, contrast: Contrast) -> Estimate:
    noise = contrast.of_baseline.sd or float("nan")
    pairs = contrast.paired
    called = contrast.verdict in ("better", "worse")
    return Estimate(title, pairs.mean / noise, pairs.interval.low / noise, pairs.interval.high / noise, called)


def _scores(results: Results, arm: str) -> Iterator[NDArray[np.float64]]:
    """Scores of each task between what is worst and best, or in noise floors from the baseline where none is named."""
    bounded = all(results.metric(task).bounds for task in results.plan.tasks)
    for task in results.plan.tasks:
        metric, split = results.metric(task), results.split(task)
        values = _finished(results, arm, task.name, metric.name, split)
        base = _finished(results, results.baseline, task.name, metric.name, split)
        low, high = (metric.bounds or [0.0, 1.0])[:2]
        if bounded:
            chance, ceiling = (low, high) if metric.direction == "max" else (high, low)
        elif len(base) < 2 or not stdev(base):
            values = []
        else:
            chance, ceiling = fmean(base), fmean(base) + (1 if metric.direction == "max" else -1) * stdev(base)
        yield normalised(np.array(values), chance, ceiling) if values else np.array([])


def _finished(results: Results, arm: str, task: str, metric: str, split: str) -> list[float]:
    return [run.value for run in results.observations(arm, task, metric, split) if run.ok]


def _profiles(results: Results, scores: Mapping[str, Sequence[NDArray[np.float64]]]) -> Iterator[Picture]:
    values = [value for tables in scores.values() for table in tables for value in table]
    if not values:
        return
    cuts = np.linspace(min(values), max(values), THRESHOLDS).tolist()
    found = {arm: profile(tables, cuts, default_rng(SEED)) for arm, tables in scores.items()}
    known = {arm: one for arm, one in found.items() if one is not None}
    if len(known) < 2:
        return
    points = tuple(
        Point(arm, *place)
        for arm, one in known.items()
        for place in zip(one.thresholds, one.shares, one.low, one.high, strict=True)
    )
    bounded = all(results.metric(task).bounds for task in results.plan.tasks)
    axis = "score, 0 for the worst that there is and 1 for the best" if bounded else "noise floors above the baseline"
    middle = listed(f"{arm} {fixed(100 * one.shares[THRESHOLDS // 2], 0)} %" for arm, one in known.items())
    words = Words(
        "Shares of runs above a score",
        "All tasks and seeds; an arm whose line is never below another's is at least as good throughout. Bands are "
        "bootstrapped and too narrow for few seeds.",
        f"Performance profiles. Above {fixed(cuts[THRESHOLDS // 2], 2)}: {middle}.",
    )
    yield Traces(words, axis, "share of runs above", points, arms=tuple(scores))


def _ranks(results: Results, scores: Mapping[str, Sequence[NDArray[np.float64]]]) -> Iterator[Picture]:
    known = {arm: tables for arm, tables in scores.items() if all(map(len, tables))}
    if len(known) < 3:
        return
    alpha = results.analysis.alpha_a_look
    means = np.array([[table.mean() for table in tables] for tables in known.values()]).T
    found = friedman(means, alpha)
    if found is None:
        return
    reach = found.critical / 2
    order = sorted(zip(known, found.ranks, strict=True), key=lambda pair: pair[1])
    rows = tuple(Estimate(arm, rank, rank - reach, rank + reach, False) for arm, rank in order)
    words = Words(
        "Mean ranks over tasks",
        f"1 is best. Arms whose bars overlap cannot be told apart (Friedman {equation(found.p)}, Nemenyi's critical "
        f"difference {fixed(found.critical, 2)}). An order, no verdict: it depends on which arms are there.",
        f"Mean ranks: {listed(f'{arm} {fixed(rank, 2)}' for arm, rank in order)}.",
    )
    yield Estimates(words, "mean rank", (("", rows),), zero=False)
