"""Where one curve overtakes another: the point with its interval, and whether there is one at all."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paribus.stats.correction import adjusted
from paribus.stats.interval import NOWHERE, Interval
from paribus.stats.paired import no_spread, p_different

Array = NDArray[np.float64]
Curve = Mapping[float, Mapping[Hashable, float]]  # x -> seed -> score, oriented so that more is better

GRID = 512  # places looked at between two x
WIDE = 8.0  # x that span more than this ratio are compared on a logarithmic scale


@dataclass(frozen=True)
class Crossing:
    """Where the mean difference of two curves is zero; positive differences favour the second."""

    answer: Literal["exists", "does not exist", "undecided"]
    x: float  # nan where the means do not cross; the first place where they do
    interval: Interval  # all places between which the difference may be zero; an end of the range where it is open
    open_low: bool
    open_high: bool
    points: tuple[float, ...]
    means: tuple[float, ...]
    p: tuple[float, ...]  # of a difference at each point, corrected by Holm
    seeds: int
    logarithmic: bool


def crossing(first: Curve, second: Curve, *, alpha: float = 0.05, min_pairs: int = 3) -> Crossing:
    """Paired by seed; between two x the difference is taken to be straight."""
    xs = sorted(x for x in first if x in second)
    common = [set(curve[x]) for x in xs for curve in (first, second)]
    seeds = sorted(set.intersection(*common), key=repr) if common else []
    logarithmic = len(xs) > 1 and xs[0] > 0 and xs[-1] / xs[0] > WIDE
    if len(xs) < 2 or len(seeds) < max(2, min_pairs):
        return Crossing("undecided", nan, NOWHERE, True, True, tuple(xs), (), (), len(seeds), logarithmic)
    differences = np.array([[second[x][seed] - first[x][seed] for seed in seeds] for x in xs])
    means, p = _tested(differences)
    corrected = adjusted([float(value) for value in p], "holm")
    places = np.log(xs) if logarithmic else np.array(xs, dtype=float)
    back = exp if logarithmic else float
    fine = np.unique(np.concatenate([np.linspace(a, b, GRID) for a, b in pairwise(places)]))
    table = np.array([np.interp(fine, places, column) for column in differences.T]).T
    maybe = ~(_tested(table)[1] <= alpha)
    inside = np.flatnonzero(maybe)
    ends = NOWHERE
    if len(inside):
        ends = Interval(back(fine[inside[0]]), back(fine[inside[-1]]))
    root = _root(fine, table.mean(1))
    return Crossing(
        _answer(means, p, corrected, alpha),
        nan if root is None else back(root),
        ends,
        bool(len(inside) and inside[0] == 0),
        bool(len(inside) and inside[-1] == len(fine) - 1),
        tuple(map(float, xs)),
        tuple(map(float, means)),
        tuple(corrected),
        len(seeds),
        logarithmic,
    )


def _tested(differences: Array) -> tuple[Array, Array]:
    """Means over seeds, and p values, which are nan where the seeds vary nothing."""
    n = differences.shape[1]
    means, sd = differences.mean(1), differences.std(1, ddof=1)
    flat = np.array([no_spread(float(s), row) for s, row in zip(sd, differences, strict=True)])
    p = p_different(means, np.where(flat, 1.0, sd) / sqrt(n), n - 1)
    return means, np.where(flat, np.nan, p)


def _answer(
    means: Array, p: Array, corrected: list[float], alpha: float
) -> Literal["exists", "does not exist", "undecided"]:
    """It exists where one point is surely above and another surely below; not, where all are surely on one side."""
    sure = [mean > 0 for mean, value in zip(means, corrected, strict=True) if value <= alpha]
    if True in sure and False in sure:
        return "exists"
    # That all are on one side is an intersection of hypotheses: each needs to pass uncorrected.
    if (p <= alpha).all() and (np.sign(means) == np.sign(means[0])).all():
        return "does not exist"
    return "undecided"


def _root(places: Array, means: Array) -> float | None:
    """The first place where the mean changes its sign, by straight lines."""
    for index in range(len(means) - 1):
        left, right = means[index], means[index + 1]
        if left == 0:
            return float(places[index])
        if left * right < 0:
            return float(places[index] + (places[index + 1] - places[index]) * left / (left - right))
    return float(places[-1]) if means[-1] == 0 else None
