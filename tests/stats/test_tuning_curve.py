from itertools import combinations, product
from math import isnan, nan

import numpy as np
import pytest
from numpy.random import default_rng

from paribus.stats.tuning_curve import band, best_so_far, expected_best, finished, settled

TRIALS = [0.3, 0.9, 0.5, 0.5, 0.7]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_expected_best_is_that_of_all_draws(n: int) -> None:
    with_return = np.mean([max(draw) for draw in product(TRIALS, repeat=n)])
    without = np.mean([max(draw) for draw in combinations(TRIALS, n)])
    assert expected_best(TRIALS)[n - 1] == pytest.approx(with_return)
    assert expected_best(TRIALS, how="tang")[n - 1] == pytest.approx(without)


def test_the_unbiased_curve_ends_at_the_best_and_the_other_below() -> None:
    assert expected_best(TRIALS, how="tang")[-1] == pytest.approx(0.9)
    assert expected_best(TRIALS)[-1] < 0.9


def test_less_is_better_where_the_sign_says_so() -> None:
    assert expected_best(TRIALS, sign=-1)[0] == pytest.approx(np.mean(TRIALS))
    assert list(expected_best(TRIALS, sign=-1)) == pytest.approx([-v for v in expected_best([-t for t in TRIALS])])


def test_a_failed_trial_counts_as_the_worst_that_finished() -> None:
    assert list(finished([0.5, nan, 0.9])) == [0.5, 0.5, 0.9]
    assert list(finished([0.5, nan, 0.9], -1)) == [-0.5, -0.9, -0.9]
    assert expected_best([nan, nan]) == ()


def test_the_band_of_twenty_trials_is_wide_and_holds_the_curve() -> None:
    trials = list(default_rng(0).random(20))
    curve, ends = expected_best(trials), band(trials, bounds=(0.0, 1.0))
    assert all(end.low <= value <= end.high for end, value in zip(ends, curve, strict=True))
    mirrored = band([1 - trial for trial in trials], sign=-1, bounds=(0.0, 1.0))
    assert [end.low for end in mirrored] == pytest.approx([1 - end.high for end in ends])


def test_without_bounds_no_end_is_known() -> None:
    assert isnan(band(TRIALS)[0].high)
    assert isnan(band(TRIALS, sign=-1)[0].low)


def test_the_band_covers_as_often_as_it_says() -> None:
    dice = default_rng(1)
    truth = np.arange(1, 11) / np.arange(2, 12)  # the mean of the largest of n uniform numbers
    held = 0
    for _ in range(200):
        ends = band(list(dice.random(10)), level=0.8, bounds=(0.0, 1.0))
        held += all(end.low <= value <= end.high for end, value in zip(ends, truth, strict=True))
    assert held / 200 >= 0.8


def test_the_best_so_far_passes_over_failures() -> None:
    found = best_so_far([nan, 0.5, 0.4, nan, 0.6])
    assert isnan(found[0])
    assert found[1:] == (0.5, 0.5, 0.5, 0.6)
    assert best_so_far([3.0, 1.0, 2.0], sign=-1) == (3.0, 1.0, 1.0)


def test_the_budget_from_which_the_order_stands() -> None:
    assert settled({"a": [0.1, 0.2, 0.9], "b": [0.5, 0.5, 0.5]}) == 3
    assert settled({"a": [0.1, 0.2], "b": [0.5, 0.5]}) is None
    assert settled({"a": [0.1, 0.2]}) is None


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 20])
@pytest.mark.parametrize("failed", [False, True])
def test_curves_of_any_number_of_trials_with_ties_and_failures(count: int, failed: bool) -> None:
    trials = [float(value) for value in default_rng(count).random(count).round(1)]
    seen = [*trials, nan] if failed else trials
    known = [*trials, min(trials)] if failed else trials
    curves = expected_best(seen), expected_best(seen, how="tang")
    for n in range(1, min(3, len(known)) + 1):
        assert curves[0][n - 1] == pytest.approx(np.mean([max(draw) for draw in product(known, repeat=n)]))
        assert curves[1][n - 1] == pytest.approx(np.mean([max(draw) for draw in combinations(known, n)]))
    assert all(len(curve) == len(known) for curve in curves)
    assert best_so_far(seen) == tuple(max(seen[: n + 1][:count]) for n in range(len(seen)))
    ends = band(seen, bounds=(0.0, 1.0))
    assert all(end.low <= value <= end.high for end, value in zip(ends, curves[0], strict=True))


def test_thirty_arms_settle_when_the_last_of_them_does() -> None:
    arms = {f"a{index}": [float(index)] * 5 for index in range(29)}
    assert settled({**arms, "late": [-1.0, -1.0, -1.0, 50.0, 50.0]}) == 4
    assert settled(arms) is None
    assert settled({}) is None
