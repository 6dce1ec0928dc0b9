"""Plain tables of words: the numbers under figures, and further sections, which every format can place."""

from collections.abc import Sequence
from dataclasses import dataclass

from paribus.report.lengths import Gap, Lengths
from paribus.report.numbers import MISSING, decimals, general, interval, level, short, signed
from paribus.report.panels import Curves, Scatter
from paribus.report.plots import Picture

ROWS = 12  # of a curve; all points are in the CSV


@dataclass(frozen=True)
class Grid:
    """The first column names the row; columns stand to the right and in one line unless they hold words."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()  # heads of columns


@dataclass(frozen=True)
class Block:
    """A section of words and tables, such as the claims."""

    title: str
    paragraphs: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    plots: tuple[Picture, ...] = ()


def of_curves(found: Curves) -> Grid:
    """Means over seeds at some steps."""
    steps = sorted({x for points in found.means.values() for x, _ in points})
    chosen = _some(steps)
    tables = {arm: dict(points) for arm, points in found.means.items()}
    rows = tuple(
        (general(step, 6), *(_told(table.get(step), found.zero) for table in tables.values())) for step in chosen
    )
    return Grid(f"{found.axis}, means over seeds", ("step", *tables), rows)


def _some(steps: Sequence[float]) -> list[float]:
    """Evenly chosen, with the first and the last."""
    if len(steps) <= ROWS:
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / (ROWS - 1))] for index in range(ROWS)]


def _told(value: float | None, sign: bool) -> str:
    if value is None:
        return ""
    return signed(value, 4) if sign else general(value, 4)


def of_scatter(found: Scatter) -> Grid:
    """Cost and score of each arm."""
    rows = tuple(
        (spot.arm, short(spot.cost), general(spot.mean, 4), interval(spot.low, spot.high, 4)) for spot in found.spots
    )
    return Grid(found.words.title, ("arm", found.cost_axis, found.axis, "95 % CI"), rows)


def of_lengths(found: Lengths) -> Grid:
    """Means over seeds by length."""
    rows = tuple(
        (one.text, str(one.count), *(general(values[index]) for values in found.means.values()))
        for index, one in enumerate(found.bins)
    )
    return Grid(found.words.title, ("tokens", "examples", *found.means), rows)


def of_gaps(found: Lengths) -> Grid | None:
    """What each arm gains over the baseline by length; a table of its own, as single stretches were not asked for."""
    if not found.gaps:
        return None
    places = decimals(gap.se for gap in found.gaps)
    arms = tuple(dict.fromkeys(gap.arm for gap in found.gaps))
    cells = {(gap.bin, gap.arm): _gained(gap, places, found.alpha) for gap in found.gaps}
    rows = tuple((one.text, *(cells.get((one, arm), MISSING) for arm in arms)) for one in found.bins)
    title = (
        f"Improvement by length of the source, paired by seed, {level(found.alpha)} intervals (exploratory; "
        f"* p < {general(found.alpha)} after Benjamini-Hochberg within this table)"
    )
    return Grid(title, ("tokens", *arms), rows)


def _gained(gap: Gap, places: int, alpha: float) -> str:
    words = f"{signed(gap.mean, places)} {interval(gap.interval.low, gap.interval.high, places)}".strip()
    return words + "*" * (gap.p < alpha)
