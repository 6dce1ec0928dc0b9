from dataclasses import replace
from pathlib import Path

import pytest

from paribus.planning import Plan, Run
from paribus.report.lock import of_locks, state
from paribus.report.results import Results
from paribus.store.database import Database
from paribus.store.lock import declared, looks
from paribus.store.record import Outcome, Record


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "store.db")


def plan(
    *, arms: tuple[str, ...] = ("baseline", "a"), seeds: int = 2, analysis: dict[str, object] | None = None
) -> Plan:
    from paribus.planning import Row
    from paribus.spec.analysis import Analysis

    numbers = list(range(1, seeds + 1))
    return Plan(
        name="x",
        label="",
        question="",
        digest=f"{arms}{seeds}{analysis}"[-16:],
        file="x.yaml",
        text="",
        arms=[Row(arm, {}, "", [], {}) for arm in arms],
        tasks=[],
        seeds=numbers,
        analysis=Analysis.model_validate(analysis or {}).model_dump(),
        settings={arm: {"": {"arm": arm}} for arm in arms},
        machine={},
        runs=[Run(f"{arm}-{seed}", arm, "", seed) for arm in arms for seed in numbers],
    )


def train(database: Database, *runs: str) -> None:
    for run in runs:
        database.add(Record(run, "ok"))


def warned(database: Database, now: Plan) -> dict[str, tuple[str, ...]]:
    outcomes: dict[str, Outcome] = database.outcomes(run.id for run in now.runs)
    locks, parents = database.locks(now.folder), database.locks(now.name) if now.label else []
    return {warning.code: warning.arms for warning in of_locks(Results(now, outcomes), locks, parents)}


def test_what_is_declared_first_and_then_run_has_no_warning(database: Database) -> None:
    database.save_plan(plan())
    train(database, "baseline-1", "a-1")
    database.save_plan(plan())
    assert warned(database, plan()) == {}
    assert len(database.locks("x")) == 1
    assert "before any result" in state(Results(plan(), {}), database.locks("x"))


def test_an_analysis_that_changes_after_results_is_post_hoc(database: Database) -> None:
    database.save_plan(plan())
    train(database, "a-1")
    changed = plan(analysis={"smallest_effect": 0.1})
    assert warned(database, changed) == {"POSTHOC": ("a",)}  # by `report` alone
    database.save_plan(changed)
    assert warned(database, changed) == {"POSTHOC": ("a",)}  # and after it was run so
    assert warned(database, plan()) == {}
    assert "not as it was declared" in state(Results(plan(seeds=1), {}), database.locks("x"))


def test_before_any_result_everything_may_change(database: Database) -> None:
    database.save_plan(plan())
    changed = plan(analysis={"smallest_effect": 0.1})
    database.save_plan(changed)
    train(database, "a-1", "a-2")
    assert warned(database, changed) == {}


def test_only_an_arm_that_was_run_before_under_any_name_is_post_hoc(database: Database) -> None:
    train(database, "baseline-1", "b-1")  # by another experiment
    database.save_plan(plan(arms=("baseline", "a")))
    train(database, "a-1")
    more = plan(arms=("baseline", "a", "b", "c"))
    database.save_plan(more)
    train(database, "c-1")
    assert warned(database, more) == {"POSTHOC": ("b",)}


def test_numbers_that_are_only_printed_lock_nothing(database: Database) -> None:
    database.save_plan(plan())
    train(database, "a-1")
    assert warned(database, plan(analysis={"reference": {"a": {"loss": 1.0}}, "secondary": ["loss"]})) == {}


def test_seeds_that_are_added_after_results_are_another_look(database: Database) -> None:
    database.save_plan(plan(seeds=2))
    train(database, "a-1", "baseline-1")
    database.save_plan(plan(seeds=4))
    assert warned(database, plan(seeds=4)) == {"LOOKS": ()}
    database.save_plan(plan(seeds=6))
    assert looks(declared(plan(seeds=6)), database.locks("x")) == 3


def test_looks_that_were_declared_are_no_warning(database: Database) -> None:
    analysis: dict[str, object] = {"looks": 2}
    database.save_plan(plan(seeds=2, analysis=analysis))
    train(database, "a-1")
    database.save_plan(plan(seeds=4, analysis=analysis))
    assert warned(database, plan(seeds=4, analysis=analysis)) == {}


def test_a_claim_that_is_written_after_results_is_post_hoc(database: Database) -> None:
    claim = {"arm": "a", "expect": "worse", "text": "So it is."}
    early = replace(plan(), claims=[claim])
    database.save_plan(early)
    train(database, "a-1")
    reworded = replace(plan(), claims=[{**claim, "text": "In other words."}])
    assert warned(database, reworded) == {}
    late = replace(plan(), claims=[claim, {"arm": "a", "expect": "better"}])
    assert warned(database, late) == {"POSTHOC": ()}


CLAIMS = [{"arm": "a", "expect": "worse"}, {"arm": "b", "expect": "better"}]


def test_a_variant_inherits_what_its_experiment_declared(database: Database) -> None:
    whole = replace(plan(arms=("baseline", "a", "b")), claims=CLAIMS)
    database.save_plan(whole)
    train(database, "baseline-1", "a-1", "b-1")
    some = replace(plan(), label="a", claims=CLAIMS)
    database.save_plan(some)
    assert warned(database, some) == {}
    told = state(Results(some, {}), database.locks("x@a"), database.locks("x"))
    assert told.startswith("declared with its experiment ")
    assert told.endswith(", before any result")
    assert "had results" in state(Results(some, {}), database.locks("x@a"))
    bolder = replace(some, claims=[*CLAIMS, {"arm": "a", "expect": "different"}])
    assert warned(database, bolder) == {"POSTHOC": ()}
    database.save_plan(bolder)
    assert "2 runs had results" in state(Results(bolder, {}), database.locks("x@a"), database.locks("x"))


def test_a_claim_of_the_experiment_that_is_younger_than_a_result_of_the_variant_is_post_hoc(
    database: Database,
) -> None:
    other = replace(plan(arms=("baseline", "c")), label="c")
    database.save_plan(other)
    database.add(Record("c-1", "ok", finished_at="2020-01-01T10:00:00+00:00"))
    database.add(Record("c-2", "ok", finished_at="2020-01-01T10:00:00+00:00"))
    database.save_plan(replace(plan(), claims=CLAIMS))
    late = replace(other, claims=CLAIMS)
    outcomes: dict[str, Outcome] = database.outcomes(run.id for run in late.runs)
    found = list(of_locks(Results(late, outcomes), database.locks("x@c"), database.locks("x")))
    assert [warning.evidence for warning in found] == ["Runs had results before claims 1 and 2 were written."]


def test_experiments_without_a_lock_are_taken_at_their_word(database: Database) -> None:
    assert list(of_locks(Results(plan(), {"a-1": Outcome("a-1", "ok")}), [])) == []
    assert state(Results(plan(), {}), []) == "not known"
