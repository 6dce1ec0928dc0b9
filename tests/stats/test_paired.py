from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import special, stats
from statsmodels.stats.weightstats import ttost_paired

from paribus.stats.paired import (
    Paired,
    correlation,
    floor,
    hedges,
    no_spread,
    p_different,
    p_equivalent,
    paired,
    sign_flip,
    superiority,
    unpaired,
    welch,
)

ARM = np.array([0.91, 0.84, 0.93, 0.88, 0.97, 0.90, 0.86, 0.95, 0.89, 0.92])
BASELINE = np.array([0.85, 0.86, 0.88, 0.87, 0.90, 0.83, 0.87, 0.91, 0.82, 0.90])

MORE = np.array([0.91, 0.84, 0.84, 0.88, 0.99, 0.93, 0.80, 0.95, 0.87, 0.94])
ARMS, BASELINES = np.r_[ARM, MORE], np.r_[BASELINE, BASELINE[::-1]]  # with ties, for up to 20 seeds

scores = some.lists(some.tuples(some.floats(-3, 3), some.floats(-3, 3)), min_size=3, max_size=8)


def of(arm: np.ndarray, baseline: np.ndarray, effect: float | None = None, comparisons: int = 1) -> Paired:
    return paired(arm, baseline, alpha=0.05, comparisons=comparisons, smallest_effect=effect)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_interval_and_p_are_those_of_the_paired_t_test(n: int) -> None:
    found, known = of(ARMS[:n], BASELINES[:n]), stats.ttest_rel(ARMS[:n], BASELINES[:n])
    ends = known.confidence_interval(0.95)
    assert (found.t, found.p) == pytest.approx((known.statistic, known.pvalue))
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_the_simultaneous_interval_is_bonferronis(n: int) -> None:
    found = of(ARMS[:n], BASELINES[:n], comparisons=5)
    ends = stats.ttest_rel(ARMS[:n], BASELINES[:n]).confidence_interval(0.99)
    assert (found.simultaneous.low, found.simultaneous.high) == pytest.approx((ends.low, ends.high))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_equivalence_is_that_of_two_one_sided_tests(n: int) -> None:
    found = of(ARMS[:n], BASELINES[:n], effect=0.04)
    assert found.p_tost == pytest.approx(ttost_paired(ARMS[:n], BASELINES[:n], -0.04, 0.04)[0])
    known = stats.ttest_1samp(ARMS[:n] - BASELINES[:n], -0.04, alternative="greater")
    assert found.p_not_worse == pytest.approx(known.pvalue)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_sign_flips_are_those_of_scipy(n: int) -> None:
    differences = ARM[:n] - BASELINE[:n]
    known = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(differences) == pytest.approx(known.pvalue)


def test_drawn_sign_flips_come_near_the_exact_ones_and_repeat() -> None:
    differences = np.r_[ARM - BASELINE, 0.03 - (ARM - BASELINE)[:7]]
    known = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = sign_flip(differences)
    assert found == sign_flip(differences[::-1])
    assert found == pytest.approx(known.pvalue, abs=0.01)


def test_five_equal_wins_meet_the_floor_worked_by_hand() -> None:
    assert sign_flip(np.array([1.0, 2, 3, 4, 5])) == 2 / 32 == floor(5)
    assert [floor(n) for n in (0, 1, 2, 3, 10)] == [1, 1, 0.5, 0.25, 2 / 1024]


def test_any_margin_from_the_least_one_on_is_equivalent() -> None:
    least = of(ARM, BASELINE).least_margin
    assert of(ARM, BASELINE, least * 1.001).p_tost < 0.05 < of(ARM, BASELINE, least * 0.999).p_tost


def test_effect_sizes_worked_by_hand() -> None:
    found = of(np.array([2.0, 3, 4]), np.array([1.0, 1, 1]))
    assert (found.mean, found.sd, found.dz) == (2, 1, 2)
    assert hedges(2) == pytest.approx(0.5642, abs=1e-4)  # sqrt(1/pi)
    assert found.gz == pytest.approx(2 * 0.5642, abs=1e-3)


def test_one_pair_and_none_have_no_test() -> None:
    one, none = of(ARM[:1], BASELINE[:1], 0.1), of(ARM[:0], BASELINE[:0], 0.1)
    assert one.mean == pytest.approx(0.06)
    assert (one.wins, one.n, none.n) == (1, 1, 0)
    assert all(isnan(value) for value in (one.p, one.p_tost, one.sd, one.interval.low, none.mean, none.p))


def test_no_spread_gives_no_p_instead_of_zero() -> None:
    shifted, same = of(ARM + 0.1, ARM), of(ARM, ARM)
    assert shifted.constant
    assert isnan(shifted.p)
    assert same.identical
    assert same.ties == 10
    assert not of(ARM, BASELINE).constant


def test_ties_are_counted_and_lift_the_floor() -> None:
    found = of(np.array([1.0, 2, 3, 5]), np.array([1.0, 2, 1, 1]))
    assert (found.wins, found.ties, found.losses) == (2, 2, 0)
    assert found.signflip_floor == floor(2) == found.p_signflip
    assert found.share_won == 0.75


def test_welch_and_superiority_are_those_of_scipy() -> None:
    arm, baseline = ARM[:6], BASELINE[:4]
    assert welch(arm, baseline) == pytest.approx(stats.ttest_ind(arm, baseline, equal_var=False).pvalue)
    assert superiority(arm, baseline) == pytest.approx(stats.mannwhitneyu(arm, baseline).statistic / 24)
    assert isnan(welch(arm[:1], baseline))
    assert isnan(correlation(arm[:2], baseline[:2]))
    assert correlation(ARM, BASELINE) == pytest.approx(stats.pearsonr(ARM, BASELINE).statistic)


