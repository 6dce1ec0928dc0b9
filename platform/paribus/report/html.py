"""Findings as one self-contained page: no network, no script, light and dark, screen and paper."""

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from paribus.report import figures, tables
from paribus.report.comparison import Axis, Section, told_difference
from paribus.report.findings import Findings
from paribus.report.panels import Slopes

TEMPLATES = Path(__file__).parent / "templates"
LEFT, WIDTH = 6.0, 268.0  # of the part of a forest cell that the axis covers


def page(findings: Findings) -> str:
    """The page."""
    template = _environment().get_template("page.html.j2")
    files = {
        "contrasts.csv": tables.written(findings.tables.contrasts, tables.CONTRASTS),
        "runs.csv": tables.written(findings.tables.runs, tables.RUNS),
        "warnings.csv": tables.written(findings.tables.warnings, tables.WARNINGS),
    }
    return template.render(
        findings=findings,
        parts=[_Pictures(part) for part in findings.sections],
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        files={name: _link(text) for name, text in files.items()},
        x=_x,
        told=told_difference,
        sizes={"left": LEFT, "width": WIDTH},
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _x(axis: Axis, value: float) -> str:
    """Where a value stands in a forest cell."""
    return f"{LEFT + WIDTH * axis.at(value):.1f}"


def _link(text: str) -> str:
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode()


class _Pictures:
    """A section with its pictures drawn."""

    def __init__(self, part: Section) -> None:
        self.part = part
        self.looks = looks = figures.styles([line.arm for line in part.lines])
        self.slopes = [
            (panel, Markup(figures.slope(panel, looks[panel.arm], _slope_words(part.slopes, panel.arm))))
            for panel in part.slopes.panels
        ]
        self.curves = [
            (found, [(arm, Markup(svg)) for arm, svg in figures.curves(found, looks)]) for found in part.curves
        ]
        self.scatters = [(found, Markup(figures.scatter(found, looks))) for found in part.scatters]


def _slope_words(slopes: Slopes, arm: str) -> str:
    return f"{slopes.axis} of {arm} and of the baseline, seed by seed"
