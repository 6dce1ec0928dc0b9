"""`paribus diff`: how two runs, arms or files differ."""

from pathlib import Path
from typing import Any

from paribus.cli import options
from paribus.cli.output import as_json, plain, table
from paribus.errors import ParibusError, suggestion


def diff(one: str, other: str, /, *, store: options.Store = None, json: options.Json = False) -> int:
    """Show how two runs, arms or files differ.

    Parameters
    ----------
    one
        A run (start of an id, or experiment/arm/seed), FILE:ARM, or a file, which stands for its baseline.
    other
        The same.
    """
    from paribus.planning import differences

    found = differences(_settings(one, store), _settings(other, store))
    if json:
        as_json(
            [{"what": row["what"], "where": row["where"], "one": row["baseline"], "other": row["arm"]} for row in found]
        )
        return 0
    if not found:
        plain("no setting that counts differs")
        return 0
    table(
        "", ["what", "where", one, other], [(row["what"], row["where"], row["baseline"], row["arm"]) for row in found]
    )
    return 0


def _settings(name: str, store: str | None) -> dict[str, Any]:
    """The resolved settings that a word of the command line stands for."""
    file, _, arm = name.partition(":")
    if Path(file).suffix in (".yaml", ".yml"):
        return _of_file(Path(file), arm or "baseline")
    from paribus.store.folder import open_store

    opened = open_store(store, create=False)
    member = opened.find(name)
    plan = opened.database.plan(member.experiment)
    assert plan is not None
    return {**plan.settings[member.arm][member.task], "seed": member.seed}


def _of_file(file: Path, arm: str) -> dict[str, Any]:
    from paribus.planning import plan
    from paribus.spec.load import load

    planned = plan(load(file))
    if arm not in planned.settings:
        raise ParibusError(f"{file} has no arm called '{arm}'{suggestion(arm, planned.settings)}")
    first = planned.settings[arm]
    return {**next(iter(first.values())), "seed": planned.seeds}
