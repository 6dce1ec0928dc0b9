import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from paribus.errors import ParibusError
from paribus.planning import Plan
from paribus.report import Findings, find
from paribus.report.panels import Curves, thinned
from paribus.store.kept import Kept
from paribus.store.record import Outcome

Made = tuple[Plan, dict[str, Outcome]]
Whole = tuple[Plan, dict[str, Outcome], Callable[[str], Kept | None]]
BANNED = re.compile(r"(?<!statistically )significant|no difference|\btrend|SOTA|\bproves\b|outperform", re.IGNORECASE)


def codes(found: Findings) -> list[str]:
    return [warning.code for warning in found.warnings]


def warned(found: Findings, code: str) -> str:
    return next(warning.evidence for warning in found.warnings if warning.code == code)


def every_text(found: Findings) -> str:
    parts = [found.answer, *found.method, *(f"{w.evidence} {w.effect} {w.remedy} {w.brief}" for w in found.warnings)]
    for part in found.sections:
        parts += [part.answer, part.method, *(line.sentence for line in part.lines)]
        parts += [figure.words.caption for figure in (part.slopes, *part.curves, *part.scatters)]
    return "\n".join(parts)


def test_the_answer_is_one_sentence_that_names_every_arm(six_arms: Made) -> None:
    found = find(*six_arms)
    assert found.answer == (
        "Of 5 arms, no_position (−0.6464 [−0.6724, −0.6204]) and one_head (−0.0236 [−0.0384, −0.0087]) are worse; "
        "additive is equivalent within ±0.02; learned and batch_norm are inconclusive."
    )
    assert found.state == "29/30 runs ok · 1 diverged"


def test_the_table_is_text_too(six_arms: Made) -> None:
    lines = find(*six_arms).table_text.splitlines()
    assert lines[0] == "arm          exact match ↑    improvement [95 % CI]       verdict"
    assert lines[1] == "baseline     0.9508 ± 0.0065  —                           baseline"
    assert lines[4] == "one_head     0.9272 ± 0.0145  −0.0236 [−0.0384, −0.0087]  ▼ worse"
    assert lines[5].endswith("? inconclusive (given it finishes, 4/5 runs)")
    assert lines[7].startswith("An improvement is over the seeds that both arms finished")
    assert lines[8:] == ["", "batch_norm leaks the future while it trains."]


def test_the_text_of_a_table_says_which_runs_of_the_baseline_are_missing(made: SimpleNamespace) -> None:
    arms = [made.Arm("baseline", 0.9, statuses={2: "excluded"}), made.Arm("a", 0.8)]
    text = find(*made.experiment(arms, 4)).table_text
    assert "baseline (3/4 runs)" in text
    assert "both arms finished" in text
    assert "finished" not in find(*made.experiment([made.Arm("baseline", 0.9), made.Arm("a", 0.8)])).table_text


def test_a_part_leaks_while_it_trains_and_a_decoder_that_is_not_causal_always(made: SimpleNamespace) -> None:
    arms = [
        made.Arm("baseline", 0.9),
        made.Arm("norm", 0.9, leaks={"decoder.0.norm": "future"}),
        made.Arm("open", 0.9, leaks={"decoder": "future"}),
    ]
    part, wide = (warning for warning in find(*made.experiment(arms)).warnings if warning.code == "LEAKS")
    assert (part.arms, wide.arms) == (("norm",), ("open",))
    assert part.evidence == "norm sees while it trains what it must not see: decoder.0.norm (future)."
    assert "in evaluation it sees nothing later" in part.effect
    assert wide.evidence.endswith("each token sees later ones, in training and in evaluation.")
    assert "do not carry over" in wide.effect


def test_no_banned_word_is_said(six_arms: Made, two_tasks: Made) -> None:
    for made in (six_arms, two_tasks):
        assert not BANNED.search(every_text(find(*made)))


def test_each_task_has_a_section_and_is_in_the_answer(two_tasks: Made) -> None:
    found = find(*two_tasks)
    assert [part.task for part in found.sections] == ["phrases", "reverse"]
    assert "phrases: of 3 arms" in found.answer
    assert "reverse: of 3 arms" in found.answer
    assert found.table_text.count("baseline ") == 2


