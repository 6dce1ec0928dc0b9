"""The store: attempts are kept, records come back equal, folders are the truth, damage is told in one sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from paribus.errors import StoreError
from paribus.planning import Plan, plan
from paribus.spec.load import load
from paribus.store import record as records
from paribus.store.database import Attempt, Merged, Table
from paribus.store.folder import Store, locate, open_store
from paribus.store.record import Record, Score

Write = Callable[..., Path]


@pytest.fixture
def planned(write: Write) -> Plan:
    return plan(load(write("arms: {deep: {network.depth: 3}}\n")))


@pytest.fixture
def store(planned: Plan, tmp_path: Path) -> Store:
    opened = open_store(str(tmp_path / "store"))
    opened.database.save_plan(planned)
    return opened


def record(run: str, value: float | None = 0.123456789012345678, status: str = "ok") -> Record:
    scores = [Score("test", "exact_match", value), Score("test_longer", "exact_match", None, "capacity")]
    curves: dict[str, list[float | None]] = {"step": [1, 2], "train_loss": [None, 0.1 + 0.2]}
    return Record(
        run, status, scores=scores, curves=curves, order=[(2, "ab")], initial={"a": "1:ff"}, cost={"parameters": 3}
    )


def test_a_record_comes_back_as_it_was_to_the_last_digit(store: Store, planned: Plan) -> None:
    stored = record(planned.runs[0].id)
    store.database.add(stored)
    found = store.database.outcomes([planned.runs[0].id, planned.runs[1].id])
    assert found[planned.runs[0].id].record == stored
    assert (found[planned.runs[0].id].status, found[planned.runs[0].id].attempts) == ("ok", 1)
    assert (found[planned.runs[1].id].status, found[planned.runs[1].id].record) == ("pending", None)


def test_a_record_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    stored = record("a")
    records.write(stored, tmp_path)
    assert records.read(tmp_path) == stored
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    (tmp_path / "record.json").write_text('{"format": 1, "run": "a"')
    with pytest.raises(StoreError, match=r"record\.json cannot be read .* remove it to train the run again"):
        records.read(tmp_path)
    (tmp_path / "record.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="a format that this version of paribus does not know"):
        records.read(tmp_path)


def test_every_attempt_is_kept_and_the_newest_counts(store: Store, planned: Plan) -> None:
    run = planned.runs[0].id
    store.database.add_attempts([Attempt(run, "crashed", "out of memory")])
    store.database.add(record(run, 0.5))
    store.database.add(record(run, 0.7))
    assert [(status, reason) for _, status, reason in store.database.attempts(run)] == [
        ("crashed", "out of memory"), ("ok", ""), ("ok", ""),
    ]  # fmt: skip
    outcome = store.database.outcomes([run])[run]
    assert outcome.attempts == 3
    assert outcome.record is not None
    assert outcome.record.scores[0].value == 0.7
    member = store.find("small/baseline/1")
    assert store.database.main_scores([member])[run]["value"] == 0.7


def test_finished_folders_that_the_database_lacks_are_taken_in(store: Store, planned: Plan) -> None:
    run = planned.runs[0].id
    folder = store.run_folder(run)
    folder.mkdir(parents=True)
    records.write(record(run), folder)
    (store.runs / f"{planned.runs[1].id}.partial-1").mkdir()
    assert store.take_in() == [run]
    assert store.take_in() == []
    assert store.database.statuses([r.id for r in planned.runs]) == {run: "ok"}


def test_a_removed_run_leaves_neither_row_nor_folder_and_the_experiment_still_needs_it(
    store: Store, planned: Plan
) -> None:
    run = planned.runs[0].id
    store.run_folder(run).mkdir(parents=True)
    store.database.add(record(run))
    store.remove(run)
    assert not store.run_folder(run).exists()
    assert store.database.attempts(run) == []
    assert store.find("small/baseline/1").status == "pending"


def test_a_run_is_found_by_the_start_of_its_id_or_by_its_name(store: Store, planned: Plan) -> None:
    run = planned.runs[1]
    assert store.find(run.id[:6]).run == run.id
    assert store.find(f"small/{run.arm}/{run.seed}").run == run.id
    with pytest.raises(StoreError, match="no run is called 'nobody'"):
        store.find("nobody")
    with pytest.raises(StoreError, match=r"called 'smal/baseline/1'; did you mean 'small/baseline/1'\? \(the start"):
        store.find("smal/baseline/1")
    with pytest.raises(StoreError, match="no run is called ''"):
        store.find("")


def test_a_run_of_a_variant_is_suggested_where_only_that_was_run(planned: Plan, tmp_path: Path) -> None:
    variant = open_store(str(tmp_path / "variant"))
    variant.database.save_plan(replace(planned, name="two", label="steps=4,devices=2"))
    with pytest.raises(StoreError, match=r"did you mean 'two@steps=4,devices=2/baseline/2'\?"):
        variant.find("two/baseline/2")


def test_the_newest_plan_of_an_experiment_counts(store: Store, planned: Plan) -> None:
    newer = replace(planned, digest="newer", question="And now?")
    store.database.save_plan(newer)
    found = store.database.plan("small")
    assert found == newer
    store.database.save_plan(planned)
    assert store.database.plan("small") == planned
    assert len(store.database.members("small")) == len(planned.runs)


def test_the_migrations_lead_to_the_schema_of_the_code(store: Store) -> None:
    engine = sql.create_engine(f"sqlite:///{store.database.file}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
    engine.dispose()


def test_a_damaged_database_is_told_in_one_sentence_and_can_be_rebuilt(store: Store, planned: Plan) -> None:
    run = planned.runs[0].id
    store.run_folder(run).mkdir(parents=True)
    records.write(record(run), store.run_folder(run))
    store.database.close()
    for file in store.folder.glob("store.db*"):
        file.unlink()
    store.database.file.write_bytes(b"this is no database at all, whatever its name says" * 40)
    with pytest.raises(
        StoreError, match=r"the database .*store\.db cannot be used \(file is not a database\); .* move the file away"
    ):
        open_store(str(store.folder))
    store.database.file.unlink()
    assert open_store(str(store.folder)).take_in() == [run]


def test_the_store_lies_in_the_nearest_project_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARIBUS_STORE", raising=False)
    inner = tmp_path / "project" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (tmp_path / "project" / "pyproject.toml").touch()
    assert locate() == tmp_path / "project" / ".paribus"
    (inner / ".paribus").mkdir()
    assert locate() == inner / ".paribus"
    monkeypatch.setenv("PARIBUS_STORE", str(tmp_path / "named"))
    assert locate() == tmp_path / "named"
    assert locate(str(tmp_path / "given")) == tmp_path / "given"


def test_two_stores_are_merged_without_loss_or_doubling(store: Store, planned: Plan, tmp_path: Path) -> None:
    first, second, third = (run.id for run in planned.runs[:3])
    other = open_store(str(tmp_path / "other"))
    other.database.save_plan(replace(planned, digest="older", question="Or not?"))
    other.database.save_plan(planned)
    for target, value in ((store, 0.5), (other, 0.7)):
        target.database.add(record(first, value))
    other.database.add_attempts([Attempt(second, "crashed", "out of memory")])
    other.database.add(record(second, 0.9))
    store.database.add_attempts([Attempt(third, "timeout", "slow")])
    other.database.add_attempts([Attempt(third, "crashed", "odd")])
    other.database.exclude(second, "a broken fan")
    other.run_folder(second).mkdir(parents=True)
    records.write(record(second, 0.9), other.run_folder(second))
    taken = store.merge(other)
    assert (taken.experiments, taken.attempts, taken.runs, taken.folders) == (1, 4, 3, 1)
    assert store.merge(other) == Merged()
    outcomes = store.database.outcomes([first, second, third])
    assert outcomes[first].record == record(first, 0.5)  # what was there stays
    assert [outcome.attempts for outcome in outcomes.values()] == [2, 2, 2]
    assert (outcomes[second].status, outcomes[second].error) == ("excluded", "a broken fan")
    store.database.exclude(second, "")
    assert store.database.outcomes([second])[second].record == record(second, 0.9)
    assert records.read(store.run_folder(second)) == record(second, 0.9)
    assert {status for _, status, _ in store.database.attempts(third)} == {"timeout", "crashed"}


def test_an_attempt_that_broke_off_does_not_take_the_place_of_a_result(store: Store, planned: Plan) -> None:
    run = planned.runs[0].id
    store.database.add(record(run, 0.5))
    store.database.add_attempts([Attempt(run, "interrupted", "stopped")])
    outcome = store.database.outcomes([run])[run]
    assert (outcome.status, outcome.attempts) == ("ok", 2)
    assert store.database.main_scores([store.find("small/baseline/1")])[run]["value"] == 0.5


def test_the_folder_of_a_run_at_work_is_no_leftover(store: Store) -> None:
    import os
    from platform import node

    for number in (f"{node()}-{os.getpid()}", f"{node()}-999999999", "elsewhere-1"):
        (store.runs / f"ab.partial-{number}").mkdir(parents=True)
    assert [folder.name for folder in store.leftovers()] == [f"ab.partial-{node()}-999999999"]
