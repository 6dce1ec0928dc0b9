import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.random import default_rng
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from paribus.stats.effects import Design, Score, factorial

NORMS, PLACES = ("layer", "batch", "rms"), ("sinusoidal", "none")
TERMS = {("norm",): "C(norm, Sum)", ("place",): "C(place, Sum)", ("norm", "place"): "C(norm, Sum):C(place, Sum)"}


def grid(seeds: int, drop: int = 0) -> list[Score]:
    dice = default_rng(seeds)
    found = [
        Score((norm, place), seed, 0.9 + 0.05 * i - 0.1 * j + 0.04 * i * j + 0.02 * seed + 0.01 * dice.normal())
        for seed in range(seeds)
        for i, norm in enumerate(NORMS)
        for j, place in enumerate(PLACES)
    ]
    return found[drop:]


def frame(scores: list[Score]) -> pd.DataFrame:
    return pd.DataFrame([(*s.levels, s.seed, s.value) for s in scores], columns=["norm", "place", "seed", "y"])


def anova(scores: list[Score], typ: int) -> pd.DataFrame:
    return anova_lm(ols("y ~ C(norm, Sum)*C(place, Sum) + C(seed)", frame(scores)).fit(), typ=typ)


def of(scores: list[Score]) -> Design:
    return factorial({"norm": NORMS, "place": PLACES}, scores)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("drop", [0, 1])
def test_effects_are_those_of_statsmodels(seeds: int, drop: int) -> None:
    found, known = of(grid(seeds, drop)), anova(grid(seeds, drop), 3)
    for effect in found.effects:
        line = known.loc[TERMS[effect.factors]]
        assert (effect.df, effect.f, effect.p) == pytest.approx((line["df"], line["F"], line["PR(>F)"]), rel=1e-6)
    assert found.df == known.loc["Residual", "df"]
    assert found.balanced == (drop == 0)


def test_in_a_balanced_grid_types_two_and_three_agree() -> None:
    known = anova(grid(5), 2)
    assert [effect.f for effect in of(grid(5)).effects] == pytest.approx(
        [known.loc[name, "F"] for name in TERMS.values()]
    )


def test_partial_omega_squared_worked_by_hand() -> None:
    found = of(grid(5))
    square = anova(grid(5), 2).loc["C(place, Sum)", "sum_sq"]
    assert found.effects[1].omega2 == pytest.approx((square - found.mse) / (square + 29 * found.mse))


def test_marginal_means_of_a_balanced_grid_are_plain_means() -> None:
    scores = grid(5)
    found = {mean.levels: mean.mean for mean in of(scores).means}
    plain = [score.value for score in scores if score.levels[0] == "batch"]
    assert found[(("norm", "batch"),)] == pytest.approx(sum(plain) / len(plain))
    cell = [score.value for score in scores if score.levels == ("rms", "none")]
    assert found[("norm", "rms"), ("place", "none")] == pytest.approx(sum(cell) / len(cell))


def test_an_interaction_is_a_difference_of_differences_with_the_interval_of_statsmodels() -> None:
    scores = grid(5)
    mean: dict[tuple[str, ...], float] = {}
    for score in scores:
        mean[score.levels] = mean.get(score.levels, 0.0) + score.value / 5
    step = of(scores).interactions[0].steps[0]
    assert step.estimate == pytest.approx(
        mean["batch", "none"] - mean["batch", "sinusoidal"] - (mean["layer", "none"] - mean["layer", "sinusoidal"])
    )
    formula = "y ~ C(norm, Treatment('layer'))*C(place, Treatment('sinusoidal')) + C(seed)"
    model = ols(formula, frame(scores)).fit()
    name = "C(norm, Treatment('layer'))[T.batch]:C(place, Treatment('sinusoidal'))[T.none]"
    assert (step.interval.low, step.interval.high) == pytest.approx(tuple(model.conf_int().loc[name]))
    assert step.p == pytest.approx(model.pvalues[name])