def test_other_metrics_and_splits_are_exploratory_and_corrected_by_themselves(six_arms: Made) -> None:
    found = find(*six_arms)
    titles = [other.title for other in found.sections[0].secondary]
    assert titles[0] == "token accuracy ↑ on test"
    assert "loss ↓ on test_longer, nats" in titles
    roles = {(row["metric"], row["split"]): row["role"] for row in found.tables.contrasts}
    assert roles.pop(("exact_match", "test")) == "main"
    assert set(roles.values()) == {"exploratory"}
    assert all(not row["smallest_effect"] for row in found.tables.contrasts if row["role"] == "exploratory")


def test_the_six_arms_bring_their_warnings(six_arms: Made) -> None:
    found = find(*six_arms)
    assert codes(found) == ["FLOOR", "DIVERGED", "LEAKS", "PARAMS", "PAIRING", "NOISE"]
    assert warned(found, "DIVERGED") == "1 of 5 runs of batch_norm failed: seed 4 diverged at step 388."
    assert warned(found, "PARAMS") == "Parameters against the baseline: additive +8.0 %."


def test_pairing_is_blamed_for_what_stands_against_it_and_not_for_nought(made: SimpleNamespace) -> None:
    arms = [
        made.Arm("baseline", 0, values=[0.90, 0.91, 0.92, 0.93, 0.94]),
        made.Arm("against", 0, values=[0.94, 0.93, 0.91, 0.92, 0.90]),
        made.Arm("nought", 0, values=[0.8, 0.7, 0.9, 0.7, 0.8 - 1e-6]),
        made.Arm("constant", 0, values=[0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3]),
    ]
    assert warned(find(*made.experiment(arms)), "PAIRING") == "Correlation over seeds with the baseline: against −0.90."


def test_what_is_unfinished_uncorrected_and_unset_is_warned_of(made: SimpleNamespace) -> None:
    arms = [made.Arm("baseline", 0.9), made.Arm("a", 0.9, statuses={2: "pending", 3: "running"}), made.Arm("b", 0.8)]
    found = find(
        *made.experiment(arms, 3, smallest_effect=None, correction="none"), out_of_date="The file has changed."
    )
    assert {"OUTOFDATE", "SEEDS", "FLOOR", "CORRECTION", "UNFINISHED", "NOSESOI"} <= set(codes(found))
    assert warned(found, "UNFINISHED") == "2 runs not finished: a 2."
    assert "provisional" in found.sections[0].lines[1].tags


def test_nothing_finished_is_said_without_a_verdict(made: SimpleNamespace) -> None:
    waiting = dict.fromkeys(range(1, 4), "pending")
    arms = [made.Arm(name, 0.9, statuses=waiting) for name in ("baseline", "a")]
    found = find(*made.experiment(arms, 3))
    assert found.answer == "No verdict yet: at most 0 pairs of finished runs, where 3 are needed."
    assert found.state == "0/6 runs ok · 6 pending"


def test_a_swap_that_changes_nothing_is_warned_of(made: SimpleNamespace) -> None:
    values = [0.9, 0.91, 0.92, 0.93, 0.94]
    arms = [made.Arm("baseline", 0, values=values), made.Arm("same", 0, values=values)]
    found = find(*made.experiment(arms))
    assert "IDENTICAL" in codes(found)
    assert found.sections[0].lines[1].sentence.startswith("Equal to the baseline to the last digit on 5/5 seeds")


def test_an_arm_without_places_for_a_split_is_not_applicable(made: SimpleNamespace) -> None:
    arms = [*made.six[:3], made.Arm("short", 0.9, capacity=True)]
    found = find(*made.experiment(arms, split="test_longer"))
    line = found.sections[0].lines[3]
    assert (line.verdict, line.forest, line.score) == ("not applicable", None, "—")
    assert warned(found, "CAPACITY") == "The split test_longer is longer than short has places for."
    assert "Holm over 2 arms" in found.sections[0].method


def test_mixed_devices_revisions_and_batch_orders_are_warned_of(six_arms: Made) -> None:
    plan, outcomes = six_arms
    run = next(run for run in plan.runs if run.arm == "learned")
    record = outcomes[run.id].record
    assert record is not None
    other = {**record.environment, "device_name": "H100", "revision": "bbbbbbb"}
    changed = replace(record, environment=other, order=[(60, "another")])
    found = find(plan, {**outcomes, run.id: replace(outcomes[run.id], record=changed)})
    assert {"HARDWARE", "REVISION", "ORDER"} <= set(codes(found))
    assert "H100: learned" in warned(found, "HARDWARE")


