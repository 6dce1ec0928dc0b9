"""What a number of seeds can show: power of the paired t test and of equivalence by two one-sided tests.

Power is an expectation over s, the ratio of estimated to true standard deviation, taken by Gauss-Legendre quadrature on
the quantiles of s. statsmodels' TTestPower gives nan for few seeds and large effects, which is where experiments live.
"""

from collections.abc import Callable
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from paribus.stats.distributions import chi2_quantile, normal_share, t_quantile

POWER = 0.8
MOST_SEEDS = 10_000  # beyond this an answer in seeds helps nobody

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_SHARES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


@cache
def _ratios(df: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(chi2_quantile(_SHARES, df) / df)
    return found


def power(effect: float, n: int, alpha: float) -> float:
    """The chance that n pairs give p <= alpha, two-sided, when the true difference is `effect` standard deviations."""
    centre = abs(effect) * sqrt(n)
    cut = t_quantile(1 - alpha / 2, n - 1) * _ratios(n - 1)
    return float(_WEIGHTS @ (normal_share(centre - cut) + normal_share(-centre - cut)))


def equivalence_power(margin: float, n: int, alpha: float) -> float:
    """The chance that n pairs show equivalence within `margin` standard deviations when there is no difference."""
    reach = margin * sqrt(n) - t_quantile(1 - alpha, n - 1) * _ratios(n - 1)
    return float(_WEIGHTS @ np.maximum(0.0, 2 * normal_share(reach) - 1))


@cache
def detectable(n: int, alpha: float) -> float:
    """The true difference in standard deviations that n pairs find with 80 % power."""
    return _least(lambda effect: power(effect, n, alpha))


@cache
def equatable(n: int, alpha: float) -> float:
    """The margin in standard deviations within which n pairs show equivalence with 80 % power, if there is none."""
    return _least(lambda margin: equivalence_power(margin, n, alpha))


def _least(chance: Callable[[float], float]) -> float:
    """Doubling, then bisection until the ends are neighbours: the chance grows with the number."""
    low, high = 0.0, 1.0
    while chance(high) < POWER:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high


def seeds_to_detect(effect: float, alpha: float) -> int | None:
    """The fewest seeds that find a difference of `effect` standard deviations with 80 % power, up to 10,000."""
    return _fewest(lambda n: power(effect, n, alpha))


def seeds_to_equate(margin: float, alpha: float) -> int | None:
    """The fewest seeds that show equivalence within `margin` standard deviations with 80 % power, up to 10,000."""
    return _fewest(lambda n: equivalence_power(margin, n, alpha))


def _fewest(chance: Callable[[int], float]) -> int | None:
    """Doubling, then bisection: the chance grows with the number of seeds."""
    high = 2
    while chance(high) < POWER:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return max(high, 2)
