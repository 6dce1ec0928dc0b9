"""Nobody gets the same fresh seeds twice."""

import threading
from collections.abc import Callable
from pathlib import Path

from paribus.planning import plan
from paribus.spec.load import load
from paribus.store.folder import open_store
from paribus.store.fresh import FIRST, next_block, one_at_a_time

Write = Callable[..., Path]


def test_a_block_once_used_is_used_up_though_newer_plans_took_the_place_of_its_plan(write: Write) -> None:
    loaded, database = load(write("arms: {deep: {network.depth: 3}}\n")), open_store("store").database
    database.save_plan(plan(loaded))
    assert next_block(database, "small") == FIRST
    database.save_plan(plan(loaded, seeds=[FIRST, FIRST + 1]))
    database.save_plan(plan(loaded))
    assert database.plan("small") == plan(loaded)
    assert next_block(database, "small") == FIRST + 2
    assert next_block(database, "another") == FIRST


def test_blocks_under_any_label_count(write: Write) -> None:
    loaded, database = load(write("arms: {deep: {network.depth: 3}}\n")), open_store("store").database
    database.save_plan(plan(loaded, seeds=[FIRST + 7], label="confirm-deep-1"))
    assert next_block(database, "small") == FIRST + 8


def test_two_who_ask_at_once_get_two_blocks(write: Write) -> None:
    loaded = load(write("arms: {deep: {network.depth: 3}}\n"))
    open_store("store")
    given: list[int] = []

    def confirm(label: str) -> None:
        database = open_store("store").database
        with one_at_a_time(database, "small"):
            first = next_block(database, "small")
            given.append(first)
            database.save_plan(plan(loaded, seeds=[first], label=label))

    asking = [threading.Thread(target=confirm, args=(f"confirm-{number}",)) for number in range(4)]
    for each in asking:
        each.start()
    for each in asking:
        each.join(60)
    assert sorted(given) == [FIRST + number for number in range(4)]
