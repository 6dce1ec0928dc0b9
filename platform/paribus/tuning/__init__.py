"""Optuna around running: ask, override, run, tell; then the plan of the comparison, with the settings that won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from paribus.errors import ParibusError, suggestion
from paribus.planning import MetricInfo, Plan, hashed, metric_info, plan, run_id
from paribus.running import Engine, Summary
from paribus.spec.arms import Arm, variant
from paribus.spec.load import Loaded
from paribus.spec.rules import tasks_of
from paribus.spec.space import Dimension, dimensions
from paribus.spec.training import Training
from paribus.spec.tuning import COSTS, FIRST_FRESH_SEED, FIRST_SEED, MAIN, Tuning
from paribus.store.folder import Store
from paribus.tuning import lessons, samplers
from paribus.tuning.driver import Driver, Watcher
from paribus.tuning.study import Outcome, Search, opened

DATABASE = "tuning.db"
# What does not change which trials a search proposes, so that it can be gone on with.
OUTSIDE = ("trials", "confirm", "time_limit", "unequal", "split", "space", "part_ranges")


@dataclass(frozen=True)
class Tuned:
    """What came of a tuning: the plan of the comparison, unless it was interrupted."""

    plan: Plan | None
    summary: Summary
    taught: dict[str, Any]


class Unwatched:
    """A watcher that shows nothing."""

    def begin(self, searches: Sequence[Search], workers: int) -> None:
        pass

    def moved(self, search: Search, number: int, news: dict[str, Any]) -> None:
        pass

    def told(self, search: Search, number: int, outcome: Outcome) -> None:
        pass

    def end(self) -> None:
        pass


def storage_of(store: Store) -> str:
    """Where Optuna keeps its studies: beside the store, in a file that optuna-dashboard opens."""
    return f"sqlite:///{store.folder / DATABASE}"


def searches(loaded: Loaded, storage: str, arms: Sequence[str]) -> list[Search]:
    """The searches of an experiment, opened: one for each arm and task, or a single one."""
    tuning = loaded.experiment.tuning
    if tuning is None:
        raise ParibusError(f"{loaded.file} has no `tuning`; `paribus explain tuning` says what it can hold")
    samplers.quiet()
    kept = opened(storage)
    chosen = [arm for arm in loaded.arms if arm.name in arms]
    if tuning.scope == "experiment":
        chosen = list(loaded.arms[:1])
    found = []
    for arm in chosen:
        for task in arm.setting.tasks:
            own = dimensions(tuning, arm)
            name = _name(loaded, tuning, arm, task, own)
            goals = objectives(loaded, tuning, task)
            found.append(Search(name, arm, task, tuning, own, goals, kept, evaluations(arm.setting.training)))
    return found


def _name(loaded: Loaded, tuning: Tuning, arm: Arm, task: str, own: Sequence[Dimension]) -> str:
    """What a study is called: readable, and another one once anything changes that its trials rest on."""
    facts = {key: value for key, value in tuning.model_dump().items() if key not in OUTSIDE}
    if tuning.order == "free":
        facts.pop("batch")
    space = {found.key: found.range.model_dump() for found in own}
    goals = [goal.name for goal in objectives(loaded, tuning, task)]
    mark = hashed({"run": run_id(arm, task, FIRST_SEED), "tuning": facts, "space": space, "objectives": goals})
    return "/".join([loaded.name, arm.name, *([task] if task else []), mark[:8]])


def objectives(loaded: Loaded, tuning: Tuning, task: str) -> list[MetricInfo]:
    """What trials are judged on, the metric first."""
    _, spec = tasks_of(loaded.experiment)[task]
    main = loaded.experiment.analysis.metric_of(task, spec.metrics[0])
    names = [main if name == MAIN else name for name in tuning.objectives or [MAIN]]
    return [MetricInfo(name, name, "min", "", None) if name in COSTS else metric_info(name) for name in names]


def evaluations(training: Training) -> int | None:
    """How often a run looks at validation; None where only training can tell."""
    every = training.evaluate.every
    if isinstance(every, float):
        return max(1, round(1 / every))
    return None if training.steps is None else ceil(training.steps / every)


def tune(
    loaded: Loaded,
    fixed: Plan,
    store: Store,
    engine: Engine,
    watcher: Watcher,
    *,
    workers: int,
    storage: str | None = None,
    arms: Sequence[str] = (),
    trials: str | None = None,
    enqueue: Sequence[Mapping[str, Any]] = (),
) -> Tuned:
    """Search until every arm has its trials; `fixed` is the plan of the same file without any tuning."""
    assert loaded.experiment.tuning is not None
    store.take_in()
    url = storage or storage_of(store)
    everything = searches(loaded, url, [row.name for row in fixed.arms])
    found = [search for search in everything if not arms or search.arm.name in arms]
    for search in found:
        _extend(search, trials)
        for settings in enqueue:
            search.enqueue(_known(search, settings))
    driver = Driver(found, store, engine, watcher, workers=workers, machine=fixed.machine, experiment=fixed.folder)
    summary = driver.run()
    told = lessons.taught(loaded.experiment.tuning, everything)
    ready = not summary.interrupted and all(search.proposed and not search.running for search in everything)
    return Tuned(tuned_plan(loaded, fixed, everything, told, store) if ready else None, summary, told)


def _extend(search: Search, trials: str | None) -> None:
    """`+10` means ten more than there are, `30` thirty in all."""
    if trials is None:
        return
    number = trials.removeprefix("+")
    if not number.isdigit() or int(number) < 1:
        raise ParibusError(f"--trials: got {trials!r}, needs a number of trials, or +10 for ten more")
    search.extend(int(number) + (len(search.proposed) if trials.startswith("+") else 0))


def _known(search: Search, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Enqueued settings by what Optuna calls them."""
    ranges = {found.key: found.range for found in search.dimensions}
    names = {}
    for key, value in settings.items():
        if key not in ranges:
            raise ParibusError(f"--enqueue: `{key}` is no key of the space{suggestion(key, ranges)}")
        name = samplers.label(ranges[key], value)
        kind = samplers.distribution(ranges[key])
        try:
            inside = kind._contains(kind.to_internal_repr(name))
        except ValueError:
            inside = False
        if not inside:
            raise ParibusError(f"--enqueue: got {value!r} for `{key}`, which is not in its range")
        names[key] = name
    return names


