from collections.abc import Sequence
from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from paribus.errors import ParibusError
from paribus.stats.contrast import Contrast, Observation, compare, compare_all
from paribus.stats.table import contrasts
from paribus.stats.verdict import VERDICTS, Rule

BASE = [0.95, 0.96, 0.94, 0.955, 0.945]
LADDER = {  # how good a verdict is for the arm
    **dict.fromkeys(("better",), 4),
    **dict.fromkeys(("negligibly better",), 3),
    **dict.fromkeys(("equivalent",), 2),
    **dict.fromkeys(("inconclusive", "negligibly worse", "worse"), 1),
}


def runs(values: Sequence[float | str]) -> list[Observation]:
    """A number is a finished run; a word is the status of one that is not."""
    return [
        Observation(seed, value) if isinstance(value, str) else Observation(seed, "ok", value)
        for seed, value in enumerate(values, 1)
    ]


def one(values: Sequence[float | str], baseline: Sequence[float | str] = BASE, **rule: object) -> Contrast:
    chosen = Rule(**{"direction": "max", "smallest_effect": 0.02, **rule})  # type: ignore[arg-type]
    return compare({"base": runs(baseline), "arm": runs(values)}, "base", chosen)["arm"]


def shifted(*shifts: float) -> list[float]:
    return [value + shift for value, shift in zip(BASE, shifts, strict=False)]


WAYS: list[tuple[str, Sequence[float | str]]] = [
    ("better", shifted(0.05, 0.06, 0.055, 0.05, 0.06)),
    ("worse", shifted(-0.05, -0.06, -0.055, -0.05, -0.06)),
    ("negligibly better", shifted(0.005, 0.006, 0.0055, 0.005, 0.006)),
    ("negligibly worse", shifted(-0.005, -0.006, -0.0055, -0.005, -0.006)),
    ("equivalent", shifted(0.003, -0.004, 0.001, -0.002, 0.002)),
    ("inconclusive", shifted(0.05, -0.06, 0.03, -0.02, 0.04)),
    ("identical", BASE),
    ("insufficient", [*shifted(0.05, 0.06), "pending", "running", "pending"]),
    ("insufficient", ["pending"] * 5),
    ("unstable", [*shifted(0.05, 0.06, 0.055), "diverged", "timeout"]),
    ("failed", ["crashed", "diverged", "diverged", "timeout", "crashed"]),
]


@pytest.mark.parametrize(("verdict", "values"), WAYS)
def test_every_verdict_is_reached(verdict: str, values: Sequence[float | str]) -> None:
    assert one(values).verdict == verdict


def test_the_verdicts_reached_are_all_there_are() -> None:
    assert {verdict for verdict, _ in WAYS} | {"not applicable"} == set(VERDICTS)


def test_less_is_better_where_the_metric_says_so() -> None:
    found = one(shifted(-0.05, -0.06, -0.055, -0.05, -0.06), direction="min")
    assert found.verdict == "better"
    assert found.paired.mean == pytest.approx(0.055)
    assert found.of_arm.mean == pytest.approx(0.895)


def test_a_constant_shift_is_insufficient_not_certain() -> None:
    found = one([0.5, 0.25, 0.75], [0.25, 0.0, 0.5])
    assert found.verdict == "insufficient"
    assert isnan(found.p)


def test_one_seed_is_description_only() -> None:
    found = one([0.99], [0.95])
    assert (found.verdict, found.paired.n) == ("insufficient", 1)
    assert found.outlook.seeds_observed is None


def test_a_loser_by_failures_is_no_winner_on_survivors() -> None:
    values = [*shifted(0.001, 0.002, -0.001), "diverged"]
    found = one(values, BASE[:4], smallest_effect=0.05)
    assert found.verdict == "inconclusive"
    assert "worst case flips it" in found.tags
    without = one(shifted(0.001, 0.002, -0.001), BASE[:3], smallest_effect=0.05)
    assert without.verdict == "equivalent"


def test_a_winner_with_one_failure_stays_one_given_it_finishes() -> None:
    found = one([*shifted(0.05, 0.06, 0.055, 0.05), "diverged"])
    assert found.verdict == "better"
    assert "given it finishes" in found.tags
    assert (found.worst_losses, found.counts.failed) == (1, 1)


