"""The promises of a user's own parts, asked once for each source, settings and version of torch."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from paribus.errors import PartError
from paribus.parts import Part
from paribus.promises import check

FILE = "promises.json"


def demand(
    parts: Iterable[tuple[str, Part]],
    folder: Path,
    source_of: Callable[[str], str],
    version: str,
    tell: Callable[[str], None],
) -> None:
    """Ask every part that was not found to keep its promises before; raises PartError where one is broken.

    What was kept is remembered in the folder of the store.
    """
    known, broken = _read(folder / FILE), []
    for family, part in parts:
        key = _key(family, part, source_of(part.kind), version)
        if key in known:
            continue
        outcomes = check(family, part)
        wrong = [outcome for outcome in outcomes if outcome.verdict == "broken"]
        if wrong:
            broken += [f"{part.kind} breaks {len(wrong)} of the {len(outcomes)} promises of a {family}:"]
            broken += [f"  {outcome.promise}: {outcome.text}" for outcome in wrong]
        else:
            known[key] = f"{family} {part.kind}"
            tell(f"{part.kind} keeps the promises of a {family}")
    if known != _read(folder / FILE):
        _write(folder / FILE, known)
    if broken:
        raise PartError("\n".join([*broken, "nothing was trained; `paribus check-part` shows all promises of a part"]))


def _key(family: str, part: Part, source: str, version: str) -> str:
    told: list[Any] = [family, part.identity(), source, version, torch.__version__]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _read(file: Path) -> dict[str, str]:
    """What was kept; a file that cannot be read only means that parts are asked again."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    return {}


def _write(file: Path, known: dict[str, str]) -> None:
    """Whole or not at all; what another driver wrote meanwhile is kept."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps({**_read(file), **known}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(file)
