"""All figures of a report as files: SVG in light and dark, PDF for papers, PNG for slides."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import unescape

import vl_convert

from paribus.report import figures
from paribus.report.comparison import Section
from paribus.report.findings import Findings
from paribus.report.pictures import drawn

# The colours of the page's stylesheet, for pictures that stand alone.
_DARK = {
    figures.INK: "#e6e9ed",
    figures.MUTED: "#a7b0bb",
    figures.GRID: "#343b44",
    "#ffffff": "#14171c",
    "#000000": "#e6e9ed",
    "#000": "#e6e9ed",
}


@dataclass(frozen=True)
class Drawing:
    name: str
    words: str
    caption: str
    svg: str
    chief: bool = False  # one of those that a short report shows


def drawings(findings: Findings, *, chief: bool = False) -> Iterator[Drawing]:
    """Each figure once, named by what it shows; only those of a short report if `chief`."""
    several = len(findings.sections) > 1
    for number, part in enumerate(findings.sections, 1):
        for figure in _of(part, f"task{number}-" if several else ""):
            if figure.chief or not chief:
                yield from _drawn(figure)
    for number, block in enumerate(findings.blocks, 1):
        for place, found in enumerate(block.plots, 1):
            if found.chief or not chief:
                caption = f"{found.words.title}. {found.words.caption}"
                yield from _drawn(_Figure(f"section{number}-{place}", caption, partial(drawn, found), found.chief))


@dataclass(frozen=True)
class _Figure:
    name: str
    caption: str
    pictures: Callable[[], figures.Pictures]
    chief: bool = False


def _of(part: Section, before: str) -> Iterator[_Figure]:
    arms = tuple(line.arm for line in part.lines)
    for number, found in enumerate((*part.curves, *part.differences)):
        chief = number == 0 or found.zero
        yield _Figure(f"{before}{found.name}", found.words.caption, partial(figures.curves, found, arms), chief)
    for number, spots in enumerate(part.scatters):
        picture = partial(_one, figures.scatter, spots, arms)
        yield _Figure(f"{before}quality-{spots.name}", spots.words.caption, picture, number == 0)
    if part.lengths:
        picture = partial(figures.lengths, part.lengths, arms)
        yield _Figure(f"{before}lengths", part.lengths.words.caption, picture, True)
    if part.attention and len(part.attention.arms) <= figures.TOGETHER:
        for place in part.attention.places:
            picture = partial(_one, figures.heads, part.attention, place, arms)
            yield _Figure(f"{before}heads-{place}", f"{place}: {part.attention.scatter.caption}", picture)


def _one(draw: Callable[..., figures.Svg], *what: object) -> figures.Pictures:
    return (("", draw(*what)),)


def _drawn(figure: _Figure) -> Iterator[Drawing]:
    for index, (heading, svg) in enumerate(figure.pictures()):
        name = f"{figure.name}{_number(index, heading)}"
        yield _drawing(name, figure.caption, heading, svg, figure.chief)


def _number(index: int, heading: str) -> str:
    return f"-{index + 1}" if heading else ""


def _drawing(name: str, caption: str, heading: str, svg: str, chief: bool = False) -> Drawing:
    words = re.search(r'aria-label="([^"]*)"', svg)
    alone = svg if 'xmlns="' in svg else svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    told = f"{heading}: {caption}" if heading else caption
    return Drawing(name, unescape(words[1]) if words else heading, told, alone, chief)


def dark(svg: str) -> str:
    """The same picture for dark paper."""
    colours = "|".join(map(re.escape, sorted(_DARK, key=len, reverse=True)))
    return re.sub(f'(?<=")({colours})(?=")', lambda found: _DARK[found[1]], svg)


def turned(svg: str, kind: str) -> str | bytes:
    """The picture as `svg`, `pdf` or `png`."""
    if kind == "svg":
        return svg
    if kind == "pdf":
        return _ordered(bytes(vl_convert.svg_to_pdf(svg)))
    return bytes(vl_convert.svg_to_png(svg, scale=2))


def _ordered(pdf: bytes) -> bytes:
    """The same document with the same bytes each time: its lists of resources come in an order of chance."""

    def sort(found: re.Match[bytes]) -> bytes:
        return found[1] + b"".join(sorted(found[2].splitlines(keepends=True))) + found[3]

    return re.sub(rb"(<<\n)((?: +/\w+ \d+ 0 R\n)+)( *>>)", sort, pdf)
