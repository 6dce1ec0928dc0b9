"""Several tasks together: normalised scores, interquartile means, performance profiles, average ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from paribus.stats.interval import NOWHERE, Interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with a bootstrap interval, which is approximate and too narrow for few seeds."""

    value: float
    interval: Interval = NOWHERE


def normalised(scores: Array, chance: float, ceiling: float) -> Array:
    """0 for chance and 1 for the best that is possible."""
    return (scores - chance) / (ceiling - chance)


def in_noise(differences: Array, baseline: Array) -> Array:
    """Differences in units of the baseline's own spread over seeds; nan where it has none."""
    spread = float(baseline.std(ddof=1)) if len(baseline) > 1 else nan
    return differences / (spread or nan)


def interquartile_mean(values: Array) -> float:
    """The mean of the middle half."""
    return float(_middle(values.reshape(1, -1))[0]) if values.size else nan


def resampled(
    tasks: Sequence[Array], statistic: Callable[[Array], Array], generator: Generator, draws: int, level: float
) -> Estimate:
    """A statistic (of each row) of the paired differences of all tasks; seeds are drawn again within each task."""
    value = float(statistic(np.concatenate(tasks)[None])[0]) if tasks else nan
    if any(len(task) < 2 for task in tasks) or not tasks:
        return Estimate(value)
    drawn = [task[generator.integers(0, len(task), (draws, len(task)))] for task in tasks]
    low, high = np.quantile(statistic(np.concatenate(drawn, axis=1)), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, Interval(float(low), float(high)))


def _middle(rows: Array) -> Array:
    """The mean of the middle half of each row."""
    size = rows.shape[1]
    cut = int(0.25 * size)
    return np.asarray(np.partition(rows, (cut, size - cut - 1), axis=1)[:, cut : size - cut].mean(axis=1))


def _won(rows: Array) -> Array:
    found: Array = (np.sign(rows).mean(axis=1) + 1) / 2
    return found


def improvement(tasks: Sequence[Array], generator: Generator, *, draws: int = 9_999, level: float = 0.95) -> Estimate:
    """The interquartile mean of paired differences, which must be in one unit; one array a task."""
    return resampled(tasks, _middle, generator, draws, level)


def improved(tasks: Sequence[Array], generator: Generator, *, draws: int = 9_999, level: float = 0.95) -> Estimate:
    """The share of (task, seed) pairs that the arm wins; a tie is half a win."""
    return resampled(tasks, _won, generator, draws, level)


@dataclass(frozen=True)
class Profile:
    """At each threshold, the share of (task, seed) scores above it."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


FEWEST_POINTS = 10  # a profile of fewer (task, seed) scores is a staircase


def profile(
    tasks: Sequence[Array], thresholds: Sequence[float], generator: Generator, *, draws: int = 999, level: float = 0.95
) -> Profile | None:
    """The performance profile of one arm, or None where it has too few scores."""
    if sum(map(len, tasks)) < FEWEST_POINTS:
        return None
    cuts = np.array(thresholds)

    def above(scores: Array) -> Array:
        return (scores[:, None] > cuts).mean(0)

    found = [
        above(np.concatenate([task[generator.integers(0, len(task), len(task))] for task in tasks]))
        for _ in range(draws)
    ]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    columns = (cuts, above(np.concatenate(tasks)), low, high)
    return Profile(*(tuple(float(value) for value in column) for column in columns))


@dataclass(frozen=True)
class Ranks:
    """Average ranks over tasks, 1 being best; two that differ by less than `critical` cannot be told apart."""

    ranks: tuple[float, ...]
    statistic: float
    p: float
    critical: float


FEWEST_TASKS = 5


def friedman(scores: Array, alpha: float = 0.05) -> Ranks | None:
    """Friedman's test over tasks (rows) of arms (columns), more being better; None for fewer than 5 tasks or 3 arms."""
    count, arms = scores.shape
    if count < FEWEST_TASKS or arms < 3:
        return None
    from scipy import stats

    ranks = stats.rankdata(-scores, axis=1).mean(0)
    alike = (scores == scores[:, :1]).all()  # scipy divides by zero
    test = (nan, nan) if alike else stats.friedmanchisquare(*scores.T)
    q = float(stats.studentized_range.ppf(1 - alpha, arms, np.inf)) / sqrt(2)
    critical = q * sqrt(arms * (arms + 1) / (6 * count))
    return Ranks(tuple(float(rank) for rank in ranks), float(test[0]), float(test[1]), critical)
