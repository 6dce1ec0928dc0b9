"""What the pictures of further sections hold: dots, lines, estimates and cells, each with its words."""

from dataclasses import dataclass
from math import nan

from paribus.report.panels import Words


@dataclass(frozen=True)
class Dot:
    series: str
    x: float | str
    y: float
    state: str  # ok, failed, pruned, best


@dataclass(frozen=True, eq=False)
class Plot:
    """One picture of a search."""

    words: Words
    x: str
    y: str
    log: bool
    steps: bool  # a line that goes on until it gets better, rather than dots
    dots: tuple[Dot, ...]
    arms: tuple[str, ...] = ()  # all of them, where series are arms
    chief: bool = False


@dataclass(frozen=True)
class Point:
    series: str
    x: float | str
    y: float
    low: float = nan
    high: float = nan


@dataclass(frozen=True, eq=False)
class Traces:
    """A line a series, with the ends of its points as whiskers, or as a band where the places are numbers."""

    words: Words
    x: str
    y: str
    points: tuple[Point, ...]
    arms: tuple[str, ...] = ()  # all of them, where series are arms: each looks the same in all pictures
    ranks: bool = False  # 1 stands on top, and places are whole numbers
    chief: bool = False


@dataclass(frozen=True)
class Estimate:
    name: str
    value: float
    low: float
    high: float
    solid: bool  # whether it is one that is called


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates with their intervals on one axis, a picture for each heading."""

    words: Words
    axis: str
    groups: tuple[tuple[str, tuple[Estimate, ...]], ...]
    zero: bool = True  # whether zero means something
    shared: bool = True  # whether all have the same ends
    chief: bool = False


@dataclass(frozen=True)
class Square:
    row: str
    column: str
    gap: float  # by how much it is better than the baseline's
    text: str


@dataclass(frozen=True, eq=False)
class Heat:
    """A cell for each pair of levels, coloured by its distance from the baseline's."""

    words: Words
    x: str
    y: str
    squares: tuple[Square, ...]
    chief: bool = False  # one of those that a short report shows


Picture = Plot | Traces | Estimates | Heat
