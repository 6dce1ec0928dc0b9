from math import isnan

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import stats

from paribus.stats.ranks import best, stability
from paribus.stats.tasks import friedman, improved, improvement, in_noise, interquartile_mean, normalised, profile

DIFFERENCES = [np.array([0.1, 0.3, 0.2]), np.array([-0.1, 0.4, 0.0, 0.2, 0.6])]


def test_the_interquartile_mean_worked_by_hand() -> None:
    assert interquartile_mean(np.arange(8.0)) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.array([5.0])) == 5.0
    assert isnan(interquartile_mean(np.array([])))


def test_scores_and_differences_in_common_units() -> None:
    assert normalised(np.array([0.25, 1.0]), 0.25, 1.0) == pytest.approx([0, 1])
    assert in_noise(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx([1, 2])
    assert np.isnan(in_noise(np.array([1.0]), np.array([2.0, 2.0]))).all()


def test_the_same_generator_gives_the_same_interval_and_seeds_stay_within_their_task() -> None:
    one, two = (improvement(DIFFERENCES, default_rng(3), draws=500) for _ in range(2))
    assert one == two
    assert one.value == interquartile_mean(np.concatenate(DIFFERENCES))
    assert one.interval.low <= one.value <= one.interval.high
    constant = improvement([np.full(4, 0.1), np.full(3, 0.5)], default_rng(0), draws=50)
    assert constant.interval.low == constant.interval.high == pytest.approx(constant.value)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20])
def test_tasks_of_any_size(n: int) -> None:
    found = improvement([np.linspace(0, 1, n)] * 2, default_rng(0), draws=100)
    assert isnan(found.interval.low) == (n == 1)
    assert isnan(improvement([], default_rng(0)).value)


def test_the_share_of_improved_pairs_counts_ties_half() -> None:
    assert improved(DIFFERENCES, default_rng(0), draws=99).value == pytest.approx(6.5 / 8)


def test_a_profile_needs_ten_scores_and_falls() -> None:
    assert profile([np.arange(9.0)], [1], default_rng(0)) is None
    found = profile([np.arange(6.0), np.arange(6.0)], [-1, 2, 9], default_rng(0), draws=99)
    assert found is not None
    assert found.shares == (1.0, 0.5, 0.0)
    assert found.low[1] < 0.5 < found.high[1]


def test_the_critical_difference_is_the_one_that_demsar_printed() -> None:
    # Demsar 2006, section 3.2.2: four classifiers on 14 data sets, 2.569 * sqrt(4 * 5 / (6 * 14)) = 1.25.
    scores = default_rng(0).random((14, 4))
    found = friedman(scores)
    assert found is not None
    assert found.critical == pytest.approx(1.25, abs=0.005)
    assert found.p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
    assert sum(found.ranks) == pytest.approx(10)
    assert friedman(scores[:4]) is None


def test_a_sure_winner_is_called_the_best_and_a_tie_is_not() -> None:
    seeds = range(5)
    table = {"a": {s: 1.0 + s for s in seeds}, "b": {s: 0.5 + s for s in seeds}, "c": {s: 0.5 + s for s in seeds}}
    found = stability(table, default_rng(0), draws=200)
    assert best(found) == "a"
    assert [rank.rank for rank in found] == [1, 2.5, 2.5]
    turned = stability(table, default_rng(0), draws=200, sign=-1)
    assert [rank.first for rank in turned] == [0, 0.5, 0.5]
    assert best(turned) is None


def test_ranks_use_the_seeds_that_all_arms_have() -> None:
    found = stability({"a": {1: 0.0, 2: 5.0}, "b": {1: 1.0}}, default_rng(0), draws=50)
    assert [rank.rank for rank in found] == [2, 1]
    assert stability({}, default_rng(0)) == []
