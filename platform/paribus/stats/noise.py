"""The noise that seeds do not show: that of a finite test set, and that of choosing the best of several."""

from dataclasses import dataclass
from functools import cache
from math import isfinite, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from paribus.stats.distributions import normal_quantile
from paribus.stats.interval import Interval

Array = NDArray[np.float64]


def of_share(share: float, size: int) -> float:
    """The standard error of a share of `size` examples."""
    return sqrt(max(0.0, share * (1 - share)) / size) if isfinite(share) and size else 0.0


@dataclass(frozen=True)
class TestNoise:
    """A mean difference with the sampling of examples in its interval."""

    mean: float
    by_examples: Interval  # these seeds, other examples
    by_both: Interval  # other seeds and other examples
    se_examples: float
    se_seeds: float


def of_examples(
    arm: Array, baseline: Array, generator: Generator, *, draws: int = 2_000, level: float = 0.95
) -> TestNoise:
    """From scores of the same examples, seeds x examples: one draw of examples serves both arms and all seeds."""
    differences = arm - baseline
    seeds, size = differences.shape
    of_example, alone, both = differences.mean(0), [], []
    for _ in range(draws):  # one at a time: a table of all draws of many examples would not fit into memory
        rows = generator.integers(0, size, size)
        counts = np.bincount(generator.integers(0, seeds, seeds), minlength=seeds)
        alone.append(of_example[rows].mean())
        both.append((counts @ differences / seeds)[rows].mean())
    ends = [(1 - level) / 2, (1 + level) / 2]
    of_seed = differences.mean(1)
    return TestNoise(
        float(differences.mean()),
        Interval(*map(float, np.quantile(alone, ends))),
        Interval(*map(float, np.quantile(both, ends))),
        float(of_example.std(ddof=1)) / sqrt(size) if size > 1 else 0.0,
        float(of_seed.std(ddof=1)) / sqrt(seeds) if seeds > 1 else 0.0,
    )


@cache
def optimism(choices: int) -> float:
    """By how many standard errors the best of equally good arms looks better than it is: the mean of the largest."""
    shares = (np.arange(200_000) + 0.5) / 200_000
    return float(normal_quantile(shares ** (1 / choices)).mean())
