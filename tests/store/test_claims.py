"""Claims: a run belongs to one driver at a time, and to nobody once that driver is gone."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paribus.store import claims as claims_module
from paribus.store.claims import Claims
from paribus.store.database import Attempt, Database
from paribus.store.record import Record


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "store.db")


def test_what_one_driver_holds_another_does_not_get_until_it_is_released(database: Database) -> None:
    with Claims(database) as one, Claims(database) as other:
        assert one.take(["a", "b"]) == {"a": "mine", "b": "mine"}
        assert one.take(["a"]) == {"a": "mine"}
        assert other.take(["a", "c"]) == {"a": "theirs", "c": "mine"}
        one.release("a")
        other.release("b")  # not its own: nothing happens
        assert other.take(["a", "b"]) == {"a": "mine", "b": "theirs"}


def test_a_run_that_has_a_result_by_now_is_not_claimed_unless_it_is_to_be_trained_anew(database: Database) -> None:
    database.add(Record("a", "ok"))
    database.add_attempts([Attempt("b", "crashed", "")])
    with Claims(database) as one:
        assert one.take(["a", "b"]) == {"a": "ok", "b": "mine"}
        assert one.take(["a"], fresh=True) == {"a": "mine"}


def test_a_driver_that_ends_or_dies_leaves_nothing_claimed(database: Database, tmp_path: Path) -> None:
    with Claims(database) as one:
        one.take(["a"])
    code = (
        "import os; from pathlib import Path; from paribus.store.claims import Claims;"
        "from paribus.store.database import Database\n"
        f"Claims(Database(Path({str(tmp_path / 'store.db')!r}))).__enter__().take(['b']); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert len(database.drivers()) == 1
    with Claims(database) as other:
        assert other.take(["a", "b"]) == {"a": "mine", "b": "mine"}
        assert len(database.drivers()) == 1


def test_a_driver_elsewhere_is_taken_for_dead_only_when_its_beat_stands_still(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "_here", lambda: "elsewhere")
    lively = Claims(database, beat=0.1).__enter__()
    silent = Claims(database, beat=1000).__enter__()
    monkeypatch.undo()
    lively.take(["a"])
    silent.take(["b"])
    with Claims(database, silent=1.0) as mine:
        wanted = ["a", "b"]
        assert mine.take(wanted) == {"a": "theirs", "b": "theirs"}
        deadline = time.monotonic() + 20
        while mine.take(wanted)["b"] == "theirs":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert mine.take(wanted) == {"a": "theirs", "b": "mine"}
    lively.__exit__(None, None, None)
    silent.__exit__(None, None, None)


def test_a_clock_that_jumps_neither_frees_what_the_living_hold_nor_keeps_what_the_dead_held(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.cycle([0.0, 4e9, 1e9])
    monkeypatch.setattr(time, "time", lambda: next(times))
    monkeypatch.setattr("paribus.store.database._now", lambda: str(next(times)))
    monkeypatch.setattr(claims_module, "_here", lambda: "elsewhere")
    lively = Claims(database, beat=0.05).__enter__()
    lively.take(["a"])
    database.enter("dead", "elsewhere too", 1)
    database.claim("dead", ["b"])
    with Claims(database, silent=0.6) as mine:
        began, deadline = time.monotonic(), time.monotonic() + 20
        assert mine.take(["a", "b"]) == {"a": "theirs", "b": "theirs"}
        while mine.take(["b"])["b"] == "theirs":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert time.monotonic() - began >= 0.6
        assert mine.take(["a"]) == {"a": "theirs"}
    lively.__exit__(None, None, None)


def test_a_process_number_that_another_program_got_holds_nothing(database: Database) -> None:
    database.enter("dead", claims_module._here(), os.getpid())
    database.claim("dead", ["a"])
    with Claims(database, silent=0.0) as mine:
        assert mine.take(["a"]) == {"a": "theirs"}
        assert mine.take(["a"]) == {"a": "mine"}
