"""`paribus gc`: remove what is left over, or one run."""

import shutil
from pathlib import Path

from paribus.cli import options
from paribus.cli.output import count, plain


def gc(
    *,
    run: str | None = None,
    delete: options.Flag = False,
    store: options.Store = None,
) -> int:
    """Remove what is left over, or one run. Without --run it says what it would delete until --delete is given.

    Parameters
    ----------
    run
        A run whose row and folder go together; the next `paribus run` trains it again.
    delete
        Do it.
    """
    from paribus.store.folder import open_store

    opened = open_store(store, create=False)
    if run is not None:
        member = opened.find(run)
        opened.remove(member.run)
        plain(f"removed {member.run} ({member.name}); `paribus run` trains it again")
        return 0
    needed = opened.database.needed()
    useless = [*opened.leftovers(), *(opened.run_folder(run) for run in sorted(opened.database.known() - needed))]
    for folder in useless:
        plain(f"{'removed' if delete else 'would remove'} {folder.name}  {count(_size(folder))}B")
        if delete:
            opened.remove(folder.name)
            shutil.rmtree(folder, ignore_errors=True)
    if not useless:
        plain("nothing is left over")
    elif not delete:
        plain("these are attempts that never ended and runs that no experiment needs; --delete removes them")
    return 0


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
