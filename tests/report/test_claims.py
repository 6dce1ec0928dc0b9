from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paribus.planning import Plan, plan
from paribus.report.claims import Claimed, _cells, claims
from paribus.report.findings import find
from paribus.report.results import Results
from paribus.spec.claims import Claim
from paribus.spec.load import load
from paribus.store.kept import Head, Kept

Made = SimpleNamespace


def judged(
    made: Made,
    plan: Plan,
    outcomes: Mapping[str, Any],
    *written: dict[str, Any],
    read: Callable[[str], Kept | None] = lambda run: None,
) -> list[Claimed]:
    tree = [Claim.model_validate(claim).model_dump() for claim in written]
    results = Results(replace(plan, claims=tree), outcomes, read)
    contrasts = {
        task.name: results.contrasts(task, results.metric(task), results.split(task)) for task in results.plan.tasks
    }
    return list(claims(results, contrasts))


@pytest.mark.parametrize(
    ("arm", "expect", "answer"),
    [
        ("no_position", "worse", "supported"),
        ("no_position", "better", "refuted"),
        ("no_position", "different", "supported"),
        ("no_position", "equivalent", "refuted"),
        ("no_position", "not_worse", "refuted"),
        ("no_position", "lower", "supported"),
        ("no_position", "higher", "refuted"),
        ("additive", "not_worse", "supported"),
        ("additive", "equivalent", "supported"),
        ("additive", "different", "refuted"),
        ("additive", "worse", "refuted"),
        ("one_head", "worse", "undecided"),
    ],
)
def test_a_claim_is_supported_refuted_or_undecided(made: Made, arm: str, expect: str, answer: str) -> None:
    values = {
        "no_position": [0.30, 0.31, 0.29, 0.32, 0.28],
        "additive": [0.951, 0.961, 0.939, 0.956, 0.944],
        "one_head": [0.93, 0.97, 0.92, 0.99, 0.91],
    }
    arms = [made.Arm("baseline", 0.95, values=[0.95, 0.96, 0.94, 0.955, 0.945])]
    arms += [made.Arm(name, 0.9, values=scores) for name, scores in values.items()]
    plan, outcomes = made.experiment(arms)
    found = judged(made, plan, outcomes, {"arm": arm, "expect": expect})[0]
    assert (found.answer, found.sentence.split(":")[0]) == (answer, answer.capitalize())


def test_a_claim_about_the_main_metric_rests_on_the_main_contrast(made: Made) -> None:
    plan, outcomes = made.experiment()
    found = judged(made, plan, outcomes, {"arm": "no_position", "expect": "worse", "text": "Order matters."})[0]
    results = Results(plan, outcomes)
    task = plan.tasks[0]
    main = results.contrasts(task, results.metric(task), "test")["no_position"]
    assert found.contrast == main
    assert found.text == "Order matters."
    assert found.stated == "no_position is worse than baseline in exact match on test"


def test_claims_about_another_metric_are_a_family_of_their_own(made: Made) -> None:
    plan, outcomes = made.experiment()
    asked = [{"arm": arm, "metric": "loss", "expect": "worse"} for arm in ("no_position", "one_head")]
    both, alone = judged(made, plan, outcomes, *asked), judged(made, plan, outcomes, asked[1])
    assert both[0].contrast is not None
    assert both[1].contrast is not None
    assert alone[0].contrast is not None
    assert both[0].contrast.p == pytest.approx(2 * both[0].contrast.paired.p)
    assert alone[0].contrast.p == alone[0].contrast.paired.p
    assert both[0].answer == "supported"
    assert "no_position minus baseline is +" in both[0].sentence  # its loss is higher, as the table shows it


def test_two_arms_can_be_compared_with_each_other(made: Made) -> None:
    plan, outcomes = made.experiment()
    found = judged(made, plan, outcomes, {"arm": "learned", "against": "no_position", "expect": "better"})[0]
    assert found.answer == "supported"
    assert found.contrast is not None
    assert found.contrast.baseline == "no_position"