@pytest.mark.parametrize(
    ("key", "values", "told"),
    [
        ("torch", ("2.9.0", "2.10.0"), "2 versions of torch: 2.9.0: baseline"),
        ("devices", (1, 2), "2 numbers of devices a run: 1: baseline"),
        ("compile", (False, True), "2 settings of torch.compile: off: baseline"),
    ],
)
def test_runs_under_mixed_conditions_are_warned_of(
    six_arms: Made, key: str, values: tuple[object, object], told: str
) -> None:
    plan, outcomes = six_arms
    learned = {run.id for run in plan.runs if run.arm == "learned"}
    found = find(plan, {run: under(outcome, key, values[run in learned]) for run, outcome in outcomes.items()})
    assert told in warned(found, "CONDITIONS")
    assert warned(found, "CONDITIONS").endswith(f"; {'on' if key == 'compile' else values[1]}: learned.")


def test_references_may_be_measured_on_another_device(whole: Whole) -> None:
    plan, outcomes, _ = whole
    trained = {run.id for run in plan.trained}
    assert set(outcomes) - trained
    places = {run: "H100" if run in trained else "x86_64" for run in outcomes}
    found = find(plan, {run: under(outcome, "device_name", places[run]) for run, outcome in outcomes.items()})
    assert "HARDWARE" not in codes(found)


def under(outcome: Outcome, key: str, value: object) -> Outcome:
    """What a run left, with something else of its surroundings."""
    if outcome.record is None:
        return outcome
    return replace(outcome, record=replace(outcome.record, environment={**outcome.record.environment, key: value}))


def test_one_seed_that_turns_the_sign_is_named(made: SimpleNamespace) -> None:
    base = [0.5, 0.51, 0.52, 0.53, 0.54]
    arms = [made.Arm("baseline", 0, values=base), made.Arm("a", 0, values=[0.49, 0.50, 0.51, 0.52, 0.74])]
    assert "a without seed 5" in warned(find(*made.experiment(arms)), "OUTLIER")


def test_a_loss_that_still_falls_is_warned_of(six_arms: Made) -> None:
    plan, outcomes = six_arms
    late = {"step": [float(step) for step in range(10)], "validation_loss": [3.0 - 0.2 * step for step in range(10)]}
    changed = {
        key: replace(outcome, record=replace(outcome.record, curves=late)) if outcome.record else outcome
        for key, outcome in outcomes.items()
    }
    assert "STILLFALLING" in codes(find(plan, changed))


def test_shared_initial_values_and_batch_order_are_compared_seed_by_seed(six_arms: Made) -> None:
    part = find(*six_arms).sections[0]
    learned = dict(zip(part.cost_heads, part.lines[2].costs, strict=True))
    assert learned["equal initial values"] == "4.1k of 4.16k"  # 64 * 64 of 64 * 64 + 64
    assert learned["batch order"] == "same"
    assert learned["parameters"] == "218,592"


def test_an_arm_far_off_leaves_the_axis_to_the_others_and_is_named(six_arms: Made) -> None:
    part = find(*six_arms).sections[0]
    assert part.clipped == "Beyond the axis: no_position."
    assert part.axis.low > -0.2
    assert not part.axis.holds(-0.6464)


@pytest.mark.parametrize("arms", [1, 31])
def test_one_arm_and_thirty_have_a_report(made: SimpleNamespace, arms: int) -> None:
    several = [made.Arm("baseline", 0.9), *(made.Arm(f"a{index}", 0.9) for index in range(1, arms))]
    found = find(*made.experiment(several, 3))
    assert len(found.sections[0].lines) == arms
    assert found.answer.endswith(".")


def test_a_checkpoint_from_before_the_end_is_marked_on_its_curve(six_arms: Made) -> None:
    plan, outcomes = six_arms
    run = next(run for run in plan.runs if (run.arm, run.seed) == ("learned", 2))
    record = outcomes[run.id].record
    assert record is not None
    at = record.curves["step"][1]
    early = {**outcomes, run.id: replace(outcomes[run.id], record=replace(record, chosen_step=at))}
    for before, after in ((outcomes, None), (early, at)):
        curves = find(plan, before).sections[0].curves[0]
        chosen = {(line.arm, line.seed): line.chosen for line in curves.lines if line.chosen}
        assert chosen == ({} if after is None else {("learned", 2): (at, dict(curves_of(curves, "learned", 2))[at])})
        assert ("Rings mark" in curves.words.caption) == bool(chosen)


def curves_of(curves: Curves, arm: str, seed: int) -> tuple[tuple[float, float], ...]:
    return next(line.points for line in curves.lines if (line.arm, line.seed) == (arm, seed))


