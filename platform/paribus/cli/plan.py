"""`paribus plan`: arms, cost, and how long what is still to be trained will take."""

import atexit
import gc
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from paribus.cli import options
from paribus.cli.output import as_json, count, duration, note, plain, runs_told, size, table
from paribus.errors import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paribus.planning import Plan, Run
    from paribus.running.forecast import Likely, Need, Place
    from paribus.spec.load import Loaded

    Costs = Mapping[Place, Mapping[str, float]]
    Forecast = Mapping[Place, Likely]


def plan(
    file: Path,
    /,
    *,
    set_: options.Sets = None,
    arms: options.Arms = None,
    seeds: options.Seeds = None,
    workers: options.Workers = None,
    store: options.Store = None,
    probe: Annotated[
        bool,
        Parameter(
            negative="--no-probe", help="Time a few steps of arms of which the store has no run; --no-probe does not."
        ),
    ] = True,
    json: options.Json = False,
) -> int:
    """Show arms, cost, and how long what is still to be trained will take; trains nothing.

    Parameters
    ----------
    file
        The experiment.
    """
    from paribus import api
    from paribus.running import forecast, unfinished
    from paribus.store.folder import address_of, locate, open_store

    chosen = list(range(1, seeds[0] + 1)) if seeds and len(seeds) == 1 else seeds or []
    loaded, planned = api.prepared(file, sets=set_ or [], arms=arms or [], seeds=chosen)
    waiting = planned.runs
    known: dict[forecast.Place, forecast.Likely] = {}
    if address_of(store) or (locate(store) / "store.db").is_file():  # planning leaves no store behind
        opened = open_store(store)
        statuses = opened.database.statuses(run.id for run in planned.runs)
        waiting = unfinished(planned, statuses)
        known = forecast.stored(planned, opened, statuses)
        opened.database.close()
    atexit.register(gc.freeze)  # the search for garbage at the end goes through all of torch, for half a second
    costs = _costs(planned)
    at_once = workers or api.usual_workers(planned)
    with TemporaryDirectory(prefix="paribus-") as folder:
        engine = api.prober(planned, Path(folder)) if probe else None
        likely = forecast.forecast(planned, waiting, known, costs, engine, note)
    need = forecast.need(waiting, likely, costs, at_once)
    if json:
        as_json(_tree(planned, costs, likely, waiting, need, at_once))
        return 0
    _print(planned, costs, likely)
    for arm in planned.arms:
        for told in arm.notes.values():
            plain(f"{arm.name} {told}")
    if loaded.experiment.tuning is not None:
        plain(_tuning(loaded, likely, at_once))
    if len(planned.seeds) > 1 and len(planned.arms) > 1:
        plain(_showing(planned))
    if not api.has_gpu(planned) and (lacking := api.short_of_gpu(planned)):
        note(lacking)
    done = len(planned.runs) - len(waiting)
    plain(f"{runs_told(planned)}: {done} in the store, {len(waiting)} {'to do' if planned.floors else 'to train'}")
    if need is not None:
        plain(_needed(need, at_once))
    return 0


def _tree(
    plan: "Plan", costs: "Costs", likely: "Forecast", waiting: "Sequence[Run]", need: "Need | None", at_once: int
) -> dict[str, Any]:
    """What is known of a plan, for other programs."""
    rows = []
    for arm in plan.arms:
        places = [(arm.name, task.name) for task in plan.tasks]
        runs = {place[1]: asdict(likely[place]) for place in places if place in likely}
        rows.append({**asdict(arm), "cost": costs[places[0]], "run": runs})
    return {
        "name": plan.name,
        "runs": len(plan.runs),
        "missing": len(waiting),
        "seconds": None if need is None else need.seconds,
        "at_once": at_once,
        "need": None if need is None else {**asdict(need), "hours": need.seconds / at_once / 3600},
        "arms": rows,
    }


KNOWN = {
    "stored": "runs in the store",
    "probed": "a few steps of each arm",
    "scaled": "other arms, by their FLOPs",
}


def _needed(need: "Need", at_once: int) -> str:
    memory = "" if need.memory is None else f", {size(need.memory)} of memory"
    return (
        f"about {duration(need.seconds / at_once)} with {at_once} at once{memory}, {size(need.disk)} of disk "
        f"(and up to {size(need.meanwhile)} while they run), judged by {' and '.join(KNOWN[one] for one in need.known)}"
    )


def _tuning(loaded: "Loaded", likely: "Forecast", at_once: int) -> str:
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
    runs = sum(counts) * tuning.seeds
    usual = median(one.seconds for one in likely.values()) if likely else None
    told = "" if usual is None else f", about {duration(usual * runs / at_once)}"
    trials = f"{each} trial{'' if each == '1' else 's'} by {tuning.sampler}"
    return f"tuning first: {trials} in {plural(len(counts), 'search', 'searches')}, {plural(runs, 'run')}{told}"


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
        f"{plural(n, 'seed')}: differences from {detectable(n, strict):.2g} SD are found with 80 % power "
        f"({plural(family, 'comparison')}), "
        f"{margin}and the exact test cannot go under {floor(n):.3g}"
    )


def _costs(plan: "Plan") -> "Costs":
    """Of each arm on each task."""
    from paribus.parts import Swappable
    from paribus.spec.network import Architecture
    from paribus.training.data import cost_of

    found = {}
    for arm in plan.arms:
        for task in plan.tasks:
            settings = plan.settings[arm.name][task.name]
            network = Architecture.model_validate(settings["network"])
            found[arm.name, task.name] = cost_of(network, Swappable("task").validate(settings["task"])).tree()
    return found


def _print(plan: "Plan", costs: "Costs", likely: "Forecast") -> None:
    """The arms on the first task."""
    task = plan.tasks[0].name
    base = costs["baseline", task]
    rows: list[tuple[Any, ...]] = []
    for arm in plan.arms:
        cost, run = costs[arm.name, task], likely.get((arm.name, task))
        changed = "; ".join(
            f"{d['what']}: {d['baseline']} → {d['arm']}" + (f" ({d['where']})" if d["where"] else "")
            for d in arm.differences
        )
        share = "" if arm.name == "baseline" else f"{cost['parameters'] / base['parameters'] - 1:+.1%}"
        took = [duration(run.seconds) if run else "—"] if likely else []
        rows.append((arm.name, changed or "—", count(cost["parameters"]), share, count(cost["flops_per_token"]), *took))
    numbers = ["parameters", "Δ", "FLOPs/token", *(["a run"] if likely else [])]
    table(plan.question, ["arm", "changed", *numbers], rows, right=numbers)