def test_exact_counts_need_no_test_and_speeds_do(made: Made) -> None:
    plan, outcomes = made.experiment()
    more, less, same, speed = judged(
        made,
        plan,
        outcomes,
        {"arm": "additive", "metric": "parameters", "expect": "higher"},
        {"arm": "additive", "metric": "parameters", "expect": "lower"},
        {"arm": "one_head", "metric": "parameters", "expect": "equivalent", "smallest_effect": 1.0},
        {"arm": "additive", "metric": "speed", "expect": "better"},
    )
    assert (more.answer, less.answer, same.answer) == ("supported", "refuted", "supported")
    assert "+17,280" in more.sentence or "17,280" in more.sentence
    assert speed.answer in ("refuted", "undecided")


def test_a_number_that_nobody_kept_leaves_a_claim_undecided(made: Made) -> None:
    plan, outcomes = made.experiment()
    found = judged(made, plan, outcomes, {"arm": "additive", "metric": "logit_spread", "expect": "higher"})[0]
    assert (found.answer, found.sentence) == ("undecided", "Undecided: no pair of finished runs has this number.")


def test_an_arm_that_was_not_run_leaves_a_claim_undecided(made: Made) -> None:
    plan, outcomes = made.experiment(made.six[:2])
    found = judged(made, plan, outcomes, {"arm": "learned", "expect": "worse"})[0]
    assert found.sentence == "Undecided: learned was not run."


def test_every_task_gets_an_answer_unless_one_is_named(two_tasks: tuple[Plan, Any], made: Made) -> None:
    found = judged(
        made,
        *two_tasks,
        {"arm": "learned", "expect": "worse"},
        {"arm": "learned", "expect": "worse", "task": "reverse"},
    )
    assert [claimed.task for claimed in found] == ["phrases", "reverse", "reverse"]


def test_failed_runs_keep_a_good_claim_from_being_supported(made: Made) -> None:
    base = made.Arm("baseline", 0.9, values=[0.9, 0.91, 0.92, 0.93])
    arm = made.Arm("arm", 0.9, values=[0.901, 0.909, 0.921, 0.93], statuses={4: "diverged"})
    plan, outcomes = made.experiment([base, arm], 4, unstable_failure_rate=0.9)
    found = judged(made, plan, outcomes, {"arm": "arm", "expect": "equivalent"})[0]
    assert found.answer == "undecided"
    assert "Failed runs count as lost pairs." in found.sentence


def sized(made: Made, gains: tuple[float, float, float]) -> tuple[Plan, Any]:
    """Baseline and gru at 100, 1,000 and 10,000 training examples; the baseline has 20,000 in no cell of them."""
    names = {"baseline": None, "gru": {"network.mixer": "gru"}}
    arms, changes, starts = [], {}, {}
    for index, size in enumerate((100, 1000, 10_000)):
        for name, gain in (("", 0.0), ("gru,", gains[index])):
            arm = f"{name}training_examples={size}"
            wobble = [0.5 + gain + 0.001 * ((seed * (index + 2 + len(name))) % 5) for seed in range(5)]
            arms.append(made.Arm(arm, 0.5, values=wobble))
            changes[arm], starts[arm] = {"task.training_examples": size}, "gru" if name else "baseline"
    arms = [made.Arm("baseline", 0.5), made.Arm("gru", 0.5), *arms]
    plan, outcomes = made.experiment(arms)
    rows = [
        replace(row, changes=changes.get(row.name, names.get(row.name) or {}), start=starts.get(row.name, "baseline"))
        for row in plan.arms
    ]
    rows[0] = replace(rows[0], start="")
    return replace(plan, arms=rows), outcomes


@pytest.mark.parametrize(
    ("gains", "answer", "words"),
    [
        ((0.2, 0.1, -0.1), "supported", "gru is ahead at the low end and baseline at the high end"),
        ((0.2, 0.1, 0.1), "refuted", "gru is ahead at every point measured, from 100 to 10,000"),
        ((0.0, 0.0, 0.0), "undecided", "no end is surely apart"),
    ],
)
def test_two_curves_cross_or_do_not(made: Made, gains: tuple[float, float, float], answer: str, words: str) -> None:
    claim = {"crossing": {"x": "task.training_examples", "series": ["baseline", "gru"]}, "expect": "exists"}
    found = judged(made, *sized(made, gains), claim)[0]
    assert found.answer == answer
    assert words in found.sentence
    assert found.crossing is not None
    assert found.crossing.points == (100, 1000, 10_000)