def test_simple_effects_of_a_balanced_grid_are_differences_of_cell_means() -> None:
    scores = grid(5)
    found = {(step.levels[0], step.at[0]): step for step in of(scores).interactions[0].simple}
    cells = [
        [score.value for score in scores if score.levels == levels] for levels in (("rms", "none"), ("layer", "none"))
    ]
    step = found[("norm", "rms"), ("place", "none")]
    assert step.estimate == pytest.approx(sum(cells[0]) / 5 - sum(cells[1]) / 5)
    assert len(found) == 2 * 2 + 1 * 3


def test_a_half_fraction_tells_main_effects_and_names_what_is_aliased() -> None:
    scores = [
        Score((f"{a}", f"{b}", f"{a * b}"), seed, 3 + 2 * a - b + 0.5 * a * b + 0.01 * ((seed * 7 + a + 2 * b) % 5))
        for seed in range(4)
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    found = factorial(dict.fromkeys("ABC", ("-1", "1")), scores, fraction=True)
    steps = {effect.factors: effect.steps[0].estimate for effect in found.effects}
    assert steps["A",] == pytest.approx(4, abs=0.05)
    assert steps["C",] == pytest.approx(1, abs=0.05)
    assert (("A", "B"), ("C",)) in found.aliased
    assert not found.interactions


def test_an_empty_cell_forbids_main_effects() -> None:
    found = of([score for score in grid(3) if score.levels != ("rms", "none")])
    assert not found.effects
    assert "norm=rms, place=none" in found.problem


def test_one_seed_without_replicates_has_no_test() -> None:
    assert "more seeds" in of(grid(1)).problem
    assert of([]).problem


def test_runs_without_noise_have_no_test() -> None:
    scores = [Score((norm, place), seed, float(len(norm))) for seed in range(3) for norm in NORMS for place in PLACES]
    assert "no test is possible" in of(scores).problem


@given(some.sampled_from([0.25, 8.0]), some.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_units_scale_effects_and_the_order_of_runs_changes_nothing(unit: float, dice: object) -> None:
    scores = grid(3, 1)
    mixed = sorted(scores, key=lambda _: dice.random())  # type: ignore[attr-defined]
    changed = [Score(s.levels, s.seed, s.value * unit) for s in mixed]
    for one, other in zip(of(scores).effects, of(changed).effects, strict=True):
        assert (other.f, other.p, other.omega2) == pytest.approx((one.f, one.p, one.omega2))
        assert other.steps[0].estimate == pytest.approx(unit * one.steps[0].estimate)


@pytest.mark.parametrize(("levels", "seeds"), [(2, 2), (2, 20), (3, 5), (30, 3)])
def test_one_factor_of_up_to_thirty_levels_is_a_two_way_analysis_of_variance(levels: int, seeds: int) -> None:
    names = tuple(f"v{index}" for index in range(levels))
    dice = default_rng(levels)
    scores = [Score((name,), seed, round(dice.normal(), 1)) for name in names for seed in range(seeds)]
    found = factorial({"norm": names}, scores)
    table = np.array([score.value for score in scores]).reshape(levels, seeds)
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    df = (levels - 1) * (seeds - 1)
    f = seeds * table.mean(1).var(ddof=1) / ((rest**2).sum() / df)
    assert (found.effects[0].f, found.df) == pytest.approx((f, df))
    assert found.effects[0].p == found.effects[0].p_holm == pytest.approx(stats.f.sf(f, levels - 1, df))


def test_a_score_that_is_not_a_number_is_a_missing_run() -> None:
    scores = grid(4)
    holed = [Score(scores[0].levels, scores[0].seed, float("nan")), *scores[1:]]
    assert of(holed).effects == of(scores[1:]).effects
    assert not of(holed).balanced
    assert factorial({"norm": ("layer",)}, scores).problem == "every factor needs two values or more"
