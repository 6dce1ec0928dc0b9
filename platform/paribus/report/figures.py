"""Figures as inline SVG: drawn once by Vega-Lite, coloured so that the page's stylesheet can turn them dark."""

import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from math import isfinite
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from numpy.typing import NDArray

from paribus.report.attention import GLOBAL, LOCAL, Attention, Mosaic
from paribus.report.lengths import Lengths
from paribus.report.panels import Curves, Line, Scatter, Slope, Slopes, Spot
from paribus.store.kept import Array

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


class Svg(str):
    """A picture as text, and the chart that it was drawn from."""

    chart: dict[str, Any]


Drawing = alt.LayerChart | alt.FacetChart | alt.VConcatChart
Pictures = tuple[tuple[str, Svg], ...]  # heading, SVG


def styles(arms: Sequence[str]) -> dict[str, Style]:
    """How each arm is drawn everywhere, the baseline in grey."""
    found = {arm: Style(MUTED, [1, 0], CIRCLE) for arm in arms[:1]}
    for index, arm in enumerate(arms[1:]):
        turn = (index + index // len(COLOURS)) % len(DASHES)  # another dash when a colour comes again
        found[arm] = Style(COLOURS[index % len(COLOURS)], DASHES[turn], SHAPES[turn])
    return found


# Formats share pictures: whatever is drawn of the same findings is drawn once.
once = lru_cache(maxsize=512)


@once
def curves(found: Curves, arms: tuple[str, ...]) -> Pictures:
    """One picture of all arms, or one an arm where there are many."""
    looks = styles(arms)
    if len(arms) <= TOGETHER:
        return (("", picture(_curves(found, arms, looks, 460, 250), found.words.alternative)),)
    baseline, *others = arms
    return tuple(
        (
            arm,
            picture(_curves(found, [baseline, arm], looks, 190, 120), f"{found.words.title}: {arm} and the baseline"),
        )
        for arm in others
    )


def _curves(found: Curves, arms: Sequence[str], looks: Mapping[str, Style], width: int, height: int) -> Drawing:
    shown = arms if len(looks) <= TOGETHER else arms[-1:]  # the baseline's seeds would be drawn beside every arm
    lines = [line for line in found.lines if line.arm in shown]
    means = [{"arm": arm, "step": x, "value": y} for arm in arms for x, y in found.means.get(arm, ())]
    bands = [
        {"arm": arm, "step": x, "low": low, "high": high}
        for arm in arms
        for x, low, high in found.bands.get(arm, ())
        if low > 0 or not found.log
    ]
    x = alt.X("step:Q", title="steps", axis=alt.Axis(tickCount=5, grid=False))
    scale = _scale(found.log, nice=not found.log)
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    colour, dash = _colour(arms, looks), _dash(arms, looks)
    layers: list[alt.Chart] = []
    if found.zero:
        layers.append(
            alt.Chart(data([{"zero": 0}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y=alt.Y("zero:Q"))
        )
    if bands:
        layers.append(
            alt.Chart(data(bands))
            .mark_area(opacity=0.14)
            .encode(x=x, y=alt.Y("low:Q", title=None, scale=scale), y2=alt.Y2("high:Q"), color=colour)
        )
    if found.thin:
        layers.append(
            alt.Chart(data(_points(lines)))
            .mark_line(strokeWidth=1, opacity=0.35)
            .encode(x=x, y=y, color=colour, detail=alt.Detail("seed:N"))
        )
        rings = [{"arm": line.arm, "step": line.chosen[0], "value": line.chosen[1]} for line in lines if line.chosen]
        if rings:
            ring = alt.Chart(data(rings)).mark_point(size=22, strokeWidth=1, filled=False, opacity=0.8)
            layers.append(ring.encode(x=x, y=y, color=colour))
    layers.append(alt.Chart(data(means)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, strokeDash=dash))
    ends = [{"arm": line.arm, "step": line.points[-1][0], "value": line.points[-1][1]} for line in lines if line.failed]
    if ends:
        layers.append(crosses(ends).encode(x=x, y=y, color=colour))
    return alt.layer(*layers).properties(width=width, height=height)


def _scale(log: bool, **more: Any) -> alt.Scale:
    """A logarithmic scale has no zero, and Vega warns of one that is told so."""
    return alt.Scale(type="log", **more) if log else alt.Scale(zero=False, **more)


def _points(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [{"arm": line.arm, "seed": line.seed, "step": x, "value": y} for line in lines for x, y in line.points]


def crosses(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    return alt.Chart(data(rows)).mark_point(shape=CROSS, size=60, strokeWidth=2, filled=False, opacity=1)


def slope(found: Slope, look: Style, words: str) -> Svg:
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
        alt.Chart(data(rows))
        .mark_line(color=look.colour, strokeWidth=1.4, opacity=0.8)
        .encode(x=x, y=y, detail=alt.Detail("seed:N"))
    )
    dots = alt.Chart(data(rows)).mark_point(size=28, filled=True, opacity=1).encode(x=x, y=y, color=_side_colour(look))
    layers: list[alt.Chart] = [lines, dots]
    if found.failed:
        failed = [{"side": "arm", "value": before} for _, before in found.failed]
        layers.append(crosses(failed).encode(x=x, y=y, color=alt.ColorValue(look.colour)))
    return picture(alt.layer(*layers).properties(width=110, height=110), words)


def slope_words(found: Slopes, arm: str) -> str:
    return f"{found.axis} of {arm} and of the baseline, seed by seed"


def _side_colour(look: Style) -> alt.Color:
    scale = alt.Scale(domain=["baseline", "arm"], range=[MUTED, look.colour])
    return alt.Color("side:N", scale=scale, legend=None)


@once
def scatter(found: Scatter, every: tuple[str, ...]) -> Svg:
    """Score against cost with whiskers, and a cross of lines through the baseline."""
    looks = styles(every)
    rows = [vars(spot) for spot in found.spots]
    arms = [spot.arm for spot in found.spots]
    kind = _scale(found.log, padding=18)
    x = alt.X("cost:Q", title=found.cost_axis, scale=kind, axis=alt.Axis(tickCount=4, grid=False, format="~s"))
    inside = alt.Scale(domain=[found.low, found.high], clamp=True, nice=False)
    y = alt.Y("mean:Q", title=None, scale=inside, axis=alt.Axis(tickCount=5))
    shape = alt.Shape("arm:N", scale=alt.Scale(domain=arms, range=[looks[arm].shape for arm in arms]), legend=None)
    colour = _colour(arms, looks)
    whiskers = (
        alt.Chart(data(rows))
        .mark_rule(strokeWidth=1.6)
        .encode(x=x, y=alt.Y("low:Q", title=None), y2=alt.Y2("high:Q"), color=colour)
    )
    base = alt.Chart(data(rows[:1]))
    cross = [
        base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x=x),
        base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y=y),
    ]
    corners = [_corner(found, dear, good) for dear in (False, True) for good in (False, True)]
    hollow, solid = ([row for row in rows if row["solid"] is wanted] for wanted in (False, True))
    marks = [
        alt.Chart(data(hollow)).mark_point(size=90, strokeWidth=2, opacity=1, fill="#ffffff"),
        alt.Chart(data(solid)).mark_point(size=90, strokeWidth=2, opacity=1, filled=True),
    ]
    drawn = [mark.encode(x=x, y=y, color=colour, shape=shape) for mark in marks]
    places = {spot.arm: spot for spot in found.spots}
    frontier = [
        alt.Chart(data([{"cost": places[arm].cost, "mean": places[arm].mean} for arm in step]))
        .mark_line(color=MUTED, strokeWidth=1.4, strokeDash=[1, 0] if shown else [5, 4])
        .encode(x=x, y=y)
        for *step, shown in found.frontier
    ]
    few = rows if len(rows) <= TOGETHER else []
    names = [
        alt.Chart(
            data(
                [
                    label
                    for label in _labels(found.spots if few else (), found.high - found.low)
                    if label["left"] is left
                ]
            )
        )
        .mark_text(align="left" if left else "right", dx=8 if left else -8, dy=-8, font=FONT, fontSize=10)
        .encode(x=x, y=y, text=alt.Text("text:N"), color=alt.ColorValue(INK))
        for left in (True, False)
    ]
    chart = alt.layer(*cross, *corners, *frontier, whiskers, *drawn, *names).properties(width=300, height=220)
    return picture(chart, found.words.alternative)


def _labels(spots: Sequence[Spot], tall: float) -> Iterator[dict[str, Any]]:
    """Names beside their marks; marks that lie on each other share one."""
    if not spots:
        return
    low, high = min(spot.cost for spot in spots), max(spot.cost for spot in spots)
    groups: list[list[Spot]] = []
    for spot in sorted(spots, key=lambda spot: (spot.cost, spot.mean)):
        near = (
            group
            for group in groups
            if abs(group[0].cost - spot.cost) <= 0.16 * (high - low) and abs(group[0].mean - spot.mean) <= 0.08 * tall
        )
        found = next(near, None)
        groups.append([spot]) if found is None else found.append(spot)
    for group in groups:
        first = group[0]
        names = [spot.arm for spot in group]
        text = ", ".join(names) if len(names) < 4 else f"{', '.join(names[:2])} and {len(names) - 2} more"
        left = first.cost <= (low + high) / 2
        cost = first.cost if left else max(spot.cost for spot in group)
        yield {"text": text[:60], "cost": cost, "mean": max(spot.mean for spot in group), "left": left}


def _corner(found: Scatter, dear: bool, good: bool) -> alt.Chart:
    """The name of one of the four fields that the baseline's lines make."""
    text = f"{'better' if good else 'worse'}, {'dearer' if dear else 'cheaper'}"
    top = good is found.up
    mark: alt.Chart = (
        alt.Chart(data([{"text": text}]))
        .mark_text(
            align="right" if dear else "left",
            baseline="top" if top else "bottom",
            color=MUTED,
            font=FONT,
            fontSize=9.5,
        )
        .encode(x=alt.value(297 if dear else 3), y=alt.value(3 if top else 215), text=alt.Text("text:N"))
    )
    return mark


@once
def lengths(found: Lengths, arms: tuple[str, ...]) -> Pictures:
    """One picture of all arms, or one an arm where there are many."""
    looks, shown = styles(arms), list(found.means)
    if len(shown) <= TOGETHER:
        return (("", picture(_lengths(found, shown, looks, 460, 220), found.words.alternative)),)
    baseline, *others = shown
    return tuple(
        (
            arm,
            picture(_lengths(found, [baseline, arm], looks, 190, 110), f"{found.words.title}: {arm} and the baseline"),
        )
        for arm in others
    )


def _lengths(found: Lengths, arms: Sequence[str], looks: Mapping[str, Style], width: int, height: int) -> Drawing:
    texts = [one.text for one in found.bins]
    axis = alt.Axis(labelAngle=0, grid=False, labelOverlap=True)
    x = alt.X("bin:N", sort=texts, title=None, axis=alt.Axis(labels=False, ticks=False, grid=False, domain=False))
    below = alt.X("bin:N", sort=texts, title="tokens of the source", axis=axis)
    y = alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=5))
    rows = [
        {"arm": arm, "seed": seed, "bin": text, "value": value}
        for arm in arms
        for seed, values in found.values[arm].items()
        for text, value in zip(texts, values, strict=True)
        if isfinite(value)
    ]
    means = [
        {"arm": arm, "bin": text, "value": value}
        for arm in arms
        for text, value in zip(texts, found.means[arm], strict=True)
        if isfinite(value)
    ]
    colour, dash = _colour(arms, looks), _dash(arms, looks)
    layers = [
        alt.Chart(data(rows))
        .mark_line(strokeWidth=1, opacity=0.3)
        .encode(x=x, y=y, color=colour, detail=alt.Detail("seed:N")),
        alt.Chart(data(means)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, strokeDash=dash),
    ]
    last = [one.text for one in found.bins if found.longest is not None and one.high <= found.longest]
    if last and len(last) < len(texts):
        rule = alt.Chart(data([{"bin": last[-1]}])).mark_rule(color=MUTED, strokeDash=[4, 3])
        layers.append(rule.encode(x=alt.X("bin:N", sort=texts, bandPosition=1)))
    counts = [{"bin": one.text, "count": one.count} for one in found.bins]
    bars = (
        alt.Chart(data(counts))
        .mark_bar(color=MUTED, opacity=0.45)
        .encode(x=below, y=alt.Y("count:Q", title=None, axis=alt.Axis(tickCount=2, grid=False)))
        .properties(width=width, height=34)
    )
    top = alt.layer(*layers).properties(width=width, height=height)
    return alt.vconcat(top, bars, spacing=4).resolve_scale(color="independent")


