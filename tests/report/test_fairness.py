from collections.abc import Callable, Mapping, Sequence
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
    assert not {"BASELINE", "BUDGET", "TOKENS", "TESTTUNED", "POOLED", "OVERSTATED", "EXCLUDED", "SPEED"} & found.keys()


def test_other_steps_and_other_tokens_are_told_with_their_share(made: Made) -> None:
    plan, outcomes = made.experiment()
    found = warned(plan, changed(plan, outcomes, "learned", lambda r: replace(r, steps=1200, tokens=r.tokens // 2)))
    assert found["BUDGET"].evidence == "Steps against the baseline: learned +100.0 %."
    assert found["TOKENS"].evidence == "Tokens seen against the baseline: learned −50.0 %."
    assert found["TOKENS"].arms == ("learned",)


def loaded(seconds: Mapping[str, Sequence[float]], made: Made) -> tuple[Plan, dict[str, Outcome]]:
    """Equal scores, and the seconds of training that each arm takes by seed."""
    plan, outcomes = made.experiment([made.Arm(arm, 0.9, 0.001) for arm in seconds])
    seeds = {run.id: run.seed for run in plan.runs}
    for arm, taken in seconds.items():
        outcomes = changed(
            plan,
            outcomes,
            arm,
            lambda r, taken=taken: replace(r, seconds=taken[seeds[r.run] - 1], step_seconds=taken[seeds[r.run] - 1]),  # type: ignore[misc]
        )
    return plan, outcomes


def test_speeds_that_vary_over_seeds_as_much_as_between_arms_are_told_and_decide_nothing(made: Made) -> None:
    steady = [50.0, 51.0, 50.5, 50.2, 50.8]
    plan, outcomes = loaded(
        {
            "baseline": steady,
            "loaded": [30.0, 31.0, 30.0, 60.0, 62.0],
            "quick": [20.0, 20.2, 20.1, 20.3, 20.0],
            "slow": [100.0, 101.0, 130.0, 102.0, 100.0],
        },
        made,
    )
    found = find(plan, outcomes)
    speed = next(warning for warning in found.warnings if warning.code == "SPEED")
    assert speed.arms == ("loaded",)
    assert speed.evidence == (
        "The fastest seed outdoes the slowest in tokens a second by 2 % in the baseline; "
        "107 % in loaded, whose median is +62.9 % against the baseline."
    )
    finding = found.sections[0].scatters[-1].words.caption
    assert finding.startswith(
        "quick is at least as good as the baseline (±0.02) and no dearer. "
        "loaded varies too much over seeds to be called dearer or not."
    )
    assert not any("varies too much" in drawn.words.caption for drawn in found.sections[0].scatters[:-1])


def test_without_a_smallest_effect_only_the_better_are_called_no_dearer(made: Made) -> None:
    found = find(*made.experiment(made.six[:2], smallest_effect=None))
    told = "No arm that costs no more than the baseline is shown to be better than the baseline."
    assert found.sections[0].scatters[0].words.caption.startswith(told)


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
