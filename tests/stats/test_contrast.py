from collections.abc import Sequence
from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from paribus.errors import ParibusError
from paribus.stats.contrast import Contrast, Observation, compare, contrasts
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
        (table({"a": BASE}), "no arm is called 'base'; the table has a"),
        (table({"base": BASE}).drop(columns="seed"), "the table lacks the column seed; it has arm, value"),
        (pd.concat([table({"base": BASE})] * 2), "more than one value for arm base, seed 0"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ParibusError, match=message):
        contrasts(frame, baseline="base", direction="max")