@once
def heads(found: Attention, place: str, every: tuple[str, ...]) -> Svg:
    """Entropy against distance, a mark a head."""
    looks = styles(every)
    dots = [vars(dot) for dot in found.dots if dot.place == place]
    arms = [arm for arm in found.arms if any(dot["arm"] == arm for dot in dots)]
    most = max([1.0, *(dot.distance for dot in found.dots)])  # the same for all places
    x = alt.X("distance:Q", title="distance", scale=alt.Scale(domain=[0, most]), axis=alt.Axis(tickCount=4))
    y = alt.Y("entropy:Q", title="entropy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=4))
    shape = alt.Shape("arm:N", scale=alt.Scale(domain=arms, range=[looks[arm].shape for arm in arms]), legend=None)
    marks = alt.Chart(data(dots)).mark_point(size=26, filled=True, opacity=0.6)
    limits = [
        alt.Chart(data([{"distance": limit}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x=x)
        for limit in (LOCAL, GLOBAL)
    ]
    chart = alt.layer(*limits, marks.encode(x=x, y=y, color=_colour(arms, looks), shape=shape))
    words = f"Entropy and distance of {len(dots)} heads, {place} attention"
    return picture(chart.properties(width=210, height=180), words)


# Anchors of the colour map cividis, dark to light; it reads the same to all kinds of colour vision.
CIVIDIS = ("00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838")
GAP = 1  # pixels between tiles


def mosaic(found: Mosaic) -> bytes:
    """Every tile of an arm at a place as one PNG: layers below each other, heads side by side, one pixel a weight."""
    heads, queries, keys = max((layer.shape for layer in found.layers), key=lambda shape: shape[0])
    height = len(found.layers) * (queries + GAP) - GAP
    canvas = np.zeros((height, heads * (keys + GAP) - GAP), dtype=np.uint8)  # 0 is clear
    for row, layer in enumerate(found.layers):
        shades = 1 + np.rint(254 * np.clip(layer.astype(float), 0, 1)).astype(np.uint8)
        for head, tile in enumerate(shades):
            top, left = row * (queries + GAP), head * (keys + GAP)
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return _png(canvas)


def tile(weights_QK: Array) -> bytes:
    """One map as a PNG, one pixel a weight."""
    return _png(1 + np.rint(254 * np.clip(weights_QK.astype(float), 0, 1)).astype(np.uint8))


def _png(canvas: NDArray[np.uint8]) -> bytes:
    """An image with the palette of the maps; the first colour is clear."""
    height, width = canvas.shape
    rows = b"".join(b"\0" + row.tobytes() for row in canvas)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", _palette()),
        (b"tRNS", b"\0"),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


@cache
def _palette() -> bytes:
    anchors = np.array([list(bytes.fromhex(colour)) for colour in CIVIDIS], dtype=float)
    places = np.linspace(0, len(anchors) - 1, 255)
    low = np.minimum(places.astype(int), len(anchors) - 2)
    colours = anchors[low] + (places - low)[:, None] * (anchors[low + 1] - anchors[low])
    return bytes(3) + np.rint(colours).astype(np.uint8).tobytes()


def data(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one text: Altair copies what it is given, row by row, many times."""
    return {"values": json.dumps([_legible(dict(row)) for row in rows]), "format": {"type": "json"}}


_ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _legible(found: Any) -> Any:
    """The same without letters that no XML can hold: where vl-convert measures one, the whole process ends."""
    if isinstance(found, str):
        return _ILLEGIBLE.sub(" ", found)
    if isinstance(found, dict):
        return {key: value if key == "values" else _legible(value) for key, value in found.items()}
    return [_legible(value) for value in found] if isinstance(found, list) else found


def _colour(arms: Sequence[str], looks: Mapping[str, Style]) -> alt.Color:
    return alt.Color(
        "arm:N", scale=alt.Scale(domain=list(arms), range=[looks[arm].colour for arm in arms]), legend=None
    )


def _dash(arms: Sequence[str], looks: Mapping[str, Style]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(arms), range=[list(looks[arm].dash) for arm in arms])
    return alt.StrokeDash("arm:N", scale=scale, legend=None)


_LONG = re.compile(r"-?\d+\.\d{2,}")


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def picture(chart: Drawing, words: str) -> Svg:
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
    told: dict[str, Any] = _legible(styled.to_dict(validate=False))
    svg: str = vl_convert.vegalite_to_svg(told)
    svg = re.sub(
        "[\x00-\x08\x0b\x0c\x0e-\x1f]|&#(x[01]?[0-9a-fA-F]|[0-2]?[0-9]|3[01]);", " ", svg
    )  # no XML can hold these
    words = _ILLEGIBLE.sub(" ", re.sub("[\t\n\r]", " ", words))
    # A tenth of a pixel is seen by nobody, and half of the page is digits behind it.
    svg = re.sub(r'( d="[^"]*")', lambda found: _LONG.sub(_short, found[1]), svg)
    # What all texts share stands once, and marks that nothing addresses need no names.
    svg = (
        svg.replace(f' font-family="{FONT}"', "").replace(' font-size="11px"', "").replace(' pointer-events="none"', "")
    )
    svg = re.sub(r' class="[^"]*"', "", svg)
    # Marks carry labels of their own, which one alternative for the whole picture replaces.
    svg = re.sub(r' (aria-[a-z]+|role)="[^"]*"', "", svg)
    found = Svg(
        svg.replace("<svg ", f'<svg role="img" aria-label="{escape(words)}" font-family="{FONT}" font-size="11px" ', 1)
    )
    found.chart = told
    return found
