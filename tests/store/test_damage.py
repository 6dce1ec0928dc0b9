"""What may happen to a store: each is told in one true sentence, nothing is lost, and the next run goes on."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paribus.errors import StoreError
from paribus.planning import Plan, plan
from paribus.spec.load import load
from paribus.store import record as records
from paribus.store.database import Attempt, Database
from paribus.store.folder import Store, open_store
from paribus.store.record import Record

Write = Callable[..., Path]


@pytest.fixture
def planned(write: Write) -> Plan:
    return plan(load(write()))


@pytest.fixture
def store(planned: Plan, tmp_path: Path) -> Store:
    """With a plan, and a run that has a folder and a row."""
    opened = open_store(str(tmp_path / "store"))
    opened.database.save_plan(planned)
    found = Record(planned.runs[0].id, "ok")
    opened.run_folder(found.run).mkdir(parents=True)
    records.write(found, opened.run_folder(found.run))
    opened.take_in()
    return opened


def execute(store: Store, statement: str, *values: object) -> None:
    store.database.close()
    with sqlite3.connect(store.folder / "store.db") as connection:
        connection.execute(statement, values)
    connection.close()


def test_a_locked_database_is_said_to_be_locked(store: Store, planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(store.folder / "store.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    with store.database._engine.connect() as own:
        own.exec_driver_sql("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreError, match=r"store\.db is in use by another process .*repeat the command \(database is"):
        store.database.add_attempts([Attempt("a", "crashed", "")])
    connection.close()
    store.database.add_attempts([Attempt("a", "crashed", "")])


def test_a_truncated_database_is_read_in_again_from_the_folders(store: Store, planned: Plan) -> None:
    store.database.close()
    file = store.folder / "store.db"
    file.write_bytes(file.read_bytes()[:5000])
    for other in store.folder.glob("store.db-*"):
        other.unlink()
    with pytest.raises(
        StoreError, match=r"store\.db cannot be used .* move the file away, and the next run reads them"
    ):
        open_store(str(store.folder)).database.members()
    file.rename(store.folder / "damaged.db")
    again = open_store(str(store.folder))
    assert again.take_in() == [planned.runs[0].id]
    again.database.save_plan(planned)
    assert [member.status for member in again.database.members()] == ["ok", "pending"]


def test_a_database_of_a_newer_version_is_left_alone(store: Store) -> None:
    execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"was written by a newer version of paribus .*'9999'.* update paribus"):
        open_store(str(store.folder))


def test_a_database_of_the_first_schema_is_brought_up_to_date_with_all_that_it_holds(
    store: Store, planned: Plan
) -> None:
    for table in ("driver", "claim", "exclusion", "trial", "lock"):
        execute(store, f"DROP TABLE {table}")
    execute(store, "UPDATE alembic_version SET version_num = '0001'")
    again = open_store(str(store.folder))
    assert again.database.plan("small") == planned
    assert again.database.statuses([planned.runs[0].id]) == {planned.runs[0].id: "ok"}
    again.database.exclude(planned.runs[0].id, "a broken disk")


def test_damaged_records_and_plans_name_what_mends_them(store: Store, planned: Plan) -> None:
    run = planned.runs[0].id
    execute(store, "UPDATE attempt SET record = ?", b"no zlib at all")
    with pytest.raises(StoreError, match=rf"record of the run {run} is damaged; `paribus gc --run {run} --delete`"):
        store.database.outcomes([run])
    execute(store, "UPDATE experiment SET plan = ?", b"x")
    with pytest.raises(StoreError, match="the stored plan of small is damaged; `paribus run FILE` stores it anew"):
        store.database.plan("small")
    store.database.save_plan(planned)
    assert store.database.plan("small") == planned


@pytest.mark.parametrize("text", ["null", "[]", "3", "{}", '{"format": 1, "run": 3}', "\x00"])
def test_a_record_file_that_holds_no_record_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(StoreError, match=r"record\.json cannot be read .*; remove it to train the run again"):
        records.read(tmp_path)


def test_an_address_that_cannot_be_understood_is_not_repeated() -> None:
    for address in ("postgresql://me:sec/ret@host/db", "postgresql://me:secret@host:port/db", "mysql://me:secret@h/db"):
        with pytest.raises(StoreError) as caught:
            open_store(address)
        assert "sec" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        StoreError, match=r"postgresql://me:\*\*\*@127\.0\.0\.1:9/db cannot be used \(connection"
    ) as caught:
        open_store("postgresql://me:secret@127.0.0.1:9/db")
    assert "secret" not in str(caught.value)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A file system of its own, of a size and with options."""
    mounted = []

    def make(*options: str) -> Path:
        target = tmp_path / "mounted"
        target.mkdir(exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(target)]
        if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(target)
        return target

    yield make
    for target in mounted:
        subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_full_disk_is_told_and_what_is_stored_stays(store: Store, planned: Plan, mount: Callable[..., Path]) -> None:
    small = mount("size=1m")
    store.database.close()
    shutil.copytree(store.folder, small / "store")
    full = open_store(str(small / "store"))
    with contextlib.suppress(OSError), (small / "filling").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

    def fill() -> None:
        for _ in range(200):
            full.database.add(Record("f", "ok", reason=os.urandom(9000).hex()))

    with pytest.raises(StoreError, match=r"store\.db (has no room on|cannot be reached on) its disk; .* repeat"):
        fill()
    (small / "filling").unlink()
    full.database.add(Record("g", "ok"))
    assert full.database.statuses([planned.runs[0].id, "g"]) == {planned.runs[0].id: "ok", "g": "ok"}


