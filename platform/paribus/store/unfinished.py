"""Names of files and folders while somebody writes them: whoever dies or writes at the same time spoils nothing."""

import os
from pathlib import Path
from platform import node

from paribus.store.process import alive


def unfinished(path: Path, process: int | None = None) -> Path:
    """What a file or folder is called while a process of this machine, as a rule this one, writes it."""
    return path.with_name(f"{path.name}.partial-{node()}-{process or os.getpid()}")


def abandoned(path: Path) -> bool:
    """Whether the process that an unfinished path is named after is gone; nothing is known of other machines."""
    owner, _, number = path.name.partition(".partial-")[2].rpartition("-")
    return owner in ("", "old", node()) and not (number.isdigit() and alive(int(number)))
