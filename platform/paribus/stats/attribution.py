"""Which of several changes a difference is due to: each left out of all, and averaged over orders of making them."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import nan

import numpy as np

from paribus.stats.correction import adjusted
from paribus.stats.paired import Paired, paired

Changes = frozenset[str]
Scores = Mapping[Hashable, float]  # by seed, oriented so that more is better


@dataclass(frozen=True)
class Share:
    """What one change contributes."""

    change: str
    effect: Paired
    first: float = nan  # when it is made alone
    last: float = nan  # when it is made after all others
    p: float = nan  # corrected by Holm for the number of changes


@dataclass(frozen=True)
class Attribution:
    """The parts of a whole difference; `seeds` are those for which every cell has a score."""

    shares: tuple[Share, ...]
    total: Paired
    seeds: tuple[Hashable, ...]
    orders: int


def left_out(whole: Scores, without: Mapping[str, Scores], start: Scores, *, alpha: float = 0.05) -> Attribution:
    """What each change adds to all the others: the whole minus the whole without it."""
    seeds = _common([whole, start, *without.values()])
    shares = [
        Share(change, effect, last=effect.mean)
        for change, scores in without.items()
        for effect in [_contrast(whole, scores, seeds, alpha, len(without))]
    ]
    return Attribution(_corrected(shares), _contrast(whole, start, seeds, alpha, 1), seeds, 0)


def along(cells: Mapping[Changes, Scores], orders: Sequence[Sequence[str]], *, alpha: float = 0.05) -> Attribution:
    """What each change adds on average over orders of making them, by seed; over all orders these are Shapley values.

    The shares of a seed add up to its whole difference.
    """
    changes = list(orders[0]) if orders else []
    needed = {subset for order in orders for subset in prefixes(order)}
    seeds = _common([cells.get(subset, {}) for subset in needed]) if needed else ()
    nothing, everything = frozenset[str](), frozenset(changes)
    shares = []
    for change in changes:
        steps = [before for order in orders for before in prefixes(order)[:-1] if order[len(before)] == change]
        added = {
            seed: float(np.mean([cells[before | {change}][seed] - cells[before][seed] for before in steps]))
            for seed in seeds
        }
        share = Share(change, _contrast(added, dict.fromkeys(seeds, 0.0), seeds, alpha, len(changes)))
        shares.append(
            replace(
                share,
                first=_step(cells, nothing, change, seeds),
                last=_step(cells, everything - {change}, change, seeds),
            )
        )
    total = _contrast(cells.get(everything, {}), cells.get(nothing, {}), seeds, alpha, 1)
    return Attribution(_corrected(shares), total, seeds, len(orders))


def prefixes(order: Sequence[str]) -> list[Changes]:
    """The cells on one way: nothing, the first change, the first two, ..., all."""
    return [frozenset(order[:length]) for length in range(len(order) + 1)]


def all_orders(changes: Collection[str]) -> list[tuple[str, ...]]:
    return list(permutations(changes))


def _common(tables: Iterable[Scores]) -> tuple[Hashable, ...]:
    first, *others = list(tables)
    return tuple(seed for seed in first if all(seed in other for other in others))


def _contrast(arm: Scores, base: Scores, seeds: Sequence[Hashable], alpha: float, comparisons: int) -> Paired:
    x, y = (np.array([scores[seed] for seed in seeds], dtype=float) for scores in (arm, base))
    return paired(x, y, alpha=alpha, comparisons=comparisons, smallest_effect=None)


def _step(cells: Mapping[Changes, Scores], before: Changes, change: str, seeds: Sequence[Hashable]) -> float:
    after = before | {change}
    if before not in cells or after not in cells or not seeds:
        return nan
    known = [seed for seed in seeds if seed in cells[before] and seed in cells[after]]
    return float(np.mean([cells[after][seed] - cells[before][seed] for seed in known])) if known else nan


def _corrected(shares: Sequence[Share]) -> tuple[Share, ...]:
    ps = adjusted([share.effect.p for share in shares], "holm")
    return tuple(replace(share, p=p) for share, p in zip(shares, ps, strict=True))
