from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace

import pytest

from paribus.planning import Plan
from paribus.report.findings import find
from paribus.report.warnings import Warning
from paribus.store.record import Outcome, Record

Made = SimpleNamespace


def warned(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Warning]:
    return {warning.code: warning for warning in find(plan, outcomes).warnings}


def changed(
    plan: Plan, outcomes: Mapping[str, Outcome], arm: str, change: Callable[[Record], Record]
) -> dict[str, Outcome]:
    """The outcomes with other records for one arm."""
    mine = {run.id for run in plan.runs if run.arm == arm}
    return {
        run: replace(outcome, record=change(outcome.record)) if run in mine and outcome.record else outcome
        for run, outcome in outcomes.items()
    }


def test_equal_arms_have_none_of_these_warnings(made: Made) -> None:
    found = warned(*made.experiment(smallest_effect=None))
    assert not {"BASELINE", "BUDGET", "TOKENS", "TESTTUNED", "POOLED", "OVERSTATED", "EXCLUDED"} & found.keys()


def test_other_steps_and_other_tokens_are_told_with_their_share(made: Made) -> None:
    plan, outcomes = made.experiment()
    found = warned(plan, changed(plan, outcomes, "learned", lambda r: replace(r, steps=1200, tokens=r.tokens // 2)))
    assert found["BUDGET"].evidence == "Steps against the baseline: learned +100.0 %."
    assert found["TOKENS"].evidence == "Tokens seen against the baseline: learned −50.0 %."
    assert found["TOKENS"].arms == ("learned",)


def test_a_baseline_that_breaks_is_no_measure(made: Made) -> None:
    arms = [made.Arm("baseline", 0.9, statuses={1: "diverged", 2: "crashed"}), made.Arm("arm", 0.9)]
    found = warned(*made.experiment(arms))["BASELINE"]
    assert found.evidence == "2 of 5 runs of baseline failed."


def test_comparing_where_checkpoints_were_chosen_is_told(made: Made) -> None:
    assert "TESTTUNED" in warned(*made.experiment(split="validation"))


def test_a_pooled_variance_that_is_refused_says_why(made: Made) -> None:
    found = warned(*made.experiment(variance="pooled"))["POOLED"]
    assert found.evidence == "analysis.variance is pooled, but a run failed."


def test_a_difference_found_with_little_power_is_likely_too_large(made: Made) -> None:
    base = made.Arm("baseline", 0.9, values=[0.90, 0.91, 0.92, 0.90, 0.91])
    arm = made.Arm("arm", 0.9, values=[0.92, 0.97, 0.96, 0.92, 0.98])
    found = warned(*made.experiment([base, arm], smallest_effect=0.0001))
    assert found["OVERSTATED"].arms == ("arm",)
    assert "OVERSTATED" not in warned(*made.experiment([base, arm], smallest_effect=0.05))
    assert "OVERSTATED" not in warned(*made.experiment(made.six[:2], smallest_effect=0.0001))


def test_runs_left_out_by_hand_are_told_with_their_reasons(made: Made) -> None:
    plan, outcomes = made.experiment()
    run = next(run for run in plan.runs if (run.arm, run.seed) == ("learned", 3))
    found = warned(plan, {**outcomes, run.id: Outcome(run.id, "excluded", None, 1, "the disk was full")})
    assert found["EXCLUDED"].evidence == "Left out by hand: learned seed 3: the disk was full."
    assert "UNFINISHED" not in found


@pytest.mark.parametrize("arms", [1, 30])
def test_few_arms_and_many_have_warnings(made: Made, arms: int) -> None:
    several = [made.Arm("baseline", 0.9), *(made.Arm(f"a{index}", 0.9) for index in range(arms - 1))]
    assert isinstance(warned(*made.experiment(several, 3)), dict)