def test_not_a_number_is_a_failed_run() -> None:
    found = one([*shifted(0.05, 0.06, 0.055, 0.05), nan])
    assert (found.counts.ok, found.counts.failed, found.paired.n) == (4, 1, 4)


def test_runs_to_come_make_a_verdict_provisional() -> None:
    assert "provisional" in one([*shifted(0.05, 0.06, 0.055, 0.05), "interrupted"]).tags


def test_an_arm_without_capacity_is_outside_the_family() -> None:
    arms = {"base": runs(BASE), "a": runs(shifted(0.02, 0.03, 0.02, 0.01, 0.02))}
    rule = Rule("max")
    alone = compare(arms, "base", rule)["a"]
    cannot = [Observation(seed, "ok", nan, applicable=False) for seed in range(1, 6)]
    found = compare({**arms, "short": cannot}, "base", rule)
    assert found["short"].verdict == "not applicable"
    assert found["a"].p == alone.p
    assert compare({**arms, "crashed": runs(["crashed"] * 5)}, "base", rule)["a"].p == pytest.approx(2 * alone.p)


def test_an_effect_beyond_the_margin_and_an_arm_no_worse_are_tagged() -> None:
    assert "by at least the smallest effect" in one(WAYS[0][1]).tags
    assert "not worse" in one(WAYS[4][1]).tags
    assert "exact test cannot reach alpha" in one(WAYS[0][1]).tags


@given(
    some.lists(some.floats(-0.1, 0.1), min_size=2, max_size=7),
    some.sampled_from(["diverged", "crashed", "timeout"]),
)
@settings(max_examples=60, deadline=None)
def test_one_more_failed_run_never_improves_a_verdict(shifts: list[float], how: str) -> None:
    base = [0.9 + 0.01 * index for index in range(len(shifts) + 1)]
    values = [value + shift for value, shift in zip(base, shifts, strict=False)]
    before, after = one(values, base[:-1]), one([*values, how], base)
    assert LADDER.get(after.verdict, 0) <= LADDER.get(before.verdict, 0)


def table(arms: dict[str, Sequence[float]]) -> pd.DataFrame:
    rows = [(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"])


@pytest.mark.parametrize("arms", [1, 2, 30])
def test_a_table_gives_one_row_for_each_arm_with_p_of_scipy_corrected_by_holm(arms: int) -> None:
    dice = np.random.default_rng(arms)
    values = {f"a{index}": list(0.9 + 0.02 * dice.standard_normal(5)) for index in range(arms)}
    found = contrasts(table({"base": BASE, **values}), baseline="base", direction="max")
    known = [stats.ttest_rel(scores, BASE).pvalue for scores in values.values()]
    assert list(found["arm"]) == list(values)
    assert list(found["p_t"]) == pytest.approx(known)
    assert found["p_holm"].min() == pytest.approx(min(1, arms * min(known)))
    assert (found["p_holm"] >= found["p_t"]).all()


def test_a_table_with_only_the_baseline_has_no_contrast_but_all_columns() -> None:
    found = contrasts(table({"base": BASE}), baseline="base", direction="max")
    assert found.empty
    assert {"arm", "improvement", "ci_low", "p_holm", "verdict"} <= set(found.columns)


def test_seeds_that_one_side_lacks_make_no_pair() -> None:
    frame = table({"base": BASE[:4], "arm": shifted(0.05, 0.06, 0.055, 0.05, 0.06)})
    found = contrasts(frame, baseline="base", direction="max").iloc[0]
    assert (found["n_planned"], found["n_ok"], found["n_pairs"]) == (5, 5, 4)


def test_tasks_are_families_of_their_own() -> None:
    frame = pd.concat([table({"base": BASE, "arm": WAYS[0][1]}).assign(task=task) for task in ("one", "two")])
    found = contrasts(frame, baseline="base", direction="max")
    assert list(found["task"]) == ["one", "two"]
    assert (found["p_holm"] == found["p_t"]).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table({"a": BASE}), "no arm is called .base.. Known: a"),
        (table({"base": BASE}).drop(columns="seed"), "the table lacks the column seed; it has arm, value"),
        (pd.concat([table({"base": BASE})] * 2), "more than one value for arm base, seed 0"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ParibusError, match=message):
        contrasts(frame, baseline="base", direction="max")


SIZES = (1, 2, 3, 5, 10, 20)


def drawn(n: int, seed: int = 0) -> list[float]:
    return list(0.9 + 0.02 * np.random.default_rng(seed).standard_normal(n))


@pytest.mark.parametrize("n", SIZES)
def test_without_pairs_the_test_is_that_of_welch(n: int) -> None:
    arm, base = drawn(n), drawn(n + 2, 1)
    found = one(arm, base, pairing="none", min_pairs=2).paired
    assert found.mean == pytest.approx(np.mean(arm) - np.mean(base))
    if n == 1:
        assert isnan(found.p)
        return
    known = stats.ttest_ind(arm, base, equal_var=False)
    ends = known.confidence_interval(0.95)
    assert (found.p, found.df) == pytest.approx((known.pvalue, known.df))
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))
    lower, upper = (
        stats.ttest_ind(arm, np.array(base) + side * 0.02, equal_var=False, alternative=way).pvalue
        for side, way in ((-1, "greater"), (1, "less"))
    )
    assert found.p_tost == pytest.approx(max(lower, upper))


