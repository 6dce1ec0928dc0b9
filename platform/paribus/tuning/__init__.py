"""Optuna around running: ask, override, run, tell; then the plan of the comparison, with the settings that won."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from optuna.storages import RDBStorage

from paribus.errors import ParibusError, suggestion
from paribus.planning import MetricInfo, Plan, hashed, metric_info, plan, run_id
from paribus.running import POLL, Engine, Limits, Summary
from paribus.spec.arms import Arm, variant
from paribus.spec.load import Loaded
from paribus.spec.rules import tasks_of
from paribus.spec.space import Dimension, dimensions
from paribus.spec.training import Training
from paribus.spec.tuning import COSTS, FIRST_SEED, MAIN, Tuning
from paribus.store.claims import Claims
from paribus.store.folder import Store
from paribus.store.fresh import next_block, one_at_a_time
from paribus.tuning import lessons, samplers
from paribus.tuning.driver import Driver, Watcher
from paribus.tuning.storage import open_storage, telling
from paribus.tuning.study import Outcome, Search

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

    def waits(self, name: str) -> None:
        pass

    def moved(self, search: Search, number: int, news: dict[str, Any]) -> None:
        pass

    def told(self, search: Search, number: int, outcome: Outcome) -> None:
        pass

    def end(self) -> None:
        pass


def searches(loaded: Loaded, arms: Sequence[str], storage: RDBStorage) -> list[Search]:
    """The searches of an experiment, opened: one for each arm and task, or a single one."""
    samplers.quiet()
    found = []
    for place in places(loaded, arms):
        tuning, goals = place.tuning, objectives(loaded, place.tuning, place.task)
        looks = evaluations(place.arm.setting.training)
        found.append(Search(place.name, place.arm, place.task, tuning, place.dimensions, goals, storage, looks))
    return found


@dataclass(frozen=True)
class Place:
    """What one search is about."""

    name: str
    arm: Arm
    task: str
    tuning: Tuning
    dimensions: list[Dimension]


def places(loaded: Loaded, arms: Sequence[str]) -> list[Place]:
    """What is searched in an experiment."""
    tuning = loaded.experiment.tuning
    if tuning is None:
        raise ParibusError(f"{loaded.file} has no `tuning`; `paribus explain tuning` says what it can hold")
    chosen = [arm for arm in loaded.arms if arm.name in arms]
    if tuning.scope == "experiment":
        chosen = list(loaded.arms[:1])
    found = []
    for arm in chosen:
        own = dimensions(tuning, arm)
        found += [Place(_name(loaded, tuning, arm, task, own), arm, task, tuning, own) for task in arm.setting.tasks]
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
    return [MetricInfo(name, COSTS[name], "min", "", None) if name in COSTS else metric_info(name) for name in names]


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
    arms: Sequence[str] = (),
    trials: str | None = None,
    enqueue: Sequence[Mapping[str, Any]] = (),
    limits: Limits | None = None,
) -> Tuned:
    """Search until every arm has its trials; `fixed` is the plan of the same file without any tuning.

    Meanwhile other drivers that want one of the same searches wait, then go on with what this one left.
    """
    assert loaded.experiment.tuning is not None
    limits = limits or Limits()
    store.take_in()
    with telling(store), Claims(store.database) as claims:
        storage = open_storage(store)
        known = [row.name for row in fixed.arms]
        wanted = [place.name for place in places(loaded, known) if not arms or place.arm.name in arms]
        try:
            stopped = held(claims, wanted, watcher, limits)
            everything = searches(loaded, known, storage)
            found = [search for search in everything if search.name in wanted]
            if stopped:
                summary = Summary(interrupted=True, stopped=stopped)
            else:
                for search in found:
                    _extend(search, trials)
                    for settings in enqueue:
                        search.enqueue(_known(search, settings))
                driver = Driver(found, store, engine, watcher, workers, fixed.machine, fixed.folder, limits)
                summary = driver.run()
            told = lessons.taught(loaded.experiment.tuning, everything)
            ready = not summary.interrupted and all(search.proposed and not search.running for search in everything)
            if not ready:
                return Tuned(None, summary, told)
            with one_at_a_time(store.database, fixed.name):
                chosen = tuned_plan(loaded, fixed, everything, told, store)
                if chosen.tuning and chosen.tuning["confirm"]:
                    store.database.save_plan(chosen)
            return Tuned(chosen, summary, told)
        finally:
            storage.engine.dispose()


def held(claims: Claims, names: Sequence[str], watcher: Watcher, limits: Limits) -> str:
    """Wait until all searches are this driver's; what limit ended the waiting, if one did.

    They are taken all at once or not at all: two drivers that hold one each would wait for each other.
    """
    keys = {claim_of(name): name for name in names}
    told: set[str] = set()
    while "theirs" in (states := claims.take(list(keys))).values():
        for key, state in states.items():
            if state == "mine":
                claims.release(key)
        others = {keys[key] for key, state in states.items() if state == "theirs"}
        for name in sorted(others - told):
            watcher.waits(name)
        told |= others
        if why := limits.reached(Summary()):
            return why
        time.sleep(POLL)
    return ""


def claim_of(search: str) -> str:
    """Under what a search is claimed, among the runs that are."""
    return hashed({"search": search})


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
    first = _fresh(store, fixed, list(best), search.name)
    confirm = {"first": first, "count": count, "arms": list(best), "search": search.name}
    told = {**told, "fixed": [], "confirm": confirm}
    seeds = list(range(first, first + count))
    return plan(loaded, arms=fixed.only, seeds=seeds, label=fixed.label, more=list(best.values()), tuning=told)


def _fresh(store: Store, fixed: Plan, arms: list[str], search: str) -> int:
    """The first seed of the block that this choice was confirmed on, or of a new one."""
    earlier = store.database.plan(fixed.folder)
    before = earlier.tuning.get("confirm") if earlier is not None and earlier.tuning else None
    if before and (before["arms"], before["search"]) == (arms, search):
        return int(before["first"])
    return next_block(store.database, fixed.name)
