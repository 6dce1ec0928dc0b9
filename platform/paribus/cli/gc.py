"""`paribus gc`: remove what is left over, or one run."""

from typing import TYPE_CHECKING

from paribus.cli import options
from paribus.cli.output import count, plain

if TYPE_CHECKING:
    from paribus.store.folder import Store


def gc(
    *,
    run: str | None = None,
    delete: options.Flag = False,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
) -> int:
    """Say what is left over, or remove it, or one run. Nothing is removed until --delete is given.

    Parameters
    ----------
    run
        Only this run, whose row and folder go together; the next `paribus run` trains it again.
    delete
        Do it.
    """
    from paribus.store.claims import holder
    from paribus.store.folder import open_store, size
    from paribus.store.record import RESULTS

    opened = open_store(store, create=False, artifacts=artifacts)
    if run is not None:
        member = opened.find(run)
        _refuse_if_claimed(opened, member.run)
        told = f"{member.run} ({member.name})  {count(opened.size(member.run))}B"
        if not delete:
            plain(f"would remove {told}; --delete does it")
            return 0
        opened.remove(member.run)
        plain(f"removed {told}; `paribus run` trains it again")
        return 0
    needed, statuses = opened.database.needed(), opened.database.statuses(opened.database.known())
    unneeded = [run for run in sorted(set(statuses) - needed) if holder(opened.database, run) is None]
    useless = [(folder.name, size(folder)) for folder in opened.leftovers()]
    useless += [(run, opened.size(run)) for run in unneeded]
    for folder in opened.checkpoints():
        of = folder.name.removesuffix(".resume")
        if of in needed and statuses.get(of) not in RESULTS:
            plain(f"keeps {folder.name}  {count(size(folder))}B: the next run goes on from there")
        elif holder(opened.database, of) is None:
            useless.append((folder.name, size(folder)))
    for name, bytes_ in useless:
        plain(f"{'removed' if delete else 'would remove'} {name}  {count(bytes_)}B")
        if delete:
            opened.remove(name)
    if not useless:
        plain("nothing is left over")
    elif not delete:
        plain("these are attempts that never ended and runs that no experiment needs; --delete removes them")
    return 0


def _refuse_if_claimed(store: "Store", run: str) -> None:
    from paribus.errors import StoreError
    from paribus.store.claims import holder

    driver = holder(store.database, run)
    if driver is not None:
        raise StoreError(
            f"the run {run} is being trained: process {driver.process} on {driver.place.split()[0]} has claimed it; "
            "end that one first, nothing was removed"
        )