def test_without_pairs_equal_scores_are_still_identical_and_other_seeds_still_compare() -> None:
    assert one(BASE, pairing="none").verdict == "identical"
    strangers = [Observation(seed + 100, "ok", value + 0.1) for seed, value in enumerate(BASE)]
    found = compare({"base": runs(BASE), "arm": strangers}, "base", Rule("max", pairing="none"))["arm"]
    assert found.verdict == "better"
    assert not found.differences


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_a_pooled_variance_is_that_of_the_additive_model(n: int) -> None:
    from statsmodels.formula.api import ols

    arms = {name: runs(drawn(n, index)) for index, name in enumerate(("base", "a", "b", "c"))}
    rows = [(arm, run.seed, run.value) for arm, some in arms.items() for run in some]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "y"])
    model = ols("y ~ C(arm, Treatment('base')) + C(seed)", frame).fit()
    found = compare(arms, "base", Rule("max", variance="pooled", min_pairs=2))
    if found["a"].not_pooled:
        assert "noisy" in found["a"].not_pooled
        return
    for arm in "abc":
        name = f"C(arm, Treatment('base'))[T.{arm}]"
        pairs = found[arm].paired
        assert (pairs.mean, pairs.p) == pytest.approx((model.params[name], model.pvalues[name]))
        assert (pairs.interval.low, pairs.interval.high) == pytest.approx(tuple(model.conf_int().loc[name]))
        assert pairs.df == 3 * (n - 1)
        alone = compare({"base": arms["base"], arm: arms[arm]}, "base", Rule("max"))[arm].paired.p
        assert found[arm].alone.p == pytest.approx(alone)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([*drawn(4, 2), "diverged"], "a run failed"),
        (drawn(4, 2), "not every arm has every seed"),
        ([0.5, 1.5, 0.2, 1.9, 0.7], "noisy"),
    ],
)
def test_variances_are_not_pooled_where_they_may_differ(values: Sequence[float | str], why: str) -> None:
    arms = {"base": runs(BASE), "quiet": runs(drawn(5, 3)), "arm": runs(values)}
    found = compare(arms, "base", Rule("max", variance="pooled"))["quiet"]
    assert why in found.not_pooled
    assert found.paired == found.alone


def test_all_pairs_are_one_family() -> None:
    arms = {"base": runs(BASE), **{name: runs(drawn(5, index)) for index, name in enumerate("abc")}}
    found = compare_all(arms, "base", Rule("max", comparisons="all"))
    assert [(contrast.arm, contrast.baseline) for contrast in found] == [
        ("a", "base"), ("b", "base"), ("c", "base"), ("b", "a"), ("c", "a"), ("c", "b"),
    ]  # fmt: skip
    assert min(c.p for c in found) == pytest.approx(6 * min(c.paired.p for c in found))
    assert list(compare(arms, "base", Rule("max", comparisons="all"))) == ["a", "b", "c"]


def test_an_arm_of_another_size_is_compared_with_the_baseline_of_that_size() -> None:
    arms = {"base": runs(BASE), "small": runs(drawn(5, 1)), "gru,small": runs(drawn(5, 2))}
    found = compare(arms, "base", Rule("max"), {"gru,small": "small"})
    assert (found["gru,small"].baseline, found["small"].baseline) == ("small", "base")
    assert found["gru,small"].paired.mean == pytest.approx(np.mean(drawn(5, 2)) - np.mean(drawn(5, 1)))


