from itertools import combinations, pairwise, permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.random import default_rng
from scipy import stats
from statsmodels.stats.multitest import multipletests

from paribus.stats.attribution import Changes, all_orders, along, left_out, prefixes

NAMES = ("norm", "score", "width")


def worth(subset: Changes) -> float:
    """Norm adds 1, score 2, both together 3 more; width nothing."""
    return ("norm" in subset) + 2.0 * ("score" in subset) + 3.0 * ({"norm", "score"} <= subset)


def cells(seeds: int) -> dict[Changes, dict[int, float]]:
    subsets = [frozenset(some) for size in range(len(NAMES) + 1) for some in combinations(NAMES, size)]
    return {
        subset: {seed: worth(subset) + 0.01 * ((7 * seed * (1 + len(subset))) % 5) for seed in range(seeds)}
        for subset in subsets
    }


def test_shapley_values_worked_by_hand() -> None:
    table = {subset: {0: worth(subset), 1: worth(subset) + 0.5} for subset in cells(1)}
    found = {share.change: share for share in along(table, all_orders(NAMES)).shares}
    # The 3 of the interaction are halved: norm 1 + 1.5, score 2 + 1.5.
    assert [found[name].effect.mean for name in NAMES] == pytest.approx([2.5, 3.5, 0.0])
    assert (found["norm"].first, found["norm"].last) == (1, 4)
    assert (found["score"].first, found["score"].last) == (2, 5)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10, 20])
def test_the_shares_add_up_to_the_whole_difference(seeds: int) -> None:
    found = along(cells(seeds), all_orders(NAMES))
    assert sum(share.effect.mean for share in found.shares) == pytest.approx(found.total.mean)
    assert len(found.seeds) == seeds
    assert found.orders == 6
    assert isnan(found.shares[0].p) == (seeds == 1)


def test_intervals_and_p_are_those_of_the_t_test_over_seeds() -> None:
    table = cells(5)
    found = along(table, [NAMES])
    steps = [table[frozenset({"norm"})][seed] - table[frozenset()][seed] for seed in range(5)]
    known = stats.ttest_1samp(steps, 0.0)
    share = found.shares[0]
    assert share.effect.p == pytest.approx(known.pvalue)
    assert share.effect.interval.low == pytest.approx(known.confidence_interval(0.95).low)
    assert share.p >= share.effect.p


def test_seeds_that_one_cell_lacks_count_for_none() -> None:
    table = cells(4)
    del table[frozenset({"norm"})][2]
    assert along(table, all_orders(NAMES)).seeds == (0, 1, 3)
    assert along({}, all_orders(NAMES)).seeds == ()
    assert along({}, []).shares == ()


def test_what_is_left_out_is_missed() -> None:
    table = cells(5)
    whole = frozenset(NAMES)
    found = left_out(table[whole], {name: table[whole - {name}] for name in NAMES}, table[frozenset()])
    assert [round(share.effect.mean) for share in found.shares] == [4, 5, 0]
    assert found.total.mean == pytest.approx(6, abs=0.05)


def test_the_cells_of_an_order_worked_by_hand() -> None:
    assert prefixes(("a", "b")) == [frozenset(), frozenset({"a"}), frozenset({"a", "b"})]


@given(some.lists(some.integers(0, 5), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_sampled_orders_add_up_too(picks: list[int]) -> None:
    orders = [all_orders(NAMES)[pick] for pick in picks]
    found = along(cells(3), orders)
    assert sum(share.effect.mean for share in found.shares) == pytest.approx(found.total.mean)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 20])
def test_every_share_of_either_design_is_tested_over_seeds_and_corrected(seeds: int) -> None:
    dice = default_rng(seeds)
    table = {subset: {seed: worth(subset) + dice.normal() for seed in range(seeds)} for subset in cells(1)}
    whole, nothing = frozenset(NAMES), frozenset[str]()
    without = {name: table[whole - {name}] for name in NAMES}
    found = left_out(table[whole], without, table[nothing])
    left = [np.subtract(list(table[whole].values()), list(without[name].values())) for name in NAMES]
    known = [stats.ttest_1samp(values, 0.0) for values in left]
    assert [share.effect.p for share in found.shares] == pytest.approx([test.pvalue for test in known])
    assert [share.p for share in found.shares] == pytest.approx(
        list(multipletests([test.pvalue for test in known], method="holm")[1])
    )
    steps = [prefixes(order) for order in permutations(NAMES)]
    for share in along(table, all_orders(NAMES)).shares:
        gains = [
            np.subtract(list(table[after].values()), list(table[before].values()))
            for way in steps
            for before, after in pairwise(way)
            if after - before == {share.change}
        ]
        assert share.effect.p == pytest.approx(stats.ttest_1samp(np.mean(gains, axis=0), 0.0).pvalue)


def test_shares_without_noise_have_no_p_and_one_change_is_the_whole() -> None:
    table = {subset: dict.fromkeys(range(5), worth(subset)) for subset in cells(1)}
    assert all(isnan(share.p) for share in along(table, all_orders(NAMES)).shares)
    one = along({subset: table[subset] for subset in (frozenset[str](), frozenset({"norm"}))}, [("norm",)])
    assert one.shares[0].effect.mean == one.total.mean == 1
    assert left_out({}, {}, {}).shares == ()
