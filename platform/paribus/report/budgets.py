"""What fewer trials of a search would have said: the best so far, its expectation, and the order of the arms."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from paribus.planning import TaskInfo
from paribus.report.numbers import general, listed, plural
from paribus.report.panels import Words
from paribus.report.plots import Dot, Picture, Plot, Point, Traces
from paribus.report.results import metric_named
from paribus.stats.tuning_curve import band, expected_best

Taught = Mapping[str, Any]
LEVEL = 0.8  # of the band of an expectation; of few trials a wider one would say nothing


def best_so_far(search: Taught) -> list[float | None]:
    """After each trial, the best value of all so far."""
    better = max if search["metric"]["direction"] == "max" else min
    found: list[float | None] = []
    best: float | None = None
    for trial in search["trials"]:
        if trial["state"] == "ok":
            value = trial["values"][0]
            best = value if best is None else better(best, value)
        found.append(best)
    return found


def expected(taught: Taught, search: Taught, bounds: tuple[float, float] | None = None) -> list[Point]:
    """The expected best of n trials with its band; only random trials that nothing broke off make it true."""
    if taught["sampler"] != "random" or taught["pruner"] != "none" or any(t["enqueued"] for t in search["trials"]):
        return []
    values = [trial["values"][0] if trial["state"] == "ok" else math.nan for trial in search["trials"]]
    if not any(math.isfinite(value) for value in values):
        return []
    sign = 1 if search["metric"]["direction"] == "max" else -1
    ends = band(values, sign=sign, level=LEVEL, bounds=bounds)
    found = zip(expected_best(values, sign=sign), ends, strict=True)
    return [Point(search["arm"], n, value, end.low, end.high) for n, (value, end) in enumerate(found, 1)]


def rankings(taught: Taught, task: str) -> list[tuple[int, tuple[str, ...]]]:
    """The order of the arms by their best value after n trials, each time that it changes."""
    searches = [search for search in taught["searches"] if search["task"] == task]
    if len(searches) < 2:
        return []
    sign = -1 if searches[0]["metric"]["direction"] == "max" else 1
    series = {search["arm"]: best_so_far(search) for search in searches}
    found: list[tuple[int, tuple[str, ...]]] = []
    for count in range(1, max(len(values) for values in series.values()) + 1):
        now = {arm: values[min(count, len(values)) - 1] for arm, values in series.items() if values}
        known = {arm: sign * value for arm, value in now.items() if value is not None}
        order = tuple(sorted(known, key=lambda arm: known[arm]))
        if len(order) == len(series) and (not found or found[-1][1] != order):
            found.append((count, order))
    return found


def budgets(
    taught: Taught, searches: Sequence[Taught], task: TaskInfo | None, arms: tuple[str, ...]
) -> Iterator[Picture]:
    """The pictures of all searches on one task."""
    title = searches[0]["metric"]["title"]
    on = f" on {searches[0]['task']}" if searches[0]["task"] else ""
    dots = tuple(
        Dot(search["arm"], index, value, "ok")
        for search in searches
        for index, value in enumerate(best_so_far(search), 1)
        if value is not None
    )
    if dots:
        words = Words(
            f"Best {title} so far{on}",
            f"On validation, after each trial; {_cost(searches)}.",
            f"Best {title} after each trial, a line an arm",
        )
        yield Plot(words, "trials", title, False, True, dots, arms)
    known = metric_named(task, searches[0]["metric"]["name"]).bounds if task else None
    bounds = (known[0], known[1]) if known else None
    points = tuple(point for search in searches for point in expected(taught, search, bounds))
    if points:
        drawn = (
            "the band holds the whole curve in 80 % of searches, and may leave the picture"
            if bounds
            else "no band: the metric has no bounds"
        )
        words = Words(
            f"Expected best {title} of fewer trials{on}",
            f"Dodge et al. 2019; valid because trials were drawn at random; "
            f"{drawn if bounds else 'no band: the metric has no bounds'}.",
            f"Expected best {title} of n random trials, a line an arm",
        )
        yield Traces(words, "trials", title, points, arms=arms)
    found = rankings(taught, searches[0]["task"]) if taught["scope"] == "arm" else []
    if len(found) > 1:
        yield _bumps(searches, found, on, arms)


def _cost(searches: Sequence[Taught]) -> str:
    """What a trial cost, so that trials can be read as hours."""
    trials = [trial for search in searches for trial in search["trials"]]
    hours = sum(trial["seconds"] for trial in trials) / 3600
    return f"100 trials cost {general(100 * hours / len(trials), 2)} device hours" if trials else "no trial has ended"


def _bumps(
    searches: Sequence[Taught], found: Sequence[tuple[int, tuple[str, ...]]], on: str, arms: tuple[str, ...]
) -> Traces:
    """The rank of every arm after n trials, up to the last."""
    last = max(len(search["trials"]) for search in searches)
    steps = [*found, (last, found[-1][1])]
    points = tuple(
        Point(search["arm"], count, order.index(search["arm"]) + 1) for search in searches for count, order in steps
    )
    words = Words(
        f"Rank by the best trial so far{on}",
        f"The order has not changed since {plural(found[-1][0], 'trial')} an arm; {listed(found[-1][1])}, best first.",
        f"Rank of each arm after n trials; it changed {plural(len(found) - 1, 'time')}.",
    )
    return Traces(words, "trials", "rank", points, arms=arms, ranks=True)
