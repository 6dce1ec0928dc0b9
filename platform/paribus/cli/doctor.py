"""`paribus doctor`: is this machine ready?"""

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paribus.cli import options
from paribus.cli.output import as_json, table

NEEDED = ("torch", "lightning", "pandas", "pydantic", "sqlalchemy", "altair", "vl-convert-python", "scipy")
EXTRAS = {"ray": "ray", "postgres": "psycopg", "bpe": "tokenizers", "hub": "datasets", "cmaes": "cmaes"}
LITTLE_DISK = 2 * 2**30


def doctor(*, store: options.Store = None, json: options.Json = False) -> int:
    """Say whether this machine is ready."""
    found = [*_software(), *_hardware(), *_store(store)]
    if json:
        as_json(found)
    else:
        signs = {"good": "✓", "missing": "–", "bad": "✕"}
        table("", ["", "what", "found"], [(signs[row["state"]], row["what"], row["found"]) for row in found])
    return 1 if any(row["state"] == "bad" for row in found) else 0


def _row(what: str, found: str, state: str = "good") -> dict[str, Any]:
    return {"what": what, "found": found, "state": state}


def _software() -> list[dict[str, Any]]:
    old = sys.version_info < (3, 11)
    rows = [_row("Python", platform.python_version() + (", needs 3.11" if old else ""), "bad" if old else "good")]
    for package in NEEDED:
        try:
            rows.append(_row(package, version(package)))
        except PackageNotFoundError:
            rows.append(_row(package, f"is missing: pip install {package}", "bad"))
    for extra, module in EXTRAS.items():
        there = find_spec(module) is not None
        told = "installed" if there else f"not installed: pip install 'paribus[{extra}]'"
        rows.append(_row(f"extra {extra}", told, "good" if there else "missing"))
    return rows


def _hardware() -> list[dict[str, Any]]:
    import torch

    from paribus.running import cores

    rows = [_row("cores", str(cores()))]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        rows.append(_row("GPUs", ", ".join(names)))
    else:
        rows.append(_row("GPUs", "none; runs train on the CPU", "missing"))
    return rows


def _store(given: str | None) -> list[dict[str, Any]]:
    from paribus.store.folder import locate

    folder = locate(given)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    short = free < LITTLE_DISK
    rows = [_row("disk", f"{free / 2**30:.1f} GiB free at {there}", "bad" if short else "good")]
    writable = _writable(there)
    told = f"{folder}" + ("" if writable else " cannot be written to") + ("" if folder.exists() else " (not there yet)")
    return [*rows, _row("store", told, "good" if writable else "bad")]


def _writable(folder: Path) -> bool:
    probe = folder / ".paribus-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
