"""What tasks and ranks come to: improvements over all tasks in units of noise, and how sure the order of arms is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng

from paribus.report.numbers import fixed, interval, signed
from paribus.report.results import Results
from paribus.stats.contrast import Contrast
from paribus.stats.ranks import Rank, best, stability
from paribus.stats.tasks import Estimate, improved, improvement, in_noise

DRAWS = 2_000
SEED = 0  # of the bootstrap: the same store gives the same page


@dataclass(frozen=True)
class Overall:
    """One arm over all tasks; intervals are by bootstrap, approximate and too narrow for few seeds."""

    arm: str
    improvement: Estimate  # interquartile mean of differences in units of the baseline's spread over seeds
    share_won: Estimate  # of (task, seed) pairs

    @property
    def sentence(self) -> str:
        ends = interval(self.improvement.interval.low, self.improvement.interval.high, 2)
        told = f"{signed(self.improvement.value, 2)} {ends}".strip()
        return (
            f"{self.arm}: {told} noise floors over all tasks; wins {fixed(100 * self.share_won.value, 0)} % of pairs."
        )


def overall(results: Results, contrasts: Mapping[str, Mapping[str, Contrast]]) -> tuple[Overall, ...]:
    """Every arm over all tasks; nothing where there is one task, or an arm lacks one."""
    if len(contrasts) < 2:
        return ()
    found = []
    for row in results.others:
        tables = [_in_noise(results, task, of[row.name]) for task, of in contrasts.items()]
        if all(len(table) and np.isfinite(table).all() for table in tables):
            gain = improvement(tables, default_rng(SEED), draws=DRAWS)
            found.append(Overall(row.name, gain, improved(tables, default_rng(SEED), draws=DRAWS)))
    return tuple(found)


def _in_noise(results: Results, task: str, contrast: Contrast) -> np.ndarray:
    metric, split = next((results.metric(t), results.split(t)) for t in results.plan.tasks if t.name == task)
    base = [run.value for run in results.observations(contrast.baseline, task, metric.name, split) if run.ok]
    return in_noise(np.array([difference for _, difference in contrast.differences]), np.array(base))


def ranks(results: Results, task: str) -> list[Rank]:
    """Where each arm stands on a task, over the seeds that all arms have."""
    info = next(t for t in results.plan.tasks if t.name == task)
    metric, split = results.metric(info), results.split(info)
    scores = {
        row.name: {run.seed: run.value for run in results.observations(row.name, task, metric.name, split) if run.ok}
        for row in results.plan.arms
    }
    finished = {arm: values for arm, values in scores.items() if values}
    return stability(finished, default_rng(SEED), sign=-1 if metric.direction == "min" else 1, draws=DRAWS)


def best_told(found: Sequence[Rank]) -> str:
    """Who may be called the best."""
    name = best(found)
    if name is not None:
        return f"{name} is best in {fixed(100 * next(r.first for r in found if r.arm == name), 0)} % of the draws."
    first = max(found, key=lambda rank: rank.first, default=None)
    share = "" if first is None else f": {first.arm} is first in {fixed(100 * first.first, 0)} % of the draws"
    return f"No arm can be called the best{share}."
