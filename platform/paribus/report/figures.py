"""Figures as inline SVG: drawn once by Vega-Lite, coloured so that the page's stylesheet can turn them dark."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import altair as alt
import vl_convert

from paribus.report.panels import Curves, Line, Scatter, Slope

# The stylesheet exchanges these greys in the dark; colours of arms stay.
INK, MUTED, GRID = "#1f2328", "#5b6470", "#e3e6ea"
# Okabe and Ito, without the yellow that white paper swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4], [1, 3])
CIRCLE = "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z"
SHAPES = (
    "M-.9,-.9H.9V.9H-.9Z",
    "M0,-1.1L1,.8H-1Z",
    "M0,-1.2L1,0L0,1.2L-1,0Z",
    "M0,1.1L1,-.8H-1Z",
    "M1.1,0L-.8,1V-1Z",
    "M-1.1,0L.8,1V-1Z",
    "M-.4,-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
)
CROSS = "M-1,-1L1,1M1,-1L-1,1"
TOGETHER = 8  # arms that one picture can hold; beyond, each arm gets its own with the baseline
FONT = "DejaVu Sans"


@dataclass(frozen=True)
class Style:
    colour: str
    dash: Sequence[int]
    shape: str


Drawing = alt.LayerChart | alt.FacetChart


def styles(arms: Sequence[str]) -> dict[str, Style]:
    """How each arm is drawn everywhere, the baseline in grey."""
    found = {arm: Style(MUTED, [1, 0], CIRCLE) for arm in arms[:1]}
    for index, arm in enumerate(arms[1:]):
        turn = (index + index // len(COLOURS)) % len(DASHES)  # another dash when a colour comes again
        found[arm] = Style(COLOURS[index % len(COLOURS)], DASHES[turn], SHAPES[turn])
    return found


def curves(found: Curves, looks: Mapping[str, Style]) -> Iterator[tuple[str, str]]:
    """Pictures with their headings: one of all arms, or one an arm where there are many."""
    if len(looks) <= TOGETHER:
        yield "", _svg(_curves(found, list(looks), looks, 460, 250), found.words.alternative)
        return
    baseline, *others = looks
    for arm in others:
        words = f"{found.words.title}: {arm} and the baseline"
        yield arm, _svg(_curves(found, [baseline, arm], looks, 190, 120), words)


def _curves(found: Curves, arms: Sequence[str], looks: Mapping[str, Style], width: int, height: int) -> Drawing:
    lines = [line for line in found.lines if line.arm in arms]
    means = [{"arm": arm, "step": x, "value": y} for arm in arms for x, y in found.means.get(arm, ())]
    bands = [
        {"arm": arm, "step": x, "low": low, "high": high}
        for arm in arms
        for x, low, high in found.bands.get(arm, ())
        if low > 0 or not found.log
    ]
    x = alt.X("step:Q", title="steps", axis=alt.Axis(tickCount=5, grid=False))
    scale = alt.Scale(type="log" if found.log else "linear", zero=False, nice=not found.log)
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    colour, dash = _colour(arms, looks), _dash(arms, looks)
    layers: list[alt.Chart] = []
    if bands:
        layers.append(
            alt.Chart(_data(bands))
            .mark_area(opacity=0.14)
            .encode(x=x, y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q", color=colour)
        )
    layers.append(
        alt.Chart(_data(_points(lines)))
        .mark_line(strokeWidth=1, opacity=0.35)
        .encode(x=x, y=y, color=colour, detail="seed:N")
    )
    layers.append(alt.Chart(_data(means)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, strokeDash=dash))
    ends = [{"arm": line.arm, "step": line.points[-1][0], "value": line.points[-1][1]} for line in lines if line.failed]
    if ends:
        layers.append(_crosses(ends).encode(x=x, y=y, color=colour))
    return alt.layer(*layers).properties(width=width, height=height)


def _points(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [{"arm": line.arm, "seed": line.seed, "step": x, "value": y} for line in lines for x, y in line.points]


def _crosses(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    return alt.Chart(_data(rows)).mark_point(shape=CROSS, size=60, strokeWidth=2, filled=False, opacity=1)


def slope(found: Slope, look: Style, words: str) -> str:
    """One line a seed, from the baseline's score to the arm's."""
    rows = [
        {"seed": seed, "side": side, "value": value}
        for seed, before, after in found.pairs
        for side, value in (("baseline", before), ("arm", after))
    ]
    rows += [{"seed": seed, "side": "baseline", "value": before} for seed, before in found.failed]
    axis = alt.Axis(labelAngle=0, title=None, grid=False, ticks=False)
    x = alt.X("side:N", sort=["baseline", "arm"], axis=axis, scale=alt.Scale(padding=0.25))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    lines = (
        alt.Chart(_data(rows))
        .mark_line(color=look.colour, strokeWidth=1.4, opacity=0.8)
        .encode(x=x, y=y, detail="seed:N")
    )
    dots = alt.Chart(_data(rows)).mark_point(size=28, filled=True, opacity=1).encode(x=x, y=y, color=_side_colour(look))
    layers: list[alt.Chart] = [lines, dots]
    if found.failed:
        failed = [{"side": "arm", "value": before} for _, before in found.failed]
        layers.append(_crosses(failed).encode(x=x, y=y, color=alt.value(look.colour)))
    return _svg(alt.layer(*layers).properties(width=110, height=110), words)


def _side_colour(look: Style) -> alt.Color:
    scale = alt.Scale(domain=["baseline", "arm"], range=[MUTED, look.colour])
    return alt.Color("side:N", scale=scale, legend=None)


def scatter(found: Scatter, looks: Mapping[str, Style]) -> str:
    """Score against cost with whiskers, and a cross of lines through the baseline."""
    rows = [vars(spot) for spot in found.spots]
    arms = [spot.arm for spot in found.spots]
    kind = alt.Scale(type="log" if found.log else "linear", zero=False, padding=18)
    x = alt.X("cost:Q", title=found.cost_axis, scale=kind, axis=alt.Axis(tickCount=4, grid=False, format="~s"))
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=5))
    shape = alt.Shape("arm:N", scale=alt.Scale(domain=arms, range=[looks[arm].shape for arm in arms]), legend=None)
    colour = _colour(arms, looks)
    whiskers = (
        alt.Chart(_data(rows))
        .mark_rule(strokeWidth=1.6)
        .encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour)
    )
    base = alt.Chart(_data(rows[:1]))
    cross = [
        base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x=x),
        base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y=y),
    ]
    hollow, solid = ([row for row in rows if row["solid"] is wanted] for wanted in (False, True))
    marks = [
        alt.Chart(_data(hollow)).mark_point(size=90, strokeWidth=2, opacity=1, fill="#ffffff"),
        alt.Chart(_data(solid)).mark_point(size=90, strokeWidth=2, opacity=1, filled=True),
    ]
    drawn = [mark.encode(x=x, y=y, color=colour, shape=shape) for mark in marks]
    chart = alt.layer(*cross, whiskers, *drawn).properties(width=300, height=200)
    return _svg(chart, found.words.alternative)


def _data(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"values": [dict(row) for row in rows]}


def _colour(arms: Sequence[str], looks: Mapping[str, Style]) -> alt.Color:
    return alt.Color(
        "arm:N", scale=alt.Scale(domain=list(arms), range=[looks[arm].colour for arm in arms]), legend=None
    )


def _dash(arms: Sequence[str], looks: Mapping[str, Style]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(arms), range=[list(looks[arm].dash) for arm in arms])
    return alt.StrokeDash("arm:N", scale=scale, legend=None)


def _svg(chart: Drawing, words: str) -> str:
    """The picture as one element with a text alternative; it shrinks with its column."""
    axis = {"labelColor": MUTED, "titleColor": MUTED, "domainColor": MUTED, "tickColor": MUTED, "gridColor": GRID}
    fonts = {
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    }
    styled = (
        chart.configure(background="transparent", font=FONT).configure_view(stroke=None).configure_axis(**axis, **fonts)
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_dict())
    # Marks carry labels of their own, which one alternative for the whole picture replaces.
    svg = re.sub(r' (aria-[a-z]+|role)="[^"]*"', "", svg)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{escape(words)}" ', svg, count=1)
