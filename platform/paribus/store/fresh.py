"""Seeds by which nothing was chosen: whoever confirms something takes the next block of them."""

from paribus.store.database import Database

FIRST = 2_000_001


def next_block(database: Database, experiment: str) -> int:
    """The first seed above all fresh ones that any plan of an experiment ever had."""
    last = database.last_seed(experiment, FIRST)
    return FIRST if last is None else last + 1
