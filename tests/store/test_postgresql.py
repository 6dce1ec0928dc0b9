"""A store on a server: the same promises as in a file, and patience when the server goes away."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paribus.planning import plan
from paribus.spec.load import load
from paribus.store.claims import Claims
from paribus.store.database import Attempt, Database
from paribus.store.folder import open_store
from paribus.store.record import Record, Score

pytestmark = [
    pytest.mark.postgres,
    # Connections of stores that are let go without being closed, as a command does at its end.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
Write = Callable[..., Path]


@pytest.fixture
def address(postgresql: Any) -> Iterator[str]:
    yield postgresql.database()
    gc.collect()  # what is let go here is warned of here


def test_plans_records_claims_and_exclusions_come_back_as_they_were(address: str, write: Write) -> None:
    planned = plan(load(write("arms: {deep: {network.depth: 3}}\n")))
    opened = open_store(address)
    opened.database.save_plan(planned)
    stored = Record(planned.runs[0].id, "ok", scores=[Score("test", "exact_match", 0.1 + 0.2)], order=[(2, "ab")])
    opened.database.add_attempts([Attempt(stored.run, "crashed", "out of memory")])
    opened.database.add(stored)
    again = open_store(address, create=False)
    assert again.database.plan("small") == planned
    assert again.database.outcomes([stored.run])[stored.run].record == stored
    assert [status for _, status, _ in again.database.attempts(stored.run)] == ["crashed", "ok"]
    again.database.exclude(stored.run, "a broken fan")
    assert again.database.outcomes([stored.run])[stored.run].status == "excluded"
    with Claims(opened.database) as one, Claims(again.database) as other:
        assert one.take(["a"]) == {"a": "mine"}
        assert other.take(["a"]) == {"a": "theirs"}
    assert opened.database.drivers() == {}


def test_many_drivers_that_open_a_new_database_at_once_find_one_schema_and_one_plan(address: str, write: Write) -> None:
    planned = plan(load(write()))
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            Database(address).save_plan(planned)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(Database(address).members()) == 2


@pytest.mark.slow
def test_a_driver_that_lost_its_connection_for_ten_seconds_goes_on(postgresql: Any, address: str) -> None:
    database = Database(address)
    with Claims(database, beat=0.5) as claims:
        assert claims.take(["a"]) == {"a": "mine"}
        postgresql.stop()
        back = threading.Timer(10, postgresql.start)
        back.start()
        began = time.monotonic()
        database.add(Record("a", "ok"))
        claims.release("a")
        back.join()
        assert time.monotonic() - began > 5
    assert database.statuses(["a"]) == {"a": "ok"}
    assert len(database.attempts("a")) == 1
