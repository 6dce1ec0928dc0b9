"""`paribus exclude`: leave a run out of reports, with a reason that they print."""

from paribus.cli import options
from paribus.cli.output import plain
from paribus.errors import ParibusError


def exclude(
    run: str,
    /,
    *,
    why: str = "",
    undo: options.Flag = False,
    store: options.Store = None,
) -> int:
    """Leave a run out of reports, with a reason that they print.

    Parameters
    ----------
    run
        The start of an id, or experiment/arm/seed.
    why
        The reason, such as "the machine overheated".
    undo
        Take it in again.
    """
    from paribus.store.folder import open_store

    if bool(why.strip()) == undo:
        raise ParibusError("exclude needs --why with a reason, or --undo")
    opened = open_store(store, create=False)
    member = opened.find(run)
    opened.database.exclude(member.run, why.strip())
    told = "counts again" if undo else f"is left out: {why.strip()}"
    plain(f"{member.name} ({member.run}) {told}; `paribus report {member.experiment}` writes the report anew")
    return 0
