from collections.abc import Callable
from math import sqrt

import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from paribus.stats.interval import of_sd
from paribus.stats.power import detectable, equatable, equivalence_power, power, seeds_to_detect, seeds_to_equate


@pytest.mark.parametrize(("effect", "n", "alpha"), [(1.0, 5, 0.05), (0.5, 10, 0.05), (0.9, 20, 0.01), (0.2, 100, 0.05)])
def test_power_is_that_of_the_noncentral_t(effect: float, n: int, alpha: float) -> None:
    assert power(effect, n, alpha) == pytest.approx(TTestPower().power(effect, n, alpha), abs=1e-5)


def test_power_is_known_where_statsmodels_gives_nan() -> None:
    assert power(4.7, 3, 0.01) == pytest.approx(0.488, abs=5e-4)


@pytest.mark.parametrize(
    ("n", "usual", "strict"), [(3, 3.26, 7.32), (5, 1.68, 2.63), (10, 1.00, 1.33), (20, 0.66, 0.84)]
)
def test_the_least_effect_that_n_seeds_find(n: int, usual: float, strict: float) -> None:
    assert detectable(n, 0.05) == pytest.approx(usual, abs=0.005)
    assert detectable(n, 0.01) == pytest.approx(strict, abs=0.005)


def test_no_effect_is_found_as_often_as_alpha_says() -> None:
    assert [power(0.0, n, 0.05) for n in (2, 5, 30)] == pytest.approx([0.05] * 3, abs=1e-4)


@pytest.mark.parametrize("effect", [0.3, 0.8, 1.5, 4.0])
def test_seeds_to_detect_are_the_fewest(effect: float) -> None:
    found = seeds_to_detect(effect, 0.05)
    assert found is not None
    assert power(effect, found, 0.05) >= 0.8
    assert found == 2 or power(effect, found - 1, 0.05) < 0.8


@pytest.mark.parametrize(("n", "margin"), [(3, 2.66), (5, 1.60), (10, 1.00), (20, 0.68)])
def test_margins_that_n_seeds_can_show_equivalence_within(n: int, margin: float) -> None:
    assert equivalence_power(margin, n, 0.05) == pytest.approx(0.8, abs=0.01)
    assert seeds_to_equate(margin + 0.01, 0.05) == n
    assert equatable(n, 0.05) == pytest.approx(margin, abs=0.005)


def test_hopeless_is_none() -> None:
    assert seeds_to_detect(0.0, 0.05) is None
    assert seeds_to_equate(1e-4, 0.05) is None


def test_the_interval_of_a_standard_deviation_holds_it_asymmetrically() -> None:
    found = of_sd(1.0, 5)
    assert (found.low, found.high) == pytest.approx((0.717, 1.939), abs=1e-3)  # sqrt(4 / 7.779), sqrt(4 / 1.064)


def over_spreads(chance: Callable[[float], float], df: int) -> float:
    """The mean of a chance that depends on s, the estimated standard deviation over the true one."""
    density = stats.chi(df, scale=1 / sqrt(df)).pdf
    return float(integrate.quad(lambda s: chance(s) * density(s), 0, 8, limit=400)[0])


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0, 3.0])
def test_power_at_every_size_is_that_of_direct_integration(n: int, effect: float) -> None:
    cut, centre = float(stats.t.ppf(0.975, n - 1)), effect * sqrt(n)
    known = over_spreads(lambda s: float(stats.norm.sf(cut * s - centre) + stats.norm.cdf(-cut * s - centre)), n - 1)
    assert power(effect, n, 0.05) == pytest.approx(known, abs=1e-4)
    assert power(-effect, n, 0.05) == power(effect, n, 0.05)
    cut = float(stats.t.ppf(0.95, n - 1))
    inside = over_spreads(lambda s: max(0.0, 2 * float(stats.norm.cdf(centre - cut * s)) - 1), n - 1)
    assert equivalence_power(effect, n, 0.05) == pytest.approx(inside, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_what_can_be_found_is_found_in_four_of_five(n: int) -> None:
    for alpha in (0.05, 0.05 / 30):
        assert power(detectable(n, alpha), n, alpha) == pytest.approx(0.8)
        assert equivalence_power(equatable(n, alpha), n, alpha) == pytest.approx(0.8)
