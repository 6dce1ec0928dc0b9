"""What the generators of an experiment were for: effects and interactions of grids, shares of changes of paths."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from paribus.planning import MetricInfo, TaskInfo
from paribus.report.numbers import decimals, equation, interval, listed, plural, signed
from paribus.report.results import Results
from paribus.stats.attribution import Attribution, Share, along, left_out
from paribus.stats.effects import Design, Effect, Mean, Score, Step, factorial
from paribus.stats.interval import Interval

TITLES = {
    "grid": "Effects and interactions",
    "fraction": "Effects of a fraction of a grid",
    "leave_one_out": "What each change of {to} adds to the others",
    "path": "What each change adds on the way from {from} to {to}",
}


@dataclass(frozen=True)
class Explained:
    """One generator on one task; estimates are improvements, so more is better, and means are the metric's own."""

    kind: str
    title: str
    task: str
    metric: MetricInfo
    split: str
    arms: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # levels, or changes made -> the arm
    design: Design | None = None
    attribution: Attribution | None = None
    problem: str = ""  # why nothing can be said
    sentences: tuple[str, ...] = ()
    alpha: float = 0.05  # what a corrected p has to reach


def effects(results: Results, task: TaskInfo) -> tuple[Explained, ...]:
    """Every design of a plan on the main metric of a task."""
    return tuple(_explained(results, task, design) for design in results.plan.designs)


def _explained(results: Results, task: TaskInfo, design: Mapping[str, Any]) -> Explained:
    metric, split, kind = results.metric(task), results.split(task), str(design["kind"])
    title = TITLES[kind].format(**{"to": design.get("to"), "from": design["from"]})
    key = {"leave_one_out": "without", "path": "changes"}.get(kind, "levels")
    arms = {_key(cell[key]): str(cell["arm"]) for cell in design["cells"]}
    start = Explained(kind, title, task.title, metric, split, arms, alpha=results.analysis.alpha_a_look)
    scores = {
        arm: _scores(results, arm, task, metric, split)
        for arm in dict.fromkeys([*arms.values(), str(design["from"]), str(design.get("to", design["from"]))])
    }
    alpha = start.alpha
    unit = f" {metric.unit}" if metric.unit else ""
    if kind in ("grid", "fraction"):
        runs = [Score(levels, seed, value) for levels, arm in arms.items() for seed, value in scores[arm].items()]
        found = factorial(design["factors"], runs, alpha=alpha, fraction=kind == "fraction")
        found = replace(found, means=tuple(_own_way(mean, metric) for mean in found.means))
        return replace(start, design=found, problem=found.problem, sentences=tuple(_told(found, alpha, unit)))
    if kind == "leave_one_out":
        without = {change: scores[arm] for (change,), arm in arms.items()}
        shares = left_out(scores[design["to"]], without, scores[design["from"]], alpha=alpha)
    else:
        cells = {frozenset(changes): scores[arm] for changes, arm in arms.items()}
        needed = {frozenset(order[:length]) for order in design["orders"] for length in range(len(order) + 1)}
        if needed - cells.keys():
            return replace(start, problem="some arms on the way are not part of these runs")
        shares = along(cells, design["orders"], alpha=alpha)
    if not shares.seeds:
        return replace(start, problem="there is no seed for which every arm on the way has finished")
    return replace(start, attribution=shares, sentences=tuple(_shared(shares, alpha, unit)))


def _key(told: object) -> tuple[str, ...]:
    return (told,) if isinstance(told, str) else tuple(map(str, told)) if isinstance(told, list | tuple) else ()


def _scores(results: Results, arm: str, task: TaskInfo, metric: MetricInfo, split: str) -> dict[Any, float]:
    sign = -1 if metric.direction == "min" else 1
    runs = results.observations(arm, task.name, metric.name, split)
    return {run.seed: sign * run.value for run in runs if run.ok}


def _own_way(mean: Mean, metric: MetricInfo) -> Mean:
    """A mean as the metric is read, where the model has turned it so that more is better."""
    if metric.direction != "min":
        return mean
    return replace(mean, mean=-mean.mean, interval=Interval(-mean.interval.high, -mean.interval.low))


def _told(design: Design, alpha: float, unit: str) -> Iterator[str]:
    """Interactions first: where there are any, a factor has no one effect."""
    involved: set[str] = set()
    for effect in design.interactions:
        if effect.p_holm <= alpha:
            involved.update(effect.factors)
            strongest = max(effect.steps, key=lambda step: abs(step.estimate))
            yield _interaction(strongest, effect, unit)
    for effect in design.effects:
        if len(effect.factors) == 1 and effect.factors[0] not in involved:
            yield from (_main(step, effect, alpha, unit) for step in effect.steps)
    for name in sorted(involved):
        yield f"The effect of {name} depends on the other settings: read its simple effects, not an average."
    for term, other in design.aliased:
        twin = " by ".join(other) if other else "the mean"
        yield f"{' by '.join(term)} cannot be told from {twin} in this fraction."
    if design.effects and not design.balanced:
        yield "Some runs are missing, so effects are adjusted for the others (type III)."


def _main(step: Step, effect: Effect, alpha: float, unit: str) -> str:
    (name, level), (_, first) = step.levels[0], step.against[0]
    seen = _seen(step.estimate, step.interval.low, step.interval.high, unit)
    if effect.p_holm <= alpha:
        return (
            f"{name}: {level} instead of {first} changes the metric by {seen} on average ({equation(effect.p_holm)})."
        )
    return f"{name}: {level} instead of {first} is undecided on average, {seen} ({equation(effect.p_holm)})."


def _interaction(step: Step, effect: Effect, unit: str) -> str:
    (_, level), (other, place) = step.levels
    (_, first), (_, base) = step.against
    how = "more" if step.estimate > 0 else "less"
    seen = _seen(abs(step.estimate), *_ordered(step), unit).removeprefix("+")
    return (
        f"{level} instead of {first} gains {seen} {how} with {other}={place} than with {other}={base} "
        f"({equation(effect.p_holm)})."
    )


def _ordered(step: Step) -> tuple[float, float]:
    ends = (step.interval.low, step.interval.high)
    return ends if step.estimate > 0 else (-ends[1], -ends[0])


def _seen(estimate: float, low: float, high: float, unit: str) -> str:
    places = decimals([(high - low) / 4])
    return f"{signed(estimate, places)}{unit} {interval(low, high, places)}".strip()


def _shared(found: Attribution, alpha: float, unit: str) -> Iterator[str]:
    total = found.total
    places = decimals([share.effect.se for share in found.shares])
    over = f"over {plural(found.orders, 'order')} and " if found.orders else "over "
    yield f"The whole difference is {signed(total.mean, places)}{unit}, {over}{plural(len(found.seeds), 'seed')}."
    for share in sorted(found.shares, key=lambda share: -abs(share.effect.mean)):
        yield _share(share, alpha, unit, places)
    undecided = [share.change for share in found.shares if not share.p <= alpha]
    if undecided:
        yield f"Undecided whether there is any share of {listed(undecided)}."


def _share(share: Share, alpha: float, unit: str, places: int) -> str:
    effect = share.effect
    ends = interval(effect.interval.low, effect.interval.high, places)
    told = f"{share.change}: {signed(effect.mean, places)}{unit} {ends}".strip()
    if isfinite(share.first) and isfinite(share.last):
        told += f", from {signed(share.first, places)} made first to {signed(share.last, places)} made last"
    return f"{told} ({equation(share.p)})." if isfinite(share.p) else f"{told}."
