"""`paribus plan`: arms, cost and what is still to be trained."""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from paribus.cli import options
from paribus.cli.output import as_json, count, duration, plain, table

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.spec.load import Loaded
    from paribus.store.record import Outcome


def plan(
    file: Path,
    /,
    *,
    set_: options.Sets = None,
    arms: options.Arms = None,
    seeds: options.Seeds = None,
    workers: options.Workers = None,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Show arms, cost and what is still to be trained; trains nothing.

    Parameters
    ----------
    file
        The experiment.
    """
    from paribus import api
    from paribus.running import missing
    from paribus.store.folder import locate, open_store
    from paribus.store.record import Outcome

    chosen = list(range(1, seeds[0] + 1)) if seeds and len(seeds) == 1 else seeds or []
    loaded, planned = api.prepared(file, sets=set_ or [], arms=arms or [], seeds=chosen)
    outcomes: dict[str, Outcome] = {run.id: Outcome(run.id) for run in planned.runs}
    waiting = planned.runs
    if (locate(store) / "store.db").is_file():  # planning leaves no store behind
        opened = open_store(store)
        waiting = missing(planned, opened)
        outcomes = opened.database.outcomes(run.id for run in planned.runs)
    costs = _costs(planned)
    seconds = _seconds(planned, outcomes, [run.id for run in waiting])
    if json:
        rows = [{**asdict(arm), "cost": costs[arm.name]} for arm in planned.arms]
        as_json(
            {"name": planned.name, "runs": len(planned.runs), "missing": len(waiting), "seconds": seconds, "arms": rows}
        )
        return 0
    _print(planned, costs)
    for arm in planned.arms:
        for told in arm.notes.values():
            plain(f"{arm.name} {told}")
    if loaded.experiment.tuning is not None:
        plain(_tuning(loaded))
    if len(planned.seeds) > 1 and len(planned.arms) > 1:
        plain(_showing(planned))
    done = len(planned.runs) - len(waiting)
    plain(f"{len(planned.runs)} runs: {done} in the store, {len(waiting)} to train")
    if waiting and seconds is not None:
        from paribus.running import cores

        at_once = workers or max(1, cores() // int(planned.machine["threads"]))
        plain(f"about {duration(seconds / at_once)} with {at_once} at once, from the runs in the store")
    return 0


def _tuning(loaded: "Loaded") -> str:
    """What a search comes to before the winners run."""
    from paribus.spec.space import dimensions, grid

    tuning = loaded.experiment.tuning
    assert tuning is not None
    arms = loaded.arms if tuning.scope == "arm" else loaded.arms[:1]
    counts = [
        (len(grid(arm.tree, dimensions(tuning, arm))) if tuning.sampler == "grid" else tuning.wanted)
        for arm in arms
        for _ in arm.setting.tasks
    ]
    each = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return (
        f"tuning first: {each} trials by {tuning.sampler} in {len(counts)} searches, {sum(counts) * tuning.seeds} runs"
    )


def _showing(plan: "Plan") -> str:
    """What this number of seeds can show, in standard deviations of the differences by seed."""
    from paribus.spec.analysis import Analysis
    from paribus.stats.paired import floor
    from paribus.stats.power import detectable, equatable

    analysis, n = Analysis.model_validate(plan.analysis), len(plan.seeds)
    arms = len(plan.arms) - 1
    family = arms * (arms + 1) // 2 if analysis.comparisons == "all" else arms
    alpha = analysis.alpha_a_look
    strict = alpha / family if analysis.correction == "holm" else alpha
    margin = f"equivalence within {equatable(n, alpha):.2g}, " if analysis.smallest_effect is not None else ""
    return (
        f"{n} seeds: differences from {detectable(n, strict):.2g} SD are found with 80 % power "
        f"({'1 comparison' if family == 1 else f'{family} comparisons'}), "
        f"{margin}and the exact test cannot go under {floor(n):.3g}"
    )


def _costs(plan: "Plan") -> dict[str, dict[str, float]]:
    """Of each arm on the first task."""
    from paribus.parts import Swappable
    from paribus.spec.network import Architecture
    from paribus.training.data import cost_of

    found = {}
    for arm in plan.arms:
        settings = plan.settings[arm.name][plan.tasks[0].name]
        network = Architecture.model_validate(settings["network"])
        found[arm.name] = cost_of(network, Swappable("task").validate(settings["task"])).tree()
    return found


def _seconds(plan: "Plan", outcomes: "dict[str, Outcome]", waiting: list[str]) -> float | None:
    """How long the missing runs take one after the other, by what the same arm took, or any arm."""
    took: dict[str, list[float]] = {}
    for run in plan.runs:
        record = outcomes[run.id].record
        if record is not None and record.status == "ok":
            took.setdefault(f"{run.arm}/{run.task}", []).append(record.seconds)
    if not took:
        return None
    usual = median(value for values in took.values() for value in values)
    arms = {run.id: f"{run.arm}/{run.task}" for run in plan.runs}
    return sum(median(took.get(arms[run], [usual])) for run in waiting)


def _print(plan: "Plan", costs: dict[str, dict[str, float]]) -> None:
    rows: list[tuple[Any, ...]] = []
    base = costs["baseline"]
    for arm in plan.arms:
        cost = costs[arm.name]
        changed = "; ".join(
            f"{d['what']}: {d['baseline']} → {d['arm']}" + (f" ({d['where']})" if d["where"] else "")
            for d in arm.differences
        )
        share = "" if arm.name == "baseline" else f"{cost['parameters'] / base['parameters'] - 1:+.1%}"
        rows.append((arm.name, changed or "—", count(cost["parameters"]), share, count(cost["flops_per_token"])))
    table(
        plan.question,
        ["arm", "changed", "parameters", "Δ", "FLOPs/token"],
        rows,
        right=["parameters", "Δ", "FLOPs/token"],
    )
