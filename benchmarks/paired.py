"""Contestants timed in paired rounds: all in each round, one after the other, in an order that turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.stats import binom

Step = Callable[[], object]
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}  # cpu: for a machine that is shared
ROUND = 0.25  # seconds that each contestant works in a round, about


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios, with an interval that holds the true median with at least 95 %."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:5.3f} [{self.low:.3f}, {self.high:.3f}]"


def rounds(
    contestants: Mapping[str, Step], count: int, wait: Step = lambda: None, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Milliseconds a step of each contestant in each round; `wait` ends what a device still does."""
    names = list(contestants)
    steps = {name: _steps(step, wait, clock) for name, step in contestants.items()}
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count):
        turn = number // 2 % len(names)
        order = names[turn:] + names[:turn]
        for name in order if number % 2 else reversed(order):
            found[name].append(1e3 * _seconds(contestants[name], steps[name], wait, clock))
    return found


def ratio(slower: list[float], faster: list[float]) -> Ratio:
    """How many times as fast the second is as the first, round by round.

    The interval lies between two order statistics: no shape of the noise is assumed.
    """
    ratios = sorted(one / other for one, other in zip(slower, faster, strict=True))
    outside = max(0, int(binom.ppf(0.025, len(ratios), 0.5)) - 1)
    return Ratio(statistics.median(ratios), ratios[outside], ratios[-1 - outside])


def _seconds(step: Step, steps: int, wait: Step, clock: Clock) -> float:
    step()  # brings its own numbers back into the cache
    wait()
    began = clock()
    for _ in range(steps):
        step()
    wait()
    return (clock() - began) / steps


def _steps(step: Step, wait: Step, clock: Clock) -> int:
    """How many steps fill a round, once the contestant is warm."""
    for _ in range(3):
        step()
    return max(1, round(ROUND / _seconds(step, 3, wait, clock)))