def test_curves_without_common_points_are_undecided(made: Made) -> None:
    claim = {"crossing": {"x": "network.width", "series": ["baseline", "gru"]}, "expect": "exists"}
    found = judged(made, *sized(made, (0.1, 0.1, 0.1)), claim)[0]
    assert "fewer than two values of network.width are common" in found.sentence


def test_findings_tell_claims_in_words_and_in_a_table(made: Made) -> None:
    plan, outcomes = made.experiment()
    written = Claim.model_validate({"arm": "no_position", "expect": "worse", "text": "Order matters."}).model_dump()
    found = find(replace(plan, claims=[written]), outcomes)
    assert found.claims_text.startswith("Order matters. Supported: no_position minus baseline is −0.6")
    untold = find(replace(plan, claims=[{**written, "text": ""}]), outcomes)
    assert untold.claims_text.startswith("no_position is worse than baseline in exact match on test. Supported: ")
    assert found.tables.claims[0]["answer"] == "supported"
    assert found.tables.claims[0]["p_holm"] == pytest.approx(found.tables.contrasts[0]["p_holm"])


def test_all_pairs_stand_in_the_table_of_contrasts(made: Made) -> None:
    plan, outcomes = made.experiment(comparisons="all")
    found = find(plan, outcomes)
    pairs = [line for line in found.tables.contrasts if line["role"] == "pair"]
    assert len(pairs) == 10
    assert pairs[0]["baseline"] == "no_position"
    assert "Holm over 15 pairs" in found.sections[0].method


def test_looks_split_alpha(made: Made) -> None:
    plan, outcomes = made.experiment(looks=2)
    found = find(plan, outcomes)
    assert found.sections[0].level == "97.5 %"


def test_published_numbers_are_told_with_their_source(made: Made) -> None:
    plan, outcomes = made.experiment(reference={"baseline": {"exact_match": 0.93}, "source": "Somebody 2020"})
    told = find(plan, outcomes).method[0]
    assert told == "Published numbers, of other data and budgets than here (Somebody 2020): baseline exact_match 0.93."


@pytest.mark.parametrize(
    ("metric", "field"), [("entropy", "entropy"), ("distance", "distance"), ("diagonal", "diagonal")]
)
@pytest.mark.parametrize(("shift", "answer"), [(0.1, "supported"), (-0.1, "refuted")])
def test_a_claim_can_be_about_how_heads_attend(made: Made, metric: str, field: str, shift: float, answer: str) -> None:
    plan, outcomes = made.experiment(made.six[:2])
    runs = {run.id: run for run in plan.runs}

    def read(run: str) -> Kept:
        value = 0.5 + shift * (runs[run].arm != "baseline") + 0.01 * ((runs[run].seed * len(runs[run].arm)) % 5)
        usual = dict.fromkeys(("entropy", "distance", "distance_without_first", "diagonal", "previous", "first"), 0.3)
        heads = [
            Head("encoder", 0, "self", head, **{**usual, field: value + place})  # type: ignore[arg-type]
            for head, place in enumerate((-0.1, 0.1))
        ]
        undefined = Head("encoder", 1, "self", 0, None, None, None, None, None, None)
        return Kept([*heads, undefined])

    claim = {"arm": "no_position", "metric": metric, "expect": "higher"}
    found = judged(made, plan, outcomes, claim, read=read)[0]
    assert found.answer == answer
    assert found.contrast is not None
    assert found.contrast.rule.sign * found.contrast.paired.mean == pytest.approx(shift, abs=0.03)
    missing = judged(made, plan, outcomes, claim)[0]
    assert (missing.answer, missing.sentence) == ("undecided", "Undecided: no pair of finished runs has this number.")


def test_a_series_is_found_among_the_cells_of_a_grid(write: Callable[..., Path]) -> None:
    grid = "{network.mixer: [attention, gru], task.training_examples: [50, 100]}"
    file = write(f"arms: {{gru: {{network.mixer: gru}}}}\nvary: [{{grid: {grid}}}]\n")
    results = Results(plan(load(file, ("network.position=none",))), {})
    for series in ("baseline", "gru"):
        found = sorted(value for _, value in _cells(results, "", "task.training_examples", series))
        assert found == [50, 100, 200]
