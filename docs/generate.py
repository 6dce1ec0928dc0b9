"""Write the reference pages from the program itself: commands from their help, parts and keys from their specs.

python docs/generate.py [--check]
"""

import os
import subprocess
import sys
from pathlib import Path

from paribus.cli import COMMANDS
from paribus.errors import shown
from paribus.parts import FAMILIES, Part, Strict, kinds
from paribus.spec.catalogue import described
from paribus.spec.experiment import Experiment
from paribus.spec.override import Group, slots

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
    """Every key of an experiment file with its default."""
    pages = ["# Keys of an experiment file", "", "| key | default | |", "|---|---|---|"]
    return "\n".join([*pages, *rows(Experiment, ""), ""])


def rows(model: type[Strict], path: str) -> list[str]:
    found = []
    for name, slot in slots(model).items():
        field = model.model_fields[name]
        key = f"{path}{field.alias or name}"
        default = field.get_default(call_default_factory=True)
        found.append(f"| `{key}` | `{told(default)}` | {field.description or ''} |")
        if isinstance(slot, Group) and not isinstance(default, list):
            found += rows(slot.model, f"{key}.")
    return found


def told(value: object) -> str:
    """A default in short."""
    return value.kind if isinstance(value, Part) else "..." if isinstance(value, Strict) else shown(value)


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
