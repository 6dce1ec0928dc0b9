from itertools import product
from math import isnan, nan

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


SIZES = [1, 2, 3, 5, 10, 20]


@pytest.mark.parametrize("n", SIZES)
def test_the_middle_and_the_wins_of_any_size_worked_by_hand(n: int) -> None:
    values = default_rng(n).normal(size=n).round(1)
    middle = sorted(values)[n // 4 : n - n // 4]
    assert interquartile_mean(values) == pytest.approx(sum(middle) / len(middle))
    found = improvement([values], default_rng(0), draws=50)
    assert found.value == pytest.approx(sum(middle) / len(middle))
    won = sum(value > 0 for value in values) + sum(value == 0 for value in values) / 2
    assert improved([values], default_rng(0), draws=50).value == pytest.approx(won / n)


@pytest.mark.parametrize("n", [2, 3])
def test_the_interval_of_drawn_seeds_is_that_of_all_draws(n: int) -> None:
    values = np.array([0.1, 0.5, 0.3])[:n]
    means = [np.mean(draw) for draw in product(values, repeat=n)]  # so few that the middle half is all of them
    found = improvement([values], default_rng(0), draws=4000).interval
    known = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    assert (found.low, found.high) == pytest.approx(tuple(known))


@pytest.mark.parametrize("n", [5, 10, 20])
def test_a_profile_counts_scores_above_each_threshold(n: int) -> None:
    tasks = [default_rng(n).random(n).round(1), default_rng(n + 1).random(n).round(1)]
    found = profile(tasks, [0.2, 0.5, 0.5], default_rng(0), draws=99)
    assert found is not None
    known = [sum(score > cut for task in tasks for score in task) / (2 * n) for cut in (0.2, 0.5, 0.5)]
    assert found.shares == pytest.approx(known)
    assert all(low <= share <= high for low, share, high in zip(found.low, known, found.high, strict=True))


@pytest.mark.parametrize("tasks", [5, 10, 20])
@pytest.mark.parametrize("arms", [3, 30])
def test_friedman_is_that_of_scipy_with_ties_and_thirty_arms(tasks: int, arms: int) -> None:
    scores = default_rng(tasks).random((tasks, arms)).round(1)
    found = friedman(scores)
    assert found is not None
    known = stats.friedmanchisquare(*scores.T)
    assert (found.statistic, found.p) == pytest.approx((known.statistic, known.pvalue))
    assert found.ranks == pytest.approx([np.mean(of) for of in zip(*map(stats.rankdata, -scores), strict=True)])


def test_arms_that_are_all_alike_have_no_test() -> None:
    found = friedman(np.ones((6, 3)))
    assert found is not None
    assert isnan(found.p)
    assert found.ranks == (2, 2, 2)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("arms", [1, 3, 30])
def test_ranks_are_those_of_the_means_at_every_size(n: int, arms: int) -> None:
    scores = default_rng(n).random((arms, n)).round(1)
    table = {f"a{index}": dict(enumerate(values)) for index, values in enumerate(scores.tolist())}
    found = stability(table, default_rng(0), draws=100)
    assert [rank.rank for rank in found] == stats.rankdata(-scores.mean(1).round(9)).tolist()
    assert sum(rank.first for rank in found) == pytest.approx(1)
    if n == 1:
        assert all(rank.low == rank.rank == rank.high for rank in found)
    if arms == 1:
        assert best(found) == "a0"


def test_how_often_an_arm_is_first_is_that_of_all_draws() -> None:
    scores = {"a": [0.9, 0.1, 0.5], "b": [0.5, 0.5, 0.6]}
    seeds = list(zip(*scores.values(), strict=True))
    draws = [np.sum(draw, axis=0) for draw in product(seeds, repeat=3)]
    known = sum((a > b) + (a == b) / 2 for a, b in draws) / len(draws)
    found = stability({arm: dict(enumerate(v)) for arm, v in scores.items()}, default_rng(0), draws=9_999)
    assert found[0].first == pytest.approx(known, abs=0.02)


@pytest.mark.parametrize("n", SIZES)
def test_units_of_noise_and_of_what_is_possible_at_every_size(n: int) -> None:
    values = default_rng(n).random(n)
    floor = stats.tstd(values) if n > 1 else nan
    assert in_noise(values, values) == pytest.approx(values / floor, nan_ok=True)
    assert normalised(values, 0.5, 0.75) == pytest.approx(4 * values - 2)
