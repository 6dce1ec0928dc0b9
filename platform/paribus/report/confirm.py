"""A finding and its confirmation on fresh seeds: how much of the first estimate is left."""

from dataclasses import dataclass

from paribus.planning import TaskInfo
from paribus.report.numbers import decimals, interval, percent, signed
from paribus.report.results import Results
from paribus.stats.contrast import Contrast


@dataclass(frozen=True)
class Shrinkage:
    """One arm on one task, before and after."""

    task: str
    unit: str
    first: Contrast
    again: Contrast

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
        places = decimals([self.first.paired.se, self.again.paired.se])
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
        )
        for task in again.plan.tasks
        for metric in [again.metric(task)]
    )


def _contrast(results: Results, task: TaskInfo, arm: str) -> Contrast:
    return results.contrasts(task, results.metric(task), results.split(task))[arm]
