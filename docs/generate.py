"""Write the reference pages from the program itself: commands from their help, parts and keys from their specs.

python docs/generate.py [--check]
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from paribus.cli import COMMANDS
from paribus.errors import shown
from paribus.parts import FAMILIES, Part, kinds
from paribus.spec.catalogue import described
from paribus.spec.explaining import Explained, every_key

FOLDER = Path(__file__).parent / "reference"


def commands() -> str:
    """Each command with what `--help` prints."""
    pages = ["# Commands", ""]
    for name, text in COMMANDS.items():
        printed = subprocess.run(
            [sys.executable, "-m", "paribus", name, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={
                "COLUMNS": "110",
                "NO_COLOR": "1",
                "PATH": "",
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
        lines = [line.rstrip() for line in printed.stdout.strip().splitlines()]
        pages += [f"## paribus {name}", "", text, "", "```", *lines, "```", ""]
    return "\n".join(pages)


def parts() -> str:
    """Each family with its kinds: formula, declarations, settings."""
    pages = [
        "# Parts",
        "",
        "Parameters are counted at width 64, 4 heads of 16 and 32 places, settings at their defaults.",
        "",
    ]
    for family, text in FAMILIES.items():
        pages += [f"## {family}", "", f"{text[0].upper()}{text[1:]}.", ""]
        for kind in kinds(family):
            part = described(family, kind)
            pages += [f"### {kind}", "", part["summary"], ""]
            facts = [f"{part['parameters']:,} parameters"] if part["parameters"] is not None else []
            facts += [f"work grows as {part['cost']}"] if part["cost"] else []
            facts += [f"{name}: {', '.join(part[name])}" for name in ("leaks", "ignores") if part[name]]
            pages += [f"*{'; '.join(facts)}*", ""] if facts else []
            if part["fields"]:
                pages += ["| setting | default | |", "|---|---|---|"]
                pages += [f"| `{f['name']}` | `{told(f['default'])}` | {f['description']} |" for f in part["fields"]]
                pages += [""]
    return "\n".join(pages)


def keys() -> str:
    """Every key of an experiment file with its default and the values that it may have."""
    pages = ["# Keys of an experiment file", "", "Settings of parts stand in [parts](parts.md).", ""]
    pages += ["| key | default | |", "|---|---|---|"]
    return "\n".join([*pages, *(row(entry) for entry in every_key() if not entry.kind), ""])


def row(entry: Explained) -> str:
    default = entry.default if entry.default in WORDS else f"`{entry.default}`"
    named = [value for value in entry.values if not re.search(rf"\b{value}\b", entry.description)]
    values = f"one of {', '.join(f'`{value}`' for value in entry.values)}" if named else ""
    return f"| `{entry.key}` | {default} | {'; '.join(filter(None, (entry.description, values)))} |"


def told(value: object) -> str:
    """A default in short."""
    return value.kind if isinstance(value, Part) else shown(value)


WORDS = ("as below", "needed")  # defaults that are no values
PAGES = {"commands.md": commands, "parts.md": parts, "keys.md": keys}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name, page in PAGES.items():
        text = page().rstrip() + "\n"
        if "--check" in sys.argv and (FOLDER / name).read_text(encoding="utf-8") != text:
            stale.append(name)
        elif "--check" not in sys.argv:
            (FOLDER / name).write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python docs/generate.py")


if __name__ == "__main__":
    main()
