"""`paribus status`: how far experiments are."""

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from paribus.cli.output import as_json, plain, table


def status(*, store: str | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Say how far experiments are.

    Parameters
    ----------
    store
        The folder of the store.
    json
        Print JSON.
    """
    from paribus.store.folder import open_store

    opened = open_store(store, create=False)
    counts: dict[str, Counter[str]] = {}
    for member in opened.database.members():
        counts.setdefault(member.experiment, Counter())[member.status] += 1
    if json:
        as_json([{"experiment": name, "runs": count.total(), **count} for name, count in counts.items()])
        return 0
    rows = []
    for name, count in counts.items():
        others = ", ".join(
            f"{number} {status}" for status, number in sorted(count.items()) if status not in ("ok", "pending")
        )
        rows.append((name, f"{count['ok']}/{count.total()}", count["pending"], others))
    table("", ["experiment", "ok", "pending", "others"], rows, right=["ok", "pending"])
    plain(f"store: {opened.folder}")
    return 0
