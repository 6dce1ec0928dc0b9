from math import isnan

import pytest
from numpy.random import default_rng
from scipy import stats

from paribus.stats.crossing import Crossing, Curve, crossing

XS = (100, 1000, 10_000)
Gains = tuple[float, float, float]


def curves(gains: Gains, seeds: int, noise: float = 0.01) -> tuple[Curve, Curve]:
    dice = default_rng(seeds)
    first = {x: {seed: 0.5 + 0.1 * dice.normal() for seed in range(seeds)} for x in XS}
    second = {
        x: {seed: score + gain + noise * dice.normal() for seed, score in first[x].items()}
        for x, gain in zip(XS, gains, strict=True)
    }
    return first, second


def of(gains: Gains, seeds: int = 5, noise: float = 0.01) -> Crossing:
    return crossing(*curves(gains, seeds, noise))


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_a_clear_crossing_exists_and_its_interval_holds_the_place(seeds: int) -> None:
    found = of((-0.2, -0.1, 0.1), seeds, noise=0.005)
    assert found.answer == "exists"
    assert found.logarithmic
    assert found.interval.low < 3162 < found.interval.high  # halfway between 1,000 and 10,000 on a log scale
    assert not found.open_low
    assert not found.open_high


def test_the_place_worked_by_hand() -> None:
    first = {1: {0: 0.0, 1: 0.0, 2: 0.0}, 2: {0: 0.0, 1: 0.0, 2: 0.0}}
    second = {1: {0: -1.1, 1: -1.0, 2: -0.9}, 2: {0: 2.9, 1: 3.0, 2: 3.1}}
    found = crossing(first, second)
    assert found.x == pytest.approx(1.25)
    assert not found.logarithmic


def test_at_the_points_the_p_values_are_those_of_the_paired_t_test() -> None:
    first, second = curves((-0.2, 0.01, 0.1), 5)
    raw = [stats.ttest_rel(list(second[x].values()), list(first[x].values())).pvalue for x in XS]
    found = crossing(first, second)
    assert max(found.p) == pytest.approx(max(raw))
    assert min(found.p) == pytest.approx(3 * min(raw))


def test_one_side_everywhere_is_no_crossing() -> None:
    found = of((0.2, 0.1, 0.2))
    assert found.answer == "does not exist"
    assert isnan(found.x)
    assert isnan(found.interval.low)


def test_noise_leaves_it_undecided_with_an_open_interval() -> None:
    found = of((-0.01, 0.0, 0.01), 10, noise=0.5)
    assert found.answer == "undecided"
    assert found.open_low
    assert found.open_high


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_or_points_decide_nothing(seeds: int) -> None:
    assert of((-0.2, -0.1, 0.1), seeds).answer == "undecided"
    assert crossing({1: {0: 1.0}}, {}).answer == "undecided"


def test_without_noise_nothing_is_decided() -> None:
    flat = {x: {seed: float(seed) for seed in range(5)} for x in XS}
    assert crossing(flat, flat).answer == "undecided"


def test_swapping_the_series_keeps_the_place_and_flips_the_signs() -> None:
    first, second = curves((-0.2, -0.1, 0.1), 5)
    one, other = crossing(first, second), crossing(second, first)
    assert (one.x, one.interval, one.answer) == (other.x, other.interval, other.answer)
    assert one.means == pytest.approx([-mean for mean in other.means])
