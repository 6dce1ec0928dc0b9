"""A finding and its confirmation on fresh seeds: how much of the first estimate is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from paribus.planning import TaskInfo
from paribus.report.grids import Block, Grid
from paribus.report.numbers import MISSING, decimals, interval, percent, signed
from paribus.report.panels import Words
from paribus.report.plots import Estimate, Estimates
from paribus.report.results import Results
from paribus.stats.contrast import Contrast


@dataclass(frozen=True)
class Shrinkage:
    """One arm on one task, before and after."""

    task: str
    unit: str
    first: Contrast
    again: Contrast
    seeds: str = ""  # the fresh ones

    @property
    def left(self) -> float:
        """The confirmed improvement as a share of the first."""
        return self.again.paired.mean / self.first.paired.mean if self.first.paired.mean else float("nan")

    @property
    def confirmed(self) -> bool:
        """Whether fresh seeds give the same verdict."""
        return self.first.verdict == self.again.verdict

    @property
    def sentence(self) -> str:
        places = _places(self)
        before, after = (_told(contrast, places, self.unit) for contrast in (self.first, self.again))
        verdict = "the verdict stands" if self.confirmed else f"{self.first.verdict} became {self.again.verdict}"
        left = f"; {percent(self.left, 0).lstrip('+')} of the first estimate is left" if self.left == self.left else ""
        return f"{self.first.arm}: first {before}, on fresh seeds {after}; {verdict}{left}."


def _told(contrast: Contrast, places: int, unit: str) -> str:
    pairs = contrast.paired
    ends = interval(pairs.interval.low, pairs.interval.high, places)
    return f"{signed(pairs.mean, places)}{unit} {ends}".strip()


def shrinkage(first: Results, again: Results, arm: str) -> tuple[Shrinkage, ...]:
    """What an arm did before and on fresh seeds, for every task."""
    return tuple(
        Shrinkage(
            task.title,
            f" {metric.unit}" if metric.unit else "",
            _contrast(first, task, arm),
            _contrast(again, task, arm),
            f"{again.plan.seeds[0]} to {again.plan.seeds[-1]}",
        )
        for task in again.plan.tasks
        for metric in [again.metric(task)]
    )


def confirmed(found: Sequence[Shrinkage]) -> Block:
    """What fresh seeds left of each finding, as a section."""
    several = len({one.task for one in found}) > 1
    rows = tuple(
        (
            f"{one.first.arm}{f' on {one.task}' if several else ''}",
            *_cells(one.first, _places(one)),
            *_cells(one.again, _places(one)),
            one.seeds,
            percent(one.left, 0).lstrip("+"),
        )
        for one in found
    )
    heads = ("arm", "improvement", "95 % CI", "verdict", "on fresh seeds", "95 % CI", "verdict", "seeds", "left")
    grid = Grid("The first estimate, and the same on fresh seeds", heads, rows)
    groups = tuple((row[0], _drawn(one)) for row, one in zip(rows, found, strict=True))
    words = Words(
        "How much is left",
        "Improvements with their intervals. The first estimate of an arm that was picked for being the best is too "
        "good on average.",
        " ".join(one.sentence for one in found),
    )
    told = (
        "Trained again on seeds by which nothing was chosen, with `paribus confirm`.",
        *(one.sentence for one in found),
    )
    return Block("Confirmed on fresh seeds", told, (grid,), (Estimates(words, "improvement", groups, chief=True),))


def _places(one: Shrinkage) -> int:
    return decimals([one.first.paired.se, one.again.paired.se])


def _cells(contrast: Contrast, places: int) -> tuple[str, str, str]:
    pairs = contrast.paired
    return (
        signed(pairs.mean, places),
        interval(pairs.interval.low, pairs.interval.high, places) or MISSING,
        contrast.verdict,
    )


def _drawn(one: Shrinkage) -> tuple[Estimate, ...]:
    return tuple(
        Estimate(name, pairs.mean, pairs.interval.low, pairs.interval.high, name == "fresh seeds")
        for name, pairs in (("first", one.first.paired), ("fresh seeds", one.again.paired))
    )


def _contrast(results: Results, task: TaskInfo, arm: str) -> Contrast:
    return results.contrasts(task, results.metric(task), results.split(task))[arm]
