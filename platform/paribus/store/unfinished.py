"""Names of files and folders while somebody writes them: whoever dies or writes at the same time spoils nothing."""

import os
from pathlib import Path
from platform import node

from paribus.store.process import alive


def unfinished(path: Path, process: int | None = None, host: str = "") -> Path:
    """What a file or folder is called while a process writes it, as a rule this one of this machine."""
    return path.with_name(f"{path.name}.partial-{host or node()}-{process or os.getpid()}")


def abandoned(path: Path) -> bool:
    """Whether the process that an unfinished path is named after is gone; nothing is known of other machines."""
    owner, _, number = path.name.partition(".partial-")[2].rpartition("-")
    return owner in ("", "old", node()) and not (number.isdigit() and alive(int(number)))