def test_scores_that_differ_by_rounding_alone_go_together_with_nothing() -> None:
    rounding = np.array([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2])
    assert rounding.std() > 0
    assert isnan(correlation(rounding, BASELINE[:4]))
    assert isnan(correlation(ARM[:4], rounding))


@given(scores)
@settings(max_examples=40, deadline=None)
def test_swapping_the_arms_flips_every_sign(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    one, other = of(x, y, 0.5), of(y, x, 0.5)
    assert one.mean == pytest.approx(-other.mean)
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert (one.p, one.p_tost, one.p_signflip) == pytest.approx((other.p, other.p_tost, other.p_signflip), nan_ok=True)
    assert one.interval.low == pytest.approx(-other.interval.high, nan_ok=True)


@given(scores, some.sampled_from([0.125, 4.0, 1024.0]))
@settings(max_examples=40, deadline=None)
def test_another_unit_scales_estimates_and_leaves_p(pairs: list[tuple[float, float]], unit: float) -> None:
    x, y = np.array(pairs).T
    one, other = of(x, y, 0.5), of(x * unit, y * unit, 0.5 * unit)
    assert other.mean == pytest.approx(one.mean * unit)
    assert other.least_margin == pytest.approx(one.least_margin * unit, nan_ok=True)
    assert (one.p, one.p_tost, one.dz) == pytest.approx((other.p, other.p_tost, other.dz), nan_ok=True)


@given(scores, some.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_seeds_changes_nothing(pairs: list[tuple[float, float]], dice: object) -> None:
    x, y = np.array(pairs).T
    order = np.array(sorted(range(len(pairs)), key=lambda _: dice.random()))  # type: ignore[attr-defined]
    one, other = of(x, y, 0.5), of(x[order], y[order], 0.5)
    assert (one.p, one.p_signflip, one.mean) == pytest.approx((other.p, other.p_signflip, other.mean), nan_ok=True)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20])
def test_what_forgets_or_measures_pairs_is_that_of_scipy_at_every_size(n: int) -> None:
    x, y = ARMS[:n], BASELINES[:n]
    assert superiority(x, y) == pytest.approx(stats.mannwhitneyu(x, y).statistic / n**2)
    if n == 1:
        assert isnan(welch(x, y))
    else:
        assert welch(x, y) == pytest.approx(stats.ttest_ind(x, y, equal_var=False).pvalue)
    if n < 3:
        assert isnan(correlation(x, y))
    else:
        assert correlation(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_effect_sizes_and_counts_are_those_of_their_formulas(n: int) -> None:
    found, differences = of(ARMS[:n], BASELINES[:n]), ARMS[:n] - BASELINES[:n]
    nu = n - 1
    factor = special.gamma(nu / 2) / (np.sqrt(nu / 2) * special.gamma((nu - 1) / 2))
    assert found.dz == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.gz == pytest.approx(factor * found.dz)
    assert (found.wins, found.ties, found.losses) == tuple(
        int(some.sum()) for some in (differences > 0, differences == 0, differences < 0)
    )
    assert found.signflip_floor == 2.0 ** (1 - (differences != 0).sum())


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("others", [0, 2])
def test_without_pairs_the_interval_is_that_of_welch(n: int, others: int) -> None:
    x, y = (dict(enumerate(values)) for values in (ARMS[:n], np.r_[BASELINES[:n], BASELINES[:others] + 0.01]))
    found = unpaired(x, y, alpha=0.05, comparisons=4, smallest_effect=0.05)
    known = stats.ttest_ind(list(x.values()), list(y.values()), equal_var=False)
    ends, wide = known.confidence_interval(0.95), known.confidence_interval(1 - 0.05 / 4)
    assert (found.t, found.df, found.p) == pytest.approx((known.statistic, known.df, known.pvalue))
    assert (found.interval.low, found.simultaneous.high) == pytest.approx((ends.low, wide.high))


def test_without_pairs_one_run_none_and_no_spread_have_no_test() -> None:
    for x, y in (({1: 1.0}, {1: 2.0}), ({}, {1: 2.0}), ({1: 1.0, 2: 1.0}, {1: 2.0, 2: 2.0})):
        found = unpaired(x, y, alpha=0.05, comparisons=1, smallest_effect=0.1)
        assert isnan(found.p)
        assert isnan(found.p_tost)


def test_only_the_rounding_of_subtraction_is_no_spread() -> None:
    shifted = ARM + 0.1
    assert no_spread(float((shifted - ARM).std(ddof=1)), shifted, ARM)
    assert not no_spread(1e-9, shifted, ARM)


@pytest.mark.parametrize(("mean", "se", "df"), [(0.3, 0.1, 1), (-0.3, 0.2, 4), (0.0, 0.1, 9), (0.5, 0.1, 19)])
def test_p_values_of_a_mean_are_tails_of_t(mean: float, se: float, df: int) -> None:
    assert float(p_different(mean, se, df)) == pytest.approx(2 * stats.t.cdf(-abs(mean) / se, df))
    ends = stats.t.sf((mean + 0.4) / se, df), stats.t.cdf((mean - 0.4) / se, df)
    assert float(p_equivalent(mean, se, df, 0.4)) == pytest.approx(max(ends))
