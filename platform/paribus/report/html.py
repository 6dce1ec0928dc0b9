"""Findings as one self-contained page: no network, no script unless asked for, light and dark, screen and paper."""

import base64
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from paribus.report import figures, tables
from paribus.report.attention import Attention, Example, Mosaic
from paribus.report.comparison import SHOWN_TAGS, Axis, Section, told_difference
from paribus.report.findings import Findings
from paribus.report.grids import Grid, of_curves, of_gaps, of_lengths, of_scatter
from paribus.report.interactive import alive, script
from paribus.report.panels import Words
from paribus.report.pictures import drawn

TEMPLATES = Path(__file__).parent / "templates"
LARGEST_LINK = 250_000  # letters of a table that the page carries with it
LEFT, WIDTH = 6.0, 268.0  # of the part of a forest cell that the axis covers


Shown = Callable[[figures.Svg], Markup]


def page(findings: Findings, *, interactive: bool = False) -> str:
    """The page; an interactive one carries what draws its figures again, and words for every mark."""
    shown: Shown = alive if interactive else Markup
    template = environment().get_template("page.html.j2")
    files = {
        "contrasts.csv": tables.written(findings.tables.contrasts, tables.CONTRASTS),
        "runs.csv": tables.written(findings.tables.runs, tables.RUNS),
        "warnings.csv": tables.written(findings.tables.warnings, tables.WARNINGS),
    }
    return template.render(
        findings=findings,
        parts=[_Pictures(part, shown) for part in findings.sections],
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        files={name: _link(text, "text/csv") for name, text in files.items() if len(text) < LARGEST_LINK},
        x=_x,
        told=told_difference,
        sizes={"left": LEFT, "width": WIDTH},
        tags=SHOWN_TAGS,
        sections=_contents,
        drawn=lambda found: [(heading, shown(svg)) for heading, svg in drawn(found)],
        script=script() if interactive else None,
    )


@cache
def environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["breaking"] = breaking
    return found


def breaking(name: str) -> Markup:
    """A name that a line can break between the settings that it is made of."""
    return Markup("<wbr>").join(re.split("(?<=,)", name))


def _x(axis: Axis, value: float) -> str:
    """Where a value stands in a forest cell."""
    return f"{LEFT + WIDTH * axis.at(value):.1f}"


def _link(content: str | bytes, kind: str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


class _Pictures:
    """A section with its pictures drawn, and the numbers under them."""

    def __init__(self, part: Section, shown: Shown) -> None:
        self.part = part
        arms = tuple(line.arm for line in part.lines)
        self.looks = looks = figures.styles(arms)
        self.slopes = [
            (panel, shown(figures.slope(panel, looks[panel.arm], figures.slope_words(part.slopes, panel.arm))))
            for panel in part.slopes.panels
        ]
        self.curves = [_drawn(shown, found, figures.curves(found, arms), of_curves(found)) for found in part.curves]
        self.differences = [
            _drawn(shown, found, figures.curves(found, arms), of_curves(found)) for found in part.differences
        ]
        self.scatters = [
            _drawn(shown, found, (("", figures.scatter(found, arms)),), of_scatter(found)) for found in part.scatters
        ]
        self.lengths = [
            _drawn(shown, found, figures.lengths(found, arms), of_lengths(found)) for found in [part.lengths] if found
        ]
        self.gaps = part.lengths and of_gaps(part.lengths)
        self.attention = part.attention and _Attention(part.attention, arms, shown)


def _contents(picture: _Pictures) -> Iterator[tuple[str, str]]:
    """Ends of anchors and titles of what a section holds."""
    part = picture.part
    there = {
        "arms": ("Arm by arm", True),
        "runs": ("Runs", True),
        "pairs": ("Pairs of runs", picture.slopes),
        "training": ("Training", picture.curves),
        "cost": ("Cost", True),
        "quality": ("Quality against cost", picture.scatters),
        "lengths": ("Length", picture.lengths),
        "attention": ("Attention", picture.attention),
        "samples": ("Samples", part.samples),
        "others": ("Other metrics", part.secondary),
    }
    return ((name, words) for name, (words, holds) in there.items() if holds)


class _Figure(NamedTuple):
    words: Words
    pictures: list[tuple[str, Markup]]  # heading, SVG
    grid: Grid


class _Drawable(Protocol):
    @property
    def words(self) -> Words: ...


def _drawn(shown: Shown, found: _Drawable, pictures: figures.Pictures, grid: Grid) -> _Figure:
    return _Figure(found.words, [(heading, shown(svg)) for heading, svg in pictures], grid)


class _Attention:
    """The gallery with its images, and the marks of all heads."""

    def __init__(self, found: Attention, arms: tuple[str, ...], shown: Shown) -> None:
        self.found = found
        few = len(found.arms) <= figures.TOGETHER
        self.heads = [(place, shown(figures.heads(found, place, arms))) for place in found.places if few]
        self.examples = [
            (example, {key: self._image(mosaic, _scale(example)) for key, mosaic in example.mosaics.items()})
            for example in found.examples
        ]

    @staticmethod
    def _image(mosaic: Mosaic, scale: int) -> tuple[str, int, int, str]:
        """Address, width, height, words."""
        heads, queries, keys = mosaic.layers[0].shape
        width = heads * (keys + figures.GAP) - figures.GAP
        height = len(mosaic.layers) * (queries + figures.GAP) - figures.GAP
        return _link(figures.mosaic(mosaic), "image/png"), width * scale, height * scale, mosaic.words


def _scale(example: Example) -> int:
    """Pixels a weight, the same for all arms."""
    widest = max(
        (layer.shape[0] * layer.shape[2] for one in example.mosaics.values() for layer in one.layers), default=1
    )
    return max(2, min(7, round(220 / widest)))