def test_a_read_only_store_can_be_read_and_not_written(store: Store, planned: Plan, mount: Callable[..., Path]) -> None:
    target = mount("size=9m")
    store.database.close()
    shutil.copytree(store.folder, target / "store")
    subprocess.run(["mount", "-o", "remount,ro", str(target)], check=True)
    found = open_store(str(target / "store"), create=False).database
    assert [member.status for member in found.members()] == ["ok", "pending"]
    assert found.plan("small") == planned
    with pytest.raises(StoreError, match=r"store\.db cannot be (written to|opened); make it and its folder"):
        Database(target / "store" / "store.db")


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "paribus", "run", "small.yaml", "--workers", "1", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)


def fill(disk: Path, room: int) -> Path:
    """A file that leaves so many bytes to others."""
    filling = disk / "filling"
    filling.write_bytes(bytes(shutil.disk_usage(disk).free - room))
    return filling


@pytest.mark.slow
def test_a_disk_that_fills_up_during_a_run_costs_no_result_and_the_next_run_goes_on(
    write: Write, tmp_path: Path, mount: Callable[..., Path]
) -> None:
    write("machine: {checkpoint: {every_steps: 2}}\n")
    disk = mount("size=3m")
    on_it = ("--store", str(disk / "store"))
    assert run(tmp_path, *on_it, "--seeds", "1").returncode == 0
    first = next((disk / "store" / "runs").glob("*/record.json")).read_text()
    filling = fill(disk, 150_000)
    full = run(tmp_path, *on_it)
    assert full.returncode in (1, 2), full.stderr
    assert re.search(r"store\.db has no room on its disk; free some|cannot write to .*: No space left", full.stderr)
    assert "Traceback" not in full.stderr
    assert "safetensors" not in full.stderr
    filling.unlink()
    again = run(tmp_path, *on_it)
    assert again.returncode == 0, again.stderr
    found = [file.read_text() for file in (disk / "store" / "runs").glob("*/record.json")]
    assert len(found) == 2
    assert first in found


@pytest.mark.slow
def test_run_folders_on_a_full_disk_are_told_and_trained_once_there_is_room(
    write: Write, tmp_path: Path, mount: Callable[..., Path]
) -> None:
    write()
    disk = mount("size=1m")
    words = ("--seeds", "1", "--store", str(tmp_path / "store"), "--artifacts", str(disk / "placed"))
    filling = fill(disk, 4096)
    full = run(tmp_path, *words)
    assert full.returncode == 1, full.stderr
    assert f"cannot write to {disk / 'placed'}: No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    filling.unlink()
    assert run(tmp_path, *words).returncode == 0


def test_a_store_on_a_network_file_system_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "home of me"
    listed = f"/dev/vda / ext4 rw 0 0\nserver:/home {str(there).replace(' ', chr(92) + '040')} nfs4 rw 0 0\n"
    (tmp_path / "mounts").write_text(listed + f"tmpfs {tmp_path}/other tmpfs rw 0 0\n")
    monkeypatch.setattr("paribus.store.mounts.MOUNTS", tmp_path / "mounts")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*--store and .*runs with --artifacts"):
        open_store(str(there / "project" / ".paribus"))
    assert not there.exists()
    open_store(str(tmp_path / "other" / ".paribus"))


def test_a_clock_that_is_put_back_leaves_the_newest_plan_the_newest(
    store: Store, planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, newest = (replace(planned, digest=name, question=f"{name}?") for name in ("newer", "newest"))
    monkeypatch.setattr("paribus.store.database._now", lambda: "2009-01-01T00:00:00.000000+00:00")
    for plan_ in (newer, newest):
        store.database.save_plan(plan_)
        assert store.database.plan("small") == plan_
    store.database.save_plan(newer)
    assert store.database.plan("small") == newer
    assert {member.experiment for member in store.database.members()} == {"small"}
    # An attempt counts for being the last one, whatever the clock says of it.
    run = planned.runs[0].id
    store.database.add(Record(run, "diverged"))
    assert store.database.statuses([run]) == {run: "diverged"}
