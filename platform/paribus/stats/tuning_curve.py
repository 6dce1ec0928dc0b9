"""What tuning with a smaller budget would have found: the expected best of n trials, with a band."""

from collections.abc import Mapping, Sequence
from math import comb, isnan, log, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paribus.stats.interval import Interval

Array = NDArray[np.float64]


def finished(values: Sequence[float], sign: int = 1) -> Array:
    """The trials, more being better; one that failed counts as the worst that finished."""
    oriented = sign * np.array(values, dtype=float)
    known = oriented[np.isfinite(oriented)]
    return np.where(np.isfinite(oriented), oriented, known.min()) if len(known) else known


def expected_best(
    values: Sequence[float], *, sign: int = 1, how: Literal["dodge", "tang"] = "dodge"
) -> tuple[float, ...]:
    """The expected best of 1, 2, ... N random trials, in the metric's own direction.

    `dodge` draws with replacement (Dodge et al. 2019): biased, but it misleads least (Dodge et al. 2021); `tang` is
    unbiased (Tang et al. 2020). Both are for random search alone: trials must not depend on those before them.
    """
    ordered = np.sort(finished(values, sign))
    count = len(ordered)
    chances = _with_replacement if how == "dodge" else _without
    return tuple(sign * float(ordered @ chances(count, n)) for n in range(1, count + 1))


def _with_replacement(count: int, n: int) -> Array:
    """The chance of each trial, worst first, to be the best of n draws."""
    return np.diff((np.arange(count + 1) / count) ** n)


def _without(count: int, n: int) -> Array:
    whole = comb(count, n)
    return np.array([(comb(i, n) - comb(i - 1, n)) / whole for i in range(1, count + 1)])


def band(
    values: Sequence[float], *, sign: int = 1, level: float = 0.8, bounds: tuple[float, float] | None = None
) -> tuple[Interval, ...]:
    """Where the true expected best lies for all budgets at once, by the bound of Dvoretzky, Kiefer and Wolfowitz.

    The end towards better needs the metric's bounds; without them it is not known (nan).
    """
    ordered = np.sort(finished(values, sign))
    count = len(ordered)
    if not count:
        return ()
    reach = sqrt(log(2 / (1 - level)) / (2 * count))
    seen = np.arange(1, count + 1) / count
    least, most = sorted(sign * end for end in bounds) if bounds else (nan, nan)
    found = []
    for n in range(1, count + 1):
        low = _expected(np.r_[least, ordered], np.minimum(1.0, np.r_[0.0, seen] + reach), n)
        high = _expected(np.r_[ordered, most], np.r_[np.maximum(0.0, seen - reach), 1.0], n)
        found.append(Interval(low, high) if sign > 0 else Interval(-high, -low))
    return tuple(found)


def _expected(points: Array, shares: Array, n: int) -> float:
    """The mean of the best of n draws from a distribution function that is `shares` at `points`."""
    chances = np.diff(np.r_[0.0, shares**n])
    kept = chances > 0
    return float(points[kept] @ chances[kept])


def best_so_far(values: Sequence[float], *, sign: int = 1) -> tuple[float, ...]:
    """The best up to each trial, for samplers that learn; nan until one finishes."""
    found, best = [], nan
    for value in values:
        if not isnan(value) and (isnan(best) or sign * value > sign * best):
            best = value
        found.append(best)
    return tuple(found)


def settled(curves: Mapping[str, Sequence[float]], *, sign: int = 1) -> int | None:
    """The budget from which on the order of the arms no longer changes; None if it never was another, or cannot be."""
    length = min(map(len, curves.values()), default=0)
    if length < 2 or len(curves) < 2:
        return None
    names = list(curves)
    orders = [tuple(sorted(names, key=lambda name: (-sign * curves[name][n], name))) for n in range(length)]
    last = next((n for n in range(length - 1, 0, -1) if orders[n] != orders[n - 1]), None)
    return None if last is None else last + 1
