"""Seeds by which nothing was chosen: whoever confirms something takes the next block of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from paribus.planning import hashed
from paribus.store.claims import Claims
from paribus.store.database import Database

FIRST = 2_000_001
POLL = 0.2


def next_block(database: Database, experiment: str) -> int:
    """The first seed above all fresh ones that any plan of an experiment ever had."""
    last = database.last_seed(experiment, FIRST)
    return FIRST if last is None else last + 1


@contextmanager
def one_at_a_time(database: Database, experiment: str) -> Iterator[None]:
    """While one driver takes fresh seeds of an experiment and saves the plan that uses them, the others wait."""
    key = hashed({"fresh seeds": experiment})
    with Claims(database) as claims:
        while claims.take([key])[key] == "theirs":
            time.sleep(POLL)
        yield