def tuned_plan(loaded: Loaded, fixed: Plan, found: Sequence[Search], told: dict[str, Any], store: Store) -> Plan:
    """The plan of the comparison: every arm with the settings that won its search, or the best of one search."""
    if loaded.experiment.tuning is not None and loaded.experiment.tuning.scope == "experiment":
        return _confirmation(loaded, fixed, found[0], told, store)
    variants = {}
    for search in found:
        winner = next(iter(search.good()), None)
        setting = variant(search.arm, search.chosen(winner))[0] if winner else None
        if setting is not None:
            variants[search.arm.name, search.task] = replace(search.arm, setting=setting)
    told = {**told, "fixed": [vars(run) for run in fixed.runs], "confirm": None}
    return plan(loaded, arms=fixed.only, seeds=fixed.seeds, label=fixed.label, variants=variants, tuning=told)


def _confirmation(loaded: Loaded, fixed: Plan, search: Search, told: dict[str, Any], store: Store) -> Plan:
    """The best of a search and the baseline, on seeds that nothing was chosen by."""
    assert loaded.experiment.tuning is not None
    wanted = search.front() if len(search.objectives) > 1 else search.good()
    best: dict[str, Arm] = {}
    seen: set[str] = {run_id(loaded.arms[0], search.task, FIRST_SEED)}
    for trial in wanted:
        settings = search.chosen(trial)
        setting, _ = variant(search.arm, settings)
        if setting is None or len(best) == loaded.experiment.tuning.confirm:
            continue
        name = f"trial-{trial.number}"
        arm = Arm(name, settings, "baseline", setting, written=False)
        if (mark := run_id(arm, search.task, FIRST_SEED)) not in seen:
            seen.add(mark)
            best[name] = arm
    count = len(fixed.seeds)
    first = _fresh(store.database.plan(fixed.folder), list(best), search.name)
    confirm = {"first": first, "count": count, "arms": list(best), "search": search.name}
    told = {**told, "fixed": [], "confirm": confirm}
    seeds = list(range(first, first + count))
    return plan(loaded, arms=fixed.only, seeds=seeds, label=fixed.label, more=list(best.values()), tuning=told)


def _fresh(earlier: Plan | None, arms: list[str], search: str) -> int:
    """The first seed of a block that no other choice was confirmed on."""
    before = earlier.tuning.get("confirm") if earlier is not None and earlier.tuning else None
    if not before:
        return FIRST_FRESH_SEED
    if (before["arms"], before["search"]) == (arms, search):
        return int(before["first"])
    return int(before["first"]) + int(before["count"])
