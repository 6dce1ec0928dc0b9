"""`paribus status`: how far experiments are."""

import time
from collections import Counter
from typing import TYPE_CHECKING

from paribus.cli import options
from paribus.cli.output import as_json, plain, table

if TYPE_CHECKING:
    from paribus.store.folder import Store


EVERY = 2.0  # seconds between looks


def status(
    *,
    watch: options.Flag = False,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Say how far experiments are.

    Parameters
    ----------
    watch
        Say it again whenever something has changed, until nothing is pending or Ctrl-C.
    """
    from paribus.store.folder import open_store

    opened = open_store(store, create=False)
    counts = _counted(opened)
    _told(opened, counts, json)
    while watch and any(count["pending"] for count in counts.values()):
        time.sleep(EVERY)
        before, counts = counts, _counted(opened)
        if counts != before:
            _told(opened, counts, json)
    return 0


def _counted(opened: "Store") -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for member in opened.database.members():
        counts.setdefault(member.experiment, Counter())[member.status] += 1
    return counts


def _told(opened: "Store", counts: dict[str, Counter[str]], json: bool) -> None:
    if json:
        as_json([{"experiment": name, "runs": count.total(), **count} for name, count in counts.items()])
        return
    rows = []
    for name, count in counts.items():
        others = ", ".join(
            f"{number} {status}" for status, number in sorted(count.items()) if status not in ("ok", "pending")
        )
        rows.append((name, f"{count['ok']}/{count.total()}", count["pending"], others))
    table("", ["experiment", "ok", "pending", "others"], rows, right=["ok", "pending"])
    drivers = len(opened.database.drivers())
    plain(f"store: {opened.database.shown}" + (f"; drivers at work: {drivers}" if drivers else ""))
