"""Nobody gets the same fresh seeds twice."""

from collections.abc import Callable
from pathlib import Path

from paribus.planning import plan
from paribus.spec.load import load
from paribus.store.folder import open_store
from paribus.store.fresh import FIRST, next_block

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
