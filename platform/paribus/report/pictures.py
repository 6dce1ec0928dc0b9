"""Pictures of further sections as SVG: of searches, effects, tasks and whatever else has a table of its own."""

from collections.abc import Iterator, Sequence
from functools import singledispatch
from math import isfinite

import altair as alt

from paribus.report.figures import (
    COLOURS,
    FONT,
    INK,
    MUTED,
    Drawing,
    Pictures,
    Svg,
    crosses,
    data,
    once,
    picture,
    styles,
)
from paribus.report.plots import Estimate, Estimates, Heat, Picture, Plot, Traces

BETTER, WORSE = COLOURS[0], COLOURS[1]
DEEPEST = 0.5  # of a cell's colour: words on it stay readable on white and on black
REACH = 1  # of a band beyond the lines, in heights of all lines
LETTERS = 34  # of a name beside an estimate


@once
def drawn(found: Picture) -> Pictures:
    """Headings and SVG of one picture, or of several that belong together."""
    return tuple(pictures(found))


@singledispatch
def pictures(found: object) -> Iterator[tuple[str, Svg]]:
    """By what is to be drawn."""
    raise TypeError(f"there is no picture of {type(found).__name__}")


@pictures.register
def _(found: Plot) -> Iterator[tuple[str, Svg]]:
    rows = [{"series": dot.series, "x": dot.x, "y": dot.y, "state": dot.state} for dot in found.dots]
    numbers = all(isinstance(dot.x, int | float) for dot in found.dots)
    scale = alt.Scale(type="log") if found.log and numbers else alt.Scale(zero=False)
    axis = alt.Axis(tickCount=5, grid=False, labelAngle=0)
    x = alt.X("x:Q", title=found.x, scale=scale, axis=axis) if numbers else alt.X("x:N", title=found.x, axis=axis)
    y = alt.Y("y:Q", title=found.y, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    if found.steps:
        names = list(dict.fromkeys(dot.series for dot in found.dots))
        lines = alt.Chart(data(rows)).mark_line(interpolate="step-after", strokeWidth=2)
        chart = alt.layer(lines.encode(x=x, y=y, **_told_apart(names, found.arms)))
        yield "", picture(chart.properties(width=400, height=200), found.words.alternative)
        return
    layers = []
    for state, (colour_of, filled) in {
        "ok": (BETTER, False),
        "pruned": (MUTED, False),
        "best": (WORSE, True),
    }.items():
        own = [row for row in rows if row["state"] == state]
        if own:
            dots = alt.Chart(data(own)).mark_point(size=45, filled=filled, color=colour_of, opacity=1, strokeWidth=1.6)
            layers.append(dots.encode(x=x, y=y))
    failed = [row for row in rows if row["state"] == "failed"]
    if failed:
        layers.append(crosses(failed).encode(x=x, y=y, color=alt.ColorValue(WORSE)))
    yield "", picture(alt.layer(*layers).properties(width=300, height=180), found.words.alternative)


def _told_apart(names: Sequence[str], arms: Sequence[str] = ()) -> dict[str, alt.Color | alt.StrokeDash]:
    """The colour and dash of each series, with a key below the picture."""
    looks = styles(arms if set(names) <= set(arms) else names)
    key = (
        alt.Legend(
            orient="bottom",
            columns=3,
            labelLimit=150,
            symbolType="stroke",
            symbolOpacity=1,
            symbolStrokeWidth=2.4,
            symbolSize=300,
        )
        if len(names) > 1
        else None
    )
    colours = alt.Scale(domain=list(names), range=[looks[name].colour for name in names])
    dashes = alt.Scale(domain=list(names), range=[list(looks[name].dash) for name in names])
    return {
        "color": alt.Color("series:N", title=None, scale=colours, legend=key),
        "strokeDash": alt.StrokeDash("series:N", title=None, scale=dashes, legend=key),
    }


@pictures.register
def _(found: Traces) -> Iterator[tuple[str, Svg]]:
    rows = [{"series": point.series, "x": point.x, "y": point.y} for point in found.points]
    numbers = all(isinstance(point.x, int | float) for point in found.points)
    names = list(dict.fromkeys(point.series for point in found.points))
    look = _told_apart(names, found.arms)
    ticks = alt.Axis(tickCount=5, grid=False, labelAngle=0, labelLimit=110)
    x = (
        alt.X("x:Q", title=found.x, scale=alt.Scale(zero=False), axis=ticks)
        if numbers
        else alt.X("x:N", title=found.x, axis=ticks, sort=None, scale=alt.Scale(padding=0.5))
    )
    y = _places(found, len(names)) if found.ranks else alt.Y("y:Q", title=found.y, scale=_near(found, numbers))
    layers = []
    ends = [vars(point) for point in found.points if isfinite(point.low + point.high)]
    if ends:
        low = alt.Y("low:Q", title=found.y, scale=_near(found, numbers))
        chart = alt.Chart(data(ends))
        marks = chart.mark_area(opacity=0.14, clip=True) if numbers else chart.mark_rule(strokeWidth=1.6)
        layers.append(marks.encode(x=x, y=low, y2=alt.Y2("high:Q"), color=look["color"]))
    lines = alt.Chart(data(rows)).mark_line(strokeWidth=2.2, interpolate="step-after" if found.ranks else "linear")
    layers.append(lines.encode(x=x, y=y, **look))
    if not numbers:
        dots = alt.Chart(data(rows)).mark_point(size=34, filled=True, opacity=1)
        layers.append(dots.encode(x=x, y=y, color=look["color"]))
    yield "", picture(alt.layer(*layers).properties(width=340, height=190), found.words.alternative)


def _near(found: Traces, numbers: bool) -> alt.Scale:
    """Ends at which no band flattens the lines; whiskers are shown whole."""
    values = [point.y for point in found.points]
    reach = REACH * (max(values) - min(values))
    ends = [end for point in found.points for end in (point.low, point.high) if isfinite(end)]
    if not (numbers and ends and reach):
        return alt.Scale(zero=False)
    return alt.Scale(domain=[max(min(ends), min(values) - reach), min(max(ends), max(values) + reach)], zero=False)


def _places(found: Traces, count: int) -> alt.Y:
    axis = alt.Axis(values=list(range(1, count + 1)), format="d", grid=False)
    return alt.Y("y:Q", title=found.y, scale=alt.Scale(domain=[0.5, count + 0.5], reverse=True, nice=False), axis=axis)


@pictures.register
def _(found: Estimates) -> Iterator[tuple[str, Svg]]:
    every = _reached(found, [row for _, rows in found.groups for row in rows])
    for heading, rows in found.groups:
        ends = every if found.shared else _reached(found, rows)
        words = f"{heading}: {found.words.alternative}" if heading else found.words.alternative
        yield heading, picture(_estimates(found, rows, min(ends), max(ends)), words)


def _reached(found: Estimates, rows: Sequence[Estimate]) -> list[float]:
    ends = [end for row in rows for end in (row.value, row.low, row.high) if isfinite(end)]
    return [*ends, *([0.0] if found.zero or not ends else [])]


def _estimates(found: Estimates, rows: Sequence[Estimate], low: float, high: float) -> Drawing:
    told = [{"name": row.name, "value": row.value, "solid": row.solid} for row in rows if isfinite(row.value)]
    room = 0.04 * (high - low) or 1.0
    inside = alt.Scale(domain=[low - room, high + room], nice=False, zero=False)
    x = alt.X("value:Q", title=found.axis, scale=inside, axis=alt.Axis(tickCount=5))
    names = alt.Axis(title=None, ticks=False, domain=False, labelLimit=6 * LETTERS, labelColor=INK)
    y = alt.Y("name:N", sort=None, axis=names)
    colour = alt.condition("datum.solid", alt.value(BETTER), alt.value(MUTED))
    layers = [alt.Chart(data([{"zero": 0}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x=alt.X("zero:Q"))]
    whiskers = [vars(row) for row in rows if isfinite(row.low + row.high)]
    if whiskers:
        reach = alt.Chart(data(whiskers)).mark_rule(strokeWidth=2.4)
        layers.append(
            reach.encode(x=alt.X("low:Q", title=found.axis, scale=inside), x2=alt.X2("high:Q"), y=y, color=colour)
        )
    dots = alt.Chart(data(told)).mark_point(size=50, filled=True, opacity=1)
    layers.append(dots.encode(x=x, y=y, color=colour))
    return alt.layer(*(layers if found.zero else layers[1:])).properties(width=230, height=20 * len(rows))


@pictures.register
def _(found: Heat) -> Iterator[tuple[str, Svg]]:
    widest = max(abs(square.gap) for square in found.squares) or 1.0
    rows = [
        {
            "row": square.row,
            "column": square.column,
            "text": square.text,
            "colour": BETTER if square.gap > 0 else WORSE,
            "depth": DEEPEST * abs(square.gap) / widest,
        }
        for square in found.squares
    ]
    x = alt.X(
        "column:N", title=found.x, sort=None, axis=alt.Axis(labelAngle=0, ticks=False, domain=False, orient="top")
    )
    y = alt.Y("row:N", title=found.y, sort=None, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(data(rows))
    cells = base.mark_rect(stroke=MUTED, strokeWidth=0.5).encode(
        x=x, y=y, color=alt.Color("colour:N", scale=None), opacity=alt.Opacity("depth:Q", scale=None)
    )
    texts = base.mark_text(font=FONT, fontSize=12).encode(x=x, y=y, text=alt.Text("text:N"), color=alt.ColorValue(INK))
    columns, lines = ({row[key] for row in rows} for key in ("column", "row"))
    size = {"width": 92 * len(columns), "height": 40 * len(lines)}
    yield "", picture(alt.layer(cells, texts).properties(**size), found.words.alternative)
