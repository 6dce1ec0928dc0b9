"""How sure the order of arms is: ranks over seeds drawn again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

SURE = 0.95  # below this nobody is called the best


@dataclass(frozen=True)
class Rank:
    """Where an arm stands, 1 being best; ties share the mean of their ranks."""

    arm: str
    rank: float
    low: float  # 2.5 % of the draws
    high: float  # 97.5 %
    first: float  # the share of draws in which it is alone at the top, or has its part of a tie


def stability(
    scores: Mapping[str, Mapping[object, float]], generator: Generator, *, sign: int = 1, draws: int = 9_999
) -> list[Rank]:
    """The rank of every arm by its mean over the seeds that all arms have, drawn again with the same draw for all."""
    seeds = sorted(set.intersection(*(set(values) for values in scores.values())), key=repr) if scores else []
    if not seeds:
        return []
    table = sign * np.array([[values[seed] for seed in seeds] for values in scores.values()])
    draw = generator.integers(0, len(seeds), (draws, len(seeds)))
    means = _told_apart(table[:, draw].mean(-1))
    ranks = _ranked(means)
    tops = means == means.max(0)
    first = (tops / tops.sum(0)).mean(1)
    seen = _ranked(_told_apart(table.mean(1, keepdims=True)))[:, 0]
    low, high = np.quantile(ranks, [0.025, 0.975], axis=1)
    return [Rank(arm, float(seen[i]), float(low[i]), float(high[i]), float(first[i])) for i, arm in enumerate(scores)]


def _told_apart(means: np.ndarray) -> np.ndarray:
    """Means of equal scores in another order differ by rounding; a tie must stay a tie."""
    scale = float(np.abs(means).max()) or 1.0
    return np.asarray((means / scale).round(12))


def _ranked(means: np.ndarray) -> np.ndarray:
    """The place of each arm (row) among all, from 1 for the greatest mean; those that tie share the middle place."""
    return np.array([(means > row).sum(0) + ((means == row).sum(0) + 1) / 2 for row in means])


def best(ranks: Sequence[Rank]) -> str | None:
    """The arm that may be called the best, if any may."""
    return next((rank.arm for rank in ranks if rank.first >= SURE), None)
