"""What the searches of an experiment taught, for a page and for tables, from plain data that the plan holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from paribus.report.budgets import Taught, best_so_far, budgets, rankings
from paribus.report.grids import Block, Grid
from paribus.report.numbers import MISSING, general, listed, plural
from paribus.report.panels import Words
from paribus.report.plots import Dot, Estimate, Estimates, Picture, Plot
from paribus.report.results import Results
from paribus.report.warnings import Warning

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
            optimism = None if confirmed is None else sign * (tuned - confirmed) + 0.0  # no minus zero
            gap = None if confirmed is None or test is None else sign * (confirmed - test) + 0.0
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
    yield from _unequal(taught) if taught["scope"] == "arm" else _unsearched(taught)
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


def _unsearched(taught: Taught) -> Iterator[Warning]:
    """The trials that one search over all chose, beside a baseline that it did not choose."""
    arms = tuple((taught.get("confirm") or {}).get("arms", ()))  # trials alone have nothing to confirm yet
    if arms:
        keys = list(dict.fromkeys(dimension["key"] for s in taught["searches"] for dimension in s["dimensions"]))
        yield Warning(
            "TUNING",
            "the baseline was not searched",
            f"The baseline has the settings of the file; {listed(keys)} "
            f"{'was' if len(keys) == 1 else 'were'} searched for {listed(arms)} only.",
            "A difference may come from the search rather than from what was found.",
            "Search with scope: arm, so that the baseline has as many trials, before you call a trial better.",
            arms,
        )


def _unequal(taught: Taught) -> Iterator[Warning]:
    lines = ledger(taught)
    counts = {line.trials for line in lines}
    if len(counts) > 1:
        told = listed(f"{line.arm} {line.trials}" for line in lines)
        unlimited = "without a time limit, and " if taught["time_limit"] is not None else ""
        yield Warning(
            "TUNING",
            "arms have unequal numbers of trials",
            f"Trials: {told}.",
            "An arm with more trials has had more chances.",
            f"Run the tuning again {unlimited}with the same number of trials for every arm.",
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


def block(results: Results, taught: Taught) -> Block:
    """The section of a report: the ledger first, then what it rests on."""
    grids = [_ledger_grid(taught), *_beside_grid(results, taught), *_front_grids(taught)]
    grids += [*_importance_grids(taught), *_ranking_grids(results, taught), *_gap_grid(results, taught)]
    return Block("Tuning", tuple(_paragraphs(taught)), tuple(grids), tuple(plots(results, taught)))


def _paragraphs(taught: Taught) -> Iterator[str]:
    seeds = plural(taught["seeds"], "seed")
    what = (
        "each arm by itself, with the same trials, pruning and space"
        if taught["scope"] == "arm"
        else "one search over all"
    )
    pruning = "nothing was broken off early" if taught["pruner"] == "none" else f"pruned by {taught['pruner']}"
    yield (
        f"Searched by {taught['sampler']} (Optuna {taught['optuna']}): {what}; {seeds} a trial, from 1000001 on; "
        f"{pruning}. Trials are judged on {taught['split']}; failed ones stay in the ledger."
    )
    if taught["scope"] == "experiment" and taught["confirm"]:
        found = taught["confirm"]
        last = found["first"] + found["count"] - 1
        yield (
            f"The table above compares {listed(found['arms'])} with the baseline on fresh seeds {found['first']} to "
            f"{last}, which no choice was made on."
        )


def _ledger_grid(taught: Taught) -> Grid:
    named = len({line.task for line in ledger(taught)}) > 1
    rows = tuple(
        (
            f"{line.arm} {line.task}".strip() if named else line.arm,
            f"{len(line.dimensions)}: {', '.join(key.rpartition('.')[2] for key in line.dimensions)}",
            str(line.trials),
            str(line.finished),
            str(line.pruned),
            str(line.failed),
            general(line.seconds / 3600),
            general(line.best, 4),
            line.told,
        )
        for line in ledger(taught)
    )
    heads = (
        "arm",
        "dimensions",
        "trials",
        "finished",
        "pruned",
        "failed",
        "device hours",
        "best on validation",
        "with",
    )
    return Grid("Ledger", heads, rows, words=("dimensions", "with"))


def _beside_grid(results: Results, taught: Taught) -> Iterator[Grid]:
    found = beside(results, taught) if taught["fixed"] else []
    if found:
        rows = tuple(
            (
                f"{one.arm} {one.task}".strip(),
                general(one.fixed, 4),
                str(one.fixed_runs),
                general(one.tuned, 4),
                str(one.tuned_runs),
            )
            for one in found
        )
        heads = ("arm", f"fixed recipe ({found[0].metric})", "runs", "tuned", "runs")
        yield Grid("The recipe of the file, and tuned", heads, rows)


def _front_grids(taught: Taught) -> Iterator[Grid]:
    titles = [objective["title"] for objective in taught["objectives"]]
    for search in taught["searches"] if len(titles) > 1 else ():
        rows = tuple(
            (f"trial {t['number']}", *(general(value, 4) for value in t["values"]), setting_words(t["settings"]))
            for t in front(search)
        )
        yield Grid(
            "Front: no other trial is better on all objectives", ("trial", *titles, "with"), rows, words=("with",)
        )


def _importance_grids(taught: Taught) -> Iterator[Grid]:
    for search in taught["searches"]:
        found = search["importance"]
        name = f"{search['arm']} {search['task']}".strip()
        how = f"{found['method']} on {found['used']} of {found['of']} trials"
        title = f"What explains the differences between trials of {name}: {how}"
        if found["rows"]:
            rows = tuple(
                (row["key"], general(row["value"], 2), f"[{general(row['low'], 2)}, {general(row['high'], 2)}]")
                for row in found["rows"]
            )
            yield Grid(title, ("key", "share", "95 % of resampled trials"), rows)
        else:
            yield Grid(title, ("key", "share"), (("—", f"not told: {found['reason']}"),))


def _ranking_grids(results: Results, taught: Taught) -> Iterator[Grid]:
    for task in results.plan.tasks:
        found = rankings(taught, task.name) if taught["scope"] == "arm" else []
        if len(found) > 1:
            rows = tuple((f"from {plural(count, 'trial')} on", " > ".join(order)) for count, order in found)
            yield Grid(
                "Fewer trials would have ranked the arms otherwise",
                ("trials", "best first"),
                rows,
                words=("best first",),
            )
        elif found:
            rows = ((f"from {plural(found[0][0], 'trial')} on", " > ".join(found[0][1])),)
            yield Grid(
                "Fewer trials would not have ranked the arms otherwise",
                ("trials", "best first"),
                rows,
                words=("best first",),
            )


def _gap_grid(results: Results, taught: Taught) -> Iterator[Grid]:
    found = gaps(results, taught)
    if found:
        rows = tuple(
            (
                f"{one.arm} {one.task}".strip(),
                general(one.tuned, 4),
                general(one.confirmed, 4),
                general(one.optimism, 2),
                general(one.test, 4),
                general(one.gap, 2),
            )
            for one in found
        )
        heads = ("arm", "in the search", "on the final seeds", "optimism", "test", "validation to test")
        yield Grid("How the winners held up: validation in the search, validation on other seeds, test", heads, rows)


def plots(results: Results, taught: Taught) -> Iterator[Picture]:
    """What fewer trials would have said, the front, what explains trials, and every trial by each of its settings."""
    arms = tuple(row.name for row in results.plan.arms)
    for task in dict.fromkeys(search["task"] for search in taught["searches"]):
        info = next((known for known in results.plan.tasks if known.name == task), None)
        yield from budgets(taught, [search for search in taught["searches"] if search["task"] == task], info, arms)
    yield from _importance(taught)
    for search in taught["searches"]:
        if len(taught["objectives"]) > 1:
            yield _front_plot(taught, search)
        for dimension in search["dimensions"]:
            yield from _slice(search, dimension)


def _importance(taught: Taught) -> Iterator[Picture]:
    """The shares with their whiskers, a picture a search, on one axis."""
    groups = tuple(
        (
            f"{search['arm']} {search['task']}".strip(),
            tuple(
                Estimate(row["key"].rpartition(".")[2], row["value"], row["low"], row["high"], row["low"] > 0)
                for row in search["importance"]["rows"]
            ),
        )
        for search in taught["searches"]
        if search["importance"]["rows"]
    )
    if groups:
        first = [f"{name} {max(rows, key=lambda row: row.value).name}" for name, rows in groups]
        words = Words(
            "What explains the differences between trials",
            "Whiskers hold 95 % of resampled trials; settings whose whiskers overlap are not ranked.",
            f"Shares of the variance by setting; largest: {listed(first)}.",
        )
        yield Estimates(words, "share", groups)


def _front_plot(taught: Taught, search: Taught) -> Plot:
    other = taught["objectives"][1]["title"]
    dots = tuple(
        Dot(
            search["arm"],
            trial["values"][1],
            trial["values"][0],
            "best" if trial["number"] in search["front"] else "ok",
        )
        for trial in search["trials"]
        if trial["state"] == "ok"
    )
    title = search["metric"]["title"]
    words = Words(f"{title} against {other}", "Trials of the front are filled.", f"Each trial by {other} and {title}")
    costs = [dot.x for dot in dots if isinstance(dot.x, int | float)]
    log = bool(costs) and min(costs) > 0 and max(costs) / min(costs) > 10
    return Plot(words, other, title, log, False, dots)


def _slice(search: Taught, dimension: Taught) -> Iterator[Plot]:
    """Trials by one setting; failures stand on the worst value that any trial reached."""
    key, better_up = dimension["key"], search["metric"]["direction"] == "max"
    own = [trial for trial in search["trials"] if key in trial["settings"]]
    values = [trial["values"][0] for trial in own if trial["state"] == "ok"]
    if not values:
        return
    worst = min(values) if better_up else max(values)
    dots = tuple(
        Dot(
            search["arm"],
            trial["settings"][key],
            trial["values"][0] if trial["state"] == "ok" else worst,
            "best" if trial["number"] == search["winner"] else trial["state"],
        )
        for trial in own
        if trial["state"] in ("ok", "failed", "pruned")
    )
    name = f"{search['arm']} {search['task']}".strip()
    bounds = "" if dimension["choices"] else f" The range: {general(dimension['low'])} to {general(dimension['high'])}."
    words = Words(
        f"{name} by {key.rpartition('.')[2]}",
        f"Each trial; crosses failed, open grey dots were pruned, the filled one won.{bounds}",
        f"Trials of {name} by {key}",
    )
    yield Plot(words, key, search["metric"]["title"], bool(dimension["log"]), False, dots)