def test_an_excluded_run_counts_for_nothing() -> None:
    kept, out = shifted(0.05, 0.06, 0.055, 0.05), [*shifted(0.05, 0.06, 0.055, 0.05), "excluded"]
    assert one(out).paired == one(kept).paired
    assert one(out).counts == one(kept).counts


@pytest.mark.parametrize("n", SIZES)
def test_failures_are_told_in_three_ways(n: int) -> None:
    values: list[float | str] = [*(0.99 + 0.001 * index for index in range(n)), "diverged"]
    found = one(values, [0.9] * (n + 1), unstable_failure_rate=1.0)
    assert (found.paired.wins, found.worst_losses) == (n, 1)
    assert found.p_worst == pytest.approx(stats.binomtest(n, n + 1).pvalue)
    ends = stats.binomtest(1, n + 1).proportion_ci(method="exact")
    assert (found.failure_interval.low, found.failure_interval.high) == pytest.approx((ends.low, ends.high))
    assert found.p_failures == pytest.approx(stats.fisher_exact([[1, n], [0, n + 1]]).pvalue)
    ends = stats.binomtest(n, n).proportion_ci(method="exact")
    share = found.paired.share_interval
    assert (share.low, share.high) == pytest.approx((ends.low, ends.high))


def test_zero_of_five_against_four_of_five_only_just_shows_worked_by_hand() -> None:
    found = one([0.9, "diverged", "diverged", "diverged", "diverged"])
    assert found.p_failures == pytest.approx(12 / 252)  # margins 5, 5 and 4 failures


def test_an_effect_found_with_little_power_is_overstated() -> None:
    assert not one(WAYS[0][1]).overstated
    found = one(shifted(0.05, 0.12, 0.07, 0.02, 0.08), smallest_effect=0.001)
    assert found.verdict == "better"
    assert found.overstated


@given(
    some.lists(some.floats(-0.1, 0.1), min_size=2, max_size=20),
    some.integers(0, 19),
    some.sampled_from(["diverged", "crashed", "timeout"]),
)
@settings(max_examples=60, deadline=None)
def test_a_run_that_fails_instead_leaves_a_good_verdict_only_to_a_winner_of_most_planned_pairs(
    shifts: list[float], at: int, how: str
) -> None:
    base = [0.9 + 0.01 * index for index in range(len(shifts))]
    values: list[float | str] = [value + shift for value, shift in zip(base, shifts, strict=True)]
    values[at % len(shifts)] = how
    after = one(values, base)
    if LADDER.get(after.verdict, 0) > 1:
        assert after.paired.won > len(shifts) / 2
        assert "given it finishes" in after.tags


def test_a_lost_pair_that_fails_instead_may_lift_a_verdict_which_is_said() -> None:
    kept = [0.05, 0.06, 0.055, 0.05]
    lost, failed = one(shifted(*kept, -0.06)), one([*shifted(*kept), "diverged"])
    assert (lost.verdict, failed.verdict) == ("inconclusive", "better")
    assert "given it finishes" in failed.tags
    assert one([*shifted(*kept), "diverged"], unstable_failure_rate=0.01).verdict == "unstable"


@given(some.lists(some.lists(some.floats(0.5, 1), min_size=4, max_size=4), min_size=2, max_size=31))
@settings(max_examples=25, deadline=None)
def test_one_more_arm_never_makes_another_more_certain(table: list[list[float]]) -> None:
    arms = {"base": runs(BASE[:4]), **{f"a{index}": runs(values) for index, values in enumerate(table)}}
    fewer = {name: values for name, values in arms.items() if name != f"a{len(table) - 1}"}
    before, after = compare(fewer, "base", Rule("max", 0.1)), compare(arms, "base", Rule("max", 0.1))
    for name, contrast in before.items():
        assert not after[name].p < contrast.p - 1e-12
        assert not after[name].p_tost < contrast.p_tost - 1e-12
        low, wide = contrast.paired.simultaneous, after[name].paired.simultaneous
        assert isnan(low.low) or wide.low <= low.low + 1e-12
