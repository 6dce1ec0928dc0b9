import numpy as np
import pytest
from scipy import stats

from paribus.stats import distributions, ranks, tasks
from paribus.stats.paired import welch
from paribus.stats.power import detectable, equatable, equivalence_power, power

SHARES = [1e-12, 0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-9]
DEGREES = [1, 2, 2.7, 4, 19, 250, 9_999]
CLOSE = {"rel": 1e-12, "abs": 1e-300, "nan_ok": True}


@pytest.mark.parametrize("df", DEGREES)
def test_tails_and_quantiles_are_those_of_scipy(df: float) -> None:
    values = np.array([-np.inf, -40.0, -1.5, 0.0, 1e-9, 2.0, 33.0, np.inf, np.nan])
    assert distributions.t_tail(values, df) == pytest.approx(stats.t.sf(values, df), **CLOSE)
    assert distributions.chi2_quantile(np.array(SHARES), df) == pytest.approx(stats.chi2.ppf(SHARES, df), **CLOSE)
    for share in SHARES:
        assert distributions.t_quantile(share, df) == pytest.approx(float(stats.t.ppf(share, df)), **CLOSE)
        for f, of in ((share, 1), (1 / share, 3)):
            assert distributions.f_tail(f, of, df) == pytest.approx(float(stats.f.sf(f, of, df)), **CLOSE)


def test_those_of_the_normal_are_too() -> None:
    values = np.array([-9.0, -1.0, 0.0, 3.5])
    assert distributions.normal_share(values) == pytest.approx(stats.norm.cdf(values), **CLOSE)
    assert distributions.normal_quantile(np.array(SHARES)) == pytest.approx(stats.norm.ppf(SHARES), **CLOSE)


@pytest.mark.parametrize(("count", "n"), [(1, 2), (3, 5), (40, 97), (996, 1000)])
def test_those_of_beta_from_both_ends_are_too(count: int, n: int) -> None:
    for share in (0.005, 0.025, 0.4):
        found = distributions.beta_quantile(share, count, n - count + 1)
        assert found == pytest.approx(float(stats.beta.ppf(share, count, n - count + 1)), rel=1e-10)
        found = distributions.beta_quantile(share, count, n - count + 1, upper=True)
        assert found == pytest.approx(float(stats.beta.isf(share, count, n - count + 1)), rel=1e-10)


@pytest.mark.parametrize("n", [1, 2, 5, 10, 33, 1000])
def test_the_sign_test_is_the_binomial_one(n: int) -> None:
    for wins in {0, 1, n // 3, n // 2, (n + 1) // 2, n}:
        assert distributions.sign_test(wins, n) == pytest.approx(float(stats.binomtest(wins, n).pvalue), **CLOSE)


@pytest.mark.parametrize(("size", "other"), [(2, 2), (3, 7), (30, 12)])
def test_welch_is_that_of_scipy(size: int, other: int) -> None:
    generator = np.random.default_rng(size)
    arm, baseline = generator.normal(0.3, 2, size), generator.normal(0, 1, other)
    known = float(stats.ttest_ind(arm, baseline, equal_var=False).pvalue)
    assert welch(arm, baseline) == pytest.approx(known, rel=1e-12)
    assert welch(arm, np.zeros(other)) == pytest.approx(float(stats.ttest_1samp(arm, 0).pvalue), rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 101])
def test_the_interquartile_mean_is_a_trimmed_mean(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    assert tasks.interquartile_mean(values) == pytest.approx(float(stats.trim_mean(values, 0.25)), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 50, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 91])
def test_what_seeds_can_find_is_exact(n: int, alpha: float) -> None:
    for least, chance in ((detectable(n, alpha), power), (equatable(n, alpha), equivalence_power)):
        assert chance(least, n, alpha) >= 0.8 > chance(least * (1 - 1e-9), n, alpha)


@pytest.mark.parametrize("arms", [1, 2, 7])
def test_ranks_are_those_of_scipy_also_where_means_tie(arms: int) -> None:
    means = np.random.default_rng(arms).integers(0, 4, (arms, 50)) / 3
    assert (ranks._ranked(means) == stats.rankdata(-means, axis=0)).all()
