"""Several experiments in one report, and a page that lists all reports."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from markupsafe import Markup

from paribus.report.comparison import Section
from paribus.report.findings import Findings, Tables
from paribus.report.html import TEMPLATES, environment


def together(found: Sequence[Findings]) -> Findings:
    """One report of several experiments, in the order given; what they say is not compared with each other."""
    lines = dict.fromkeys(line for one in found for line in one.method)
    tables = {
        field.name: tuple(row for one in found for row in getattr(one.tables, field.name)) for field in fields(Tables)
    }
    return replace(
        found[0],
        title=" + ".join(one.title for one in found),
        question=" · ".join(dict.fromkeys(one.question or one.title for one in found)),
        answer=" ".join(f"{one.title}: {one.answer}" for one in found),
        state=" — ".join(f"{one.title} {one.state}" for one in found),
        identity=" — ".join(one.identity for one in found),
        sections=tuple(part for number, one in enumerate(found, 1) for part in _sections(one, number)),
        warnings=tuple(
            replace(warning, task=one.title, brief=f"{one.title}: {warning.brief}")
            for one in found
            for warning in one.warnings
        ),
        blocks=tuple(replace(block, title=f"{one.title}: {block.title}") for one in found for block in one.blocks),
        method=tuple(lines),
        provenance=tuple((f"{one.title}: {name}", value) for one in found for name, value in one.provenance),
        source="\n".join(one.source for one in found),
        tables=Tables(**tables),
        claims=tuple(claim for one in found for claim in one.claims),
        effects=tuple(effect for one in found for effect in one.effects),
    )


def _sections(one: Findings, number: int) -> Iterator[Section]:
    """The sections under names that no other experiment has."""
    for part in one.sections:
        lines = tuple(replace(line, anchor=f"of{number}-{line.anchor}") for line in part.lines)
        yield replace(part, task=f"{one.title}, {part.task}", anchor=f"of{number}-{part.anchor}", lines=lines)


@dataclass(frozen=True)
class Entry:
    """A report of the folder, as its `report.json` tells."""

    folder: str
    title: str
    question: str
    answer: str
    state: str


def entries(reports: Path) -> Iterator[Entry]:
    """All reports that have a page, by name; what an older one does not tell stays empty."""
    for page in sorted(reports.glob("*/index.html")):
        folder = page.parent.name
        try:
            told = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
            words = {key: str(told[key]) for key in ("title", "question", "answer", "state")}
        except (OSError, ValueError, KeyError, TypeError):
            words = {"title": folder, "question": "", "answer": "", "state": ""}
        yield Entry(folder, **words)


def index(reports: Path) -> str:
    """The page that lists all reports of a folder."""
    return (
        environment()
        .get_template("reports.html.j2")
        .render(
            entries=list(entries(reports)),
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        )
    )
