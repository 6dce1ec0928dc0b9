"""Intervals for the mean of few values, by Student's t."""

from dataclasses import dataclass
from math import nan, sqrt

from paribus.stats.distributions import beta_quantile, chi2_quantile, t_quantile


@dataclass(frozen=True)
class Interval:
    """Two ends; both are nan where there is none."""

    low: float
    high: float


NOWHERE = Interval(nan, nan)


def around(mean: float, se: float, df: float, level: float) -> Interval:
    """The interval that covers the true mean with probability `level`."""
    half = t_quantile((1 + level) / 2, df) * se
    return Interval(mean - half, mean + half)


def of_sd(sd: float, n: int, level: float = 0.8) -> Interval:
    """The interval for a standard deviation that was estimated from n values."""
    df = n - 1
    low, high = (float(chi2_quantile(share, df)) for share in ((1 + level) / 2, (1 - level) / 2))
    return Interval(sd * sqrt(df / low), sd * sqrt(df / high))


def of_share(count: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval for a share that was counted `count` times in n (Clopper and Pearson)."""
    if n == 0:
        return NOWHERE
    tail = (1 - level) / 2
    low = beta_quantile(tail, count, n - count + 1) if count else 0.0
    high = beta_quantile(tail, count + 1, n - count, upper=True) if count < n else 1.0
    return Interval(low, high)