def test_thinned_curves_keep_ends_and_spikes() -> None:
    points = [(float(x), 1000.0 if x == 777 else float(x % 7)) for x in range(3000)]
    kept = thinned(points, 200)
    assert len(kept) <= 200
    assert (points[0], points[777], points[-1]) == (kept[0], max(kept, key=lambda point: point[1]), kept[-1])


def test_a_plan_read_back_from_plain_data_gives_the_same_findings(six_arms: Made) -> None:
    plan, outcomes = six_arms
    assert find(Plan.of(plan.tree()), outcomes).table_text == find(plan, outcomes).table_text


def test_a_report_loads_no_torch() -> None:
    code = "import sys, paribus.report, paribus.report.html, paribus.report.markdown; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lightning", "optuna", "wandb"} & set(loaded)


def test_another_metric_switches_the_tables_as_an_exploration(whole: Whole) -> None:
    plan, outcomes, read = whole
    found = find(plan, outcomes, read=read, metric="loss")
    assert [part.metric for part in found.sections] == ["loss", "loss"]
    assert {row["role"] for row in found.tables.contrasts if row["metric"] == "loss" and row["split"] == "test"} == {
        "main"
    }
    assert not found.claims
    assert not any(line.verdict == "equivalent" for part in found.sections for line in part.lines)
    warned = next(warning for warning in found.warnings if warning.code == "POSTHOC")
    assert warned.evidence == "This page is by loss; the experiment decides by exact_match."
    assert "--metric loss" in dict(found.provenance)["rebuild this page"]


def test_a_metric_that_no_task_measures_is_refused(whole: Whole) -> None:
    with pytest.raises(ParibusError, match="no task measures 'los'; did you mean 'loss'"):
        find(*whole[:2], metric="los")


def test_runs_left_out_are_told_with_their_reasons_and_count_nowhere(whole: Whole) -> None:
    plan, outcomes, _ = whole
    found = find(plan, outcomes)
    part = found.sections[0]
    assert part.excluded == (("additive", 3, "the machine was used by others"),)
    line = next(line for line in part.lines if line.arm == "additive")
    assert line.cells[2].text == "⊘ excluded"
    assert dict(line.numbers)["pairs"] == "4 of 4"
    warned = next(warning for warning in found.warnings if warning.code == "EXCLUDED")
    assert "additive seed 3: the machine was used by others" in warned.evidence


def test_one_bad_arm_does_not_flatten_quality_against_cost(made: SimpleNamespace) -> None:
    bad = made.Arm("bad", 0.30, 0.01)
    arms = [made.Arm("baseline", 0.90, 0.001), made.Arm("more", 0.93, 0.001, parameters=1.2)]
    arms += [made.Arm("less", 0.88, 0.001, parameters=0.8), bad]
    spots = find(*made.experiment(arms)).sections[0].scatters[0]
    assert 0.8 < spots.low < 0.88 < 0.93 < spots.high < 1
    assert "Beyond the axis, at its edge: bad 0.299" in spots.words.caption
    assert spots.frontier == (("less", "baseline", True), ("baseline", "more", True))


def test_where_changes_are_cut_those_that_tell_an_arm_apart_come_first(six_arms: Made) -> None:
    plan, outcomes = six_arms
    shared = [{"what": what, "where": "", "baseline": "1", "arm": "2"} for what in ("width", "depth")]
    rate = {"what": "lr", "where": "", "baseline": "0.001", "arm": "0.007652582191313529"}
    close = {"what": "lr", "where": "", "baseline": "0.10000001", "arm": "0.10000002"}
    changes = {"learned": [*shared, rate], "one_head": [*shared, close], "additive": shared}
    arms = [replace(arm, differences=changes.get(arm.name, arm.differences)) for arm in plan.arms]
    lines = {line.arm: line for line in find(replace(plan, arms=arms), outcomes).sections[0].lines}
    assert lines["learned"].changed == ("lr: 0.001 → 0.007653", "width: 1 → 2", "and 1 more")
    assert lines["one_head"].changed[0] == "lr: 0.10000001 → 0.10000002"
    assert lines["additive"].changed == ("width: 1 → 2", "depth: 1 → 2")


def test_what_size_and_cost_make_is_mended_by_matching(six_arms: Made) -> None:
    remedy = next(warning.remedy for warning in find(*six_arms).warnings if warning.code == "PARAMS")
    assert "`training.match`" in remedy
