from math import isnan, nan

import pytest
from scipy import stats

from paribus.stats.interval import around, of_sd, of_share


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_a_mean_is_that_of_t(n: int, level: float) -> None:
    found = around(0.3, 0.1, n - 1, level)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(level, n - 1, 0.3, 0.1))


def test_without_a_standard_error_the_interval_is_a_point_or_nowhere() -> None:
    assert (around(0.3, 0.0, 4, 0.95).low, around(0.3, 0.0, 4, 0.95).high) == (0.3, 0.3)
    assert isnan(around(0.3, nan, 4, 0.95).low)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_the_interval_of_a_standard_deviation_is_where_its_estimate_is_no_surprise(n: int) -> None:
    found = of_sd(2.0, n)
    for end, share in ((found.low, 0.9), (found.high, 0.1)):
        assert stats.chi2.cdf((n - 1) * 4.0 / end**2, n - 1) == pytest.approx(share)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(n: int) -> None:
    for count in {0, 1, n // 2, n}:
        known = stats.binomtest(count, n).proportion_ci(0.95, method="exact")
        found = of_share(count, n)
        assert (found.low, found.high) == pytest.approx((known.low, known.high))
    assert isnan(of_share(0, 0).low)
