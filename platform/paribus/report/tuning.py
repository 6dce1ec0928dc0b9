"""What the searches of an experiment taught, for a page and for tables, from plain data that the plan holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from paribus.report.numbers import MISSING, general, listed, plural
from paribus.report.results import Results
from paribus.report.warnings import Warning
from paribus.stats.tuning_curve import expected_best

Taught = Mapping[str, Any]
LEDGER = (
    "arm",
    "task",
    "dimensions",
    "trials",
    "finished",
    "pruned",
    "failed",
    "device_seconds",
    "steps",
    "best",
    "settings",
)
TRIALS = (
    "arm",
    "task",
    "number",
    "state",
    "objective",
    "value",
    "best_so_far",
    "seconds",
    "steps",
    "settings",
    "reason",
)


@dataclass(frozen=True)
class LedgerLine:
    """What one search cost and found."""

    arm: str
    task: str
    dimensions: tuple[str, ...]
    carried: tuple[str, ...]  # of them, those that only its parts brought
    trials: int
    finished: int
    pruned: int
    failed: int
    seconds: float
    steps: int
    best: float | None
    settings: Mapping[str, Any]

    @property
    def told(self) -> str:
        """The winning settings in one line."""
        return setting_words(self.settings) or MISSING


def setting_words(settings: Mapping[str, Any]) -> str:
    """`lr 0.003, heads 4`"""
    return ", ".join(
        f"{key.rpartition('.')[2]} {general(value) if isinstance(value, float) else value}"
        for key, value in settings.items()
    )


def ledger(taught: Taught) -> list[LedgerLine]:
    """One line for each search."""
    return [_line(search) for search in taught["searches"]]


def _line(search: Taught) -> LedgerLine:
    trials = search["trials"]
    states = [trial["state"] for trial in trials]
    winner = winner_of(search)
    return LedgerLine(
        search["arm"],
        search["task"],
        tuple(dimension["key"] for dimension in search["dimensions"]),
        tuple(dimension["key"] for dimension in search["dimensions"] if dimension["carried"]),
        len(trials),
        states.count("ok"),
        states.count("pruned"),
        states.count("failed"),
        sum(trial["seconds"] for trial in trials),
        sum(trial["steps"] for trial in trials),
        winner["values"][0] if winner else None,
        winner["settings"] if winner else {},
    )


def winner_of(search: Taught) -> Taught | None:
    """The trial that won, if one ended well."""
    return next((trial for trial in search["trials"] if trial["number"] == search["winner"]), None)


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


def expected(taught: Taught, search: Taught) -> list[float] | None:
    """The expected best of n trials; only random trials that nothing broke off make it true."""
    if taught["sampler"] != "random" or taught["pruner"] != "none" or any(t["enqueued"] for t in search["trials"]):
        return None
    values = [trial["values"][0] if trial["state"] == "ok" else math.nan for trial in search["trials"]]
    if not any(math.isfinite(value) for value in values):
        return None
    return list(expected_best(values, sign=1 if search["metric"]["direction"] == "max" else -1))


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


@dataclass(frozen=True)
class Gap:
    """How far the value that won a search holds up: on fresh seeds, and on test."""

    arm: str
    task: str
    tuned: float  # validation, on the seeds of the trials
    confirmed: float | None  # validation, on the seeds of the comparison
    test: float | None
    optimism: float | None  # how much better the search made it look; + is too good
    gap: float | None  # how much better validation looks than test


def gaps(results: Results, taught: Taught) -> list[Gap]:
    """Of every winner that has run on the seeds of the comparison."""
    found = []
    for search in taught["searches"]:
        for arm, trial in _confirmed(taught, search):
            metric, split = search["metric"], taught["split"]
            task = search["task"]
            confirmed = _mean(results, arm, task, metric["name"], split)
            test = _mean(results, arm, task, metric["name"], "test")
            sign = 1 if metric["direction"] == "max" else -1
            tuned = trial["values"][0]
            optimism = None if confirmed is None else sign * (tuned - confirmed)
            gap = None if confirmed is None or test is None else sign * (confirmed - test)
            found.append(Gap(arm, task, tuned, confirmed, test, optimism, gap))
    return found


def _confirmed(taught: Taught, search: Taught) -> Iterator[tuple[str, Taught]]:
    """Arms of the comparison with the trials that they come from."""
    if taught["scope"] == "arm":
        winner = winner_of(search)
        if winner:
            yield search["arm"], winner
        return
    for trial in search["trials"]:
        if f"trial-{trial['number']}" in taught["confirm"]["arms"]:
            yield f"trial-{trial['number']}", trial


def _mean(results: Results, arm: str, task: str, metric: str, split: str) -> float | None:
    values = [run.value for run in results.observations(arm, task, metric, split) if run.ok]
    return fmean(values) if values else None


@dataclass(frozen=True)
class Beside:
    """An arm as the file has it and as it was tuned."""

    arm: str
    task: str
    metric: str
    fixed: float
    fixed_runs: int
    tuned: float | None
    tuned_runs: int


def beside(results: Results, taught: Taught) -> list[Beside]:
    """Fixed recipe and tuned settings, for the arms whose fixed recipe has runs in the store."""
    found = []
    for task in results.plan.tasks:
        metric, split = results.metric(task), results.split(task)
        for arm in results.plan.arms:
            runs = [run for run in taught["fixed"] if (run["arm"], run["task"]) == (arm.name, task.name)]
            values = [_score(results, run["id"], metric.name, split) for run in runs]
            known = [value for value in values if value is not None]
            if known:
                tuned = [run.value for run in results.observations(arm.name, task.name, metric.name, split) if run.ok]
                mean = fmean(tuned) if tuned else None
                found.append(Beside(arm.name, task.name, metric.name, fmean(known), len(known), mean, len(tuned)))
    return found


def _score(results: Results, run: str, metric: str, split: str) -> float | None:
    outcome = results.outcomes.get(run)
    if outcome is None or outcome.status != "ok" or outcome.record is None:
        return None
    scores = outcome.record.scores
    return next((score.value for score in scores if (score.metric, score.split) == (metric, split)), None)


def warnings(taught: Taught) -> Iterator[Warning]:
    """Unequal tuning, best values at an end of their range, and failures."""
    if taught["scope"] == "arm":
        yield from _unequal(taught)
    for search in taught["searches"]:
        for edge in search["boundary"]:
            yield Warning(
                "BOUNDARY",
                f"{edge['key']} of {search['arm']} at its limit",
                f"The best {edge['key']} of {search['arm']}, {general(edge['value'])}, stands within a tenth of the "
                f"range of its {'lower' if edge['end'] == 'low' else 'upper'} end {general(edge['bound'])}.",
                "A better value may lie outside.",
                f"Widen tuning.space.'{edge['key']}' and run again: trials are kept where the space is the same only.",
                (search["arm"],),
                search["task"],
            )
        if search["winner"] is None:
            yield Warning(
                "TUNING",
                f"no trial of {search['arm']} ended well",
                f"All {len(search['trials'])} trials of {search['arm']} failed or were broken off.",
                "The arm runs with the settings of the file.",
                "Look at the trials in tuning.csv, and move the space to where training works.",
                (search["arm"],),
                search["task"],
            )


def _unequal(taught: Taught) -> Iterator[Warning]:
    lines = ledger(taught)
    counts = {line.trials for line in lines}
    if len(counts) > 1:
        told = listed(f"{line.arm} {line.trials}" for line in lines)
        yield Warning(
            "TUNING",
            "arms have unequal numbers of trials",
            f"Trials: {told}.",
            "An arm with more trials has had more chances.",
            "Run the tuning again without a time limit, and with the same number of trials for every arm.",
            tuple(line.arm for line in lines if line.trials < max(counts)),
        )
    spaces = {line.dimensions for line in lines}
    if len(spaces) > 1:
        told = listed(f"{line.arm} {plural(len(line.dimensions), 'dimension')}" for line in lines)
        carried = sorted({key for line in lines for key in line.carried})
        yield Warning(
            "TUNING",
            "arms were tuned in different spaces",
            f"Searched: {told}; carried by parts: {', '.join(carried) or 'none'}.",
            "The same number of trials searches a larger space less well.",
            "Say so when you tell of the result, or set tuning.part_ranges to false.",
            tuple(line.arm for line in lines if line.dimensions != lines[0].dimensions),
        )


def ledger_table(taught: Taught) -> tuple[dict[str, Any], ...]:
    """The ledger as rows."""
    return tuple(
        {
            "arm": line.arm,
            "task": line.task,
            "dimensions": " ".join(line.dimensions),
            "trials": line.trials,
            "finished": line.finished,
            "pruned": line.pruned,
            "failed": line.failed,
            "device_seconds": line.seconds,
            "steps": line.steps,
            "best": line.best,
            "settings": line.told,
        }
        for line in ledger(taught)
    )


def trial_table(taught: Taught) -> tuple[dict[str, Any], ...]:
    """Every trial as a row, one for each objective."""
    return tuple(_trial_rows(taught))


def _trial_rows(taught: Taught) -> Iterator[dict[str, Any]]:
    for search in taught["searches"]:
        names = [objective["name"] for objective in taught["objectives"]]
        names[0] = search["metric"]["name"]
        for trial, best in zip(search["trials"], best_so_far(search), strict=True):
            for index, name in enumerate(names):
                yield {
                    "arm": search["arm"],
                    "task": search["task"],
                    "number": trial["number"],
                    "state": trial["state"],
                    "objective": name,
                    "value": trial["values"][index] if index < len(trial["values"]) else None,
                    "best_so_far": best if index == 0 else None,
                    "seconds": trial["seconds"],
                    "steps": trial["steps"],
                    "settings": "; ".join(f"{key}={value}" for key, value in trial["settings"].items()),
                    "reason": trial["reason"],
                }


def front(search: Taught) -> Sequence[Taught]:
    """The trials that no other beats on all objectives."""
    return [trial for trial in search["trials"] if trial["number"] in search["front"]]
