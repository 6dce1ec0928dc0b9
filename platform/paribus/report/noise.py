"""The noise of a finite test split, from scores example by example where runs keep them."""

from collections.abc import Mapping

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from paribus.planning import MetricInfo, TaskInfo
from paribus.report.results import Results
from paribus.stats.contrast import Contrast
from paribus.stats.noise import TestNoise, of_examples
from paribus.store.kept import Array

DRAWS = 1_000
SEED = 0  # of the bootstrap: the same store gives the same page

# What an example adds to a metric, and what it counts for.
PARTS: Mapping[str, tuple[str, str]] = {
    "exact_match": ("exact", ""),
    "accuracy": ("exact", ""),
    "token_accuracy": ("right", "asked"),
    "loss": ("loss", "asked"),
}


def of_test(
    results: Results, task: TaskInfo, metric: MetricInfo, split: str, contrasts: Mapping[str, Contrast]
) -> dict[str, tuple[int, TestNoise]]:
    """By arm, the number of examples and what drawing others would do to its difference from its baseline."""
    if metric.name not in PARTS:
        return {}
    sign = -1 if metric.direction == "min" else 1
    known: dict[str, dict[int, NDArray[np.float64]]] = {}
    found = {}
    for arm, contrast in contrasts.items():
        for name in (arm, contrast.baseline):
            if name not in known:
                known[name] = _by_example(results, task, name, metric.name, split)
        mine, theirs = known[arm], known[contrast.baseline]
        seeds = [seed for seed in mine if seed in theirs]
        if len({len(table[seed]) for table in (mine, theirs) for seed in seeds}) == 1:
            x, y = (sign * np.array([table[seed] for seed in seeds]) for table in (mine, theirs))
            found[arm] = (x.shape[1], of_examples(x, y, default_rng(SEED), draws=DRAWS))
    return found


def _by_example(results: Results, task: TaskInfo, arm: str, metric: str, split: str) -> dict[int, NDArray[np.float64]]:
    """Of each seed, numbers an example whose mean is the metric."""
    return {
        seed: _numbers(kept.scores[split], *PARTS[metric])
        for seed, kept in results.kept_of(arm, task.name)
        if {name for name in PARTS[metric] if name} <= kept.scores.get(split, {}).keys()
    }


def _numbers(columns: Mapping[str, Array], part: str, size: str) -> NDArray[np.float64]:
    """A mean over tokens is a ratio of sums, whose noise is that of its straight approximation."""
    parts = columns[part].astype(float)
    if not size:
        return parts
    sizes = columns[size].astype(float)
    ratio = parts.sum() / sizes.sum()
    found: NDArray[np.float64] = ratio + (parts - ratio * sizes) / sizes.mean()
    return found
