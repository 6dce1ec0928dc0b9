"""What the runs of a plan will likely need: by what like runs took, or by a few steps of each that differs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from paribus.planning import Plan, Run, hashed
from paribus.running import Engine, Finished
from paribus.store.folder import Store
from paribus.store.record import Record

LIKE = 5  # stored runs that are looked at for each arm
PROBED = 10.0  # seconds of work after which no further arm is probed
BESIDE = 25_000  # bytes of a run folder besides its weights and what is kept of single examples
EXAMPLE = 20  # bytes that are kept of each that is tested on
AROUND = 1.0  # seconds of a run before its first step and after its test
COPIES = 8  # of the parameters in the two checkpoints of a run: values, the best ones, two moments of Adam each

Place = tuple[str, str]  # arm, task


@dataclass(frozen=True)
class Likely:
    """What a run will need, and how that is known: stored, probed, or scaled by the FLOPs of a token."""

    seconds: float
    memory: int | None
    disk: int
    known: str


@dataclass(frozen=True)
class Need:
    """What all runs that are missing will need together."""

    seconds: float  # one after the other
    disk: int  # that their results take
    meanwhile: int  # bytes of checkpoints besides, while they run
    memory: int | None  # of those that run at once
    known: tuple[str, ...]


def places(plan: Plan, runs: Iterable[Run]) -> list[Place]:
    """The arms and tasks of runs that are trained."""
    trained = {(run.arm, run.task) for run in plan.trained}
    return [place for place in dict.fromkeys((run.arm, run.task) for run in runs) if place in trained]


def stored(plan: Plan, store: Store, statuses: Mapping[str, str]) -> dict[Place, Likely]:
    """By runs of the same settings that ended well."""
    like: dict[Place, list[str]] = {}
    for run in plan.trained:
        chosen = like.setdefault((run.arm, run.task), [])
        if statuses.get(run.id) == "ok" and len(chosen) < LIKE:
            chosen.append(run.id)
    outcomes = store.database.outcomes(run for runs in like.values() for run in runs)
    found = {}
    for place, runs in like.items():
        records = [record for run in runs if (record := outcomes[run].record) is not None]
        if records:
            memory = [record.peak_memory for record in records if record.peak_memory is not None]
            disk = median(_size(store, record) for record in records)
            whole = median(map(_whole, records))
            found[place] = Likely(whole, int(median(memory)) if memory else None, int(disk), "stored")
    return found


def _whole(record: Record) -> float:
    """Seconds from the beginning of a run to its end, its test included."""
    try:
        span = datetime.fromisoformat(record.finished_at) - datetime.fromisoformat(record.started_at)
    except ValueError:
        return record.seconds
    return max(record.seconds, span.total_seconds())


def _size(store: Store, record: Record) -> int:
    folder = store.run_folder(record.run)
    if folder.is_dir():
        return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return int(record.cost.get("parameters", 0)) * 4 + 2 * BESIDE


def probed(
    plan: Plan,
    wanted: Sequence[Place],
    engine: Engine,
    costs: Mapping[Place, Mapping[str, float]],
    tell: Callable[[str], None],
) -> Iterator[tuple[Place, Likely]]:
    """By a few steps of each arm that costs otherwise than those before it, until that has taken long enough."""
    first = {(run.arm, run.task): run for run in reversed(plan.trained)}
    alike: dict[str, list[Place]] = {}
    for place in wanted:
        alike.setdefault(_class(plan.settings[place[0]][place[1]]), []).append(place)
    jobs = {key: plan.job(first[same[0]]) for key, same in alike.items()}
    keys = {job.id: key for key, job in jobs.items()}
    began: float | None = None
    for event in engine.run(list(jobs.values()), "probe"):
        if not isinstance(event, Finished) or event.status == "pruned":
            continue
        same = alike[keys[event.job.id]]
        if event.answer is None:
            reason = event.reason.splitlines()[-1] if event.reason else "no reason"
            tell(f"  {_name(same[0])} could not be timed: {event.status}: {reason}")
            continue
        for arm, task in same:
            tokens = costs[arm, task]["flops_per_token"]
            yield (arm, task), _of(plan.settings[arm][task]["training"], event.answer, tokens)
        began = began or time.monotonic()
        if time.monotonic() - began > PROBED:
            for job in jobs.values():
                engine.give_up(job.id)


def _name(place: Place) -> str:
    return " ".join(filter(None, place))


def _class(settings: Mapping[str, Any]) -> str:
    """A mark of all that the time of a step depends on."""
    training = settings["training"]
    asked = {name: training[name] for name in ("batch", "accumulate", "evaluate")}
    rest = {name: settings[name] for name in ("network", "task", "decoding", "precision")}
    return hashed({**rest, **asked, "optimizer": training["optimizer"]["kind"]})


def _of(training: Mapping[str, Any], seen: Mapping[str, Any], flops_per_token: float) -> Likely:
    """What a run needs whose pieces were timed."""
    if training["steps"] is not None:
        steps = float(training["steps"])
    elif training["tokens"] is not None:
        steps = training["tokens"] / seen["tokens"]
    else:
        steps = training["flops"] / (seen["tokens"] * flops_per_token)
    every = training["evaluate"]["every"]
    looks = steps / every if isinstance(every, int) else 1 / every
    whole = steps * seen["step"] + looks * seen["look"] + seen["test"] + AROUND
    disk = seen["parameters"] * 4 + BESIDE + seen["scored"] * EXAMPLE
    return Likely(whole, seen["memory"], disk, "probed")


def scaled(
    known: Mapping[Place, Likely], wanted: Iterable[Place], costs: Mapping[Place, Mapping[str, float]]
) -> dict[Place, Likely]:
    """Those that nothing is known of, by the FLOPs of a token beside the known ones."""
    if not known:
        return {}
    rate = median(likely.seconds / costs[place]["flops_per_token"] for place, likely in known.items())
    memory = [likely.memory for likely in known.values() if likely.memory is not None]
    usual = int(median(memory)) if memory else None
    beside = int(median(likely.disk - int(costs[place]["parameters"]) * 4 for place, likely in known.items()))

    def like(cost: Mapping[str, float]) -> Likely:
        return Likely(rate * cost["flops_per_token"], usual, int(cost["parameters"]) * 4 + beside, "scaled")

    return {place: like(costs[place]) for place in wanted if place not in known}


def need(
    waiting: Sequence[Run], likely: Mapping[Place, Likely], costs: Mapping[Place, Mapping[str, float]], at_once: int
) -> Need | None:
    """What runs need together; None where nothing is known of them."""
    runs = [likely[run.arm, run.task] for run in waiting if (run.arm, run.task) in likely]
    if not runs:
        return None
    largest = max(costs[run.arm, run.task]["parameters"] for run in waiting if (run.arm, run.task) in likely)
    memory = sorted((one.memory for one in runs if one.memory is not None), reverse=True)[:at_once]
    return Need(
        seconds=sum(one.seconds for one in runs),
        disk=sum(one.disk for one in runs),
        meanwhile=int(largest * 4 * COPIES * min(at_once, len(runs))),
        memory=sum(memory) if memory else None,
        known=tuple(dict.fromkeys(one.known for one in runs)),
    )


def forecast(
    plan: Plan,
    waiting: Sequence[Run],
    known: Mapping[Place, Likely],
    costs: Mapping[Place, Mapping[str, float]],
    engine: Engine | None,
    tell: Callable[[str], None],
) -> dict[Place, Likely]:
    """Of every arm and task: stored where it is, else probed if there is an engine, else scaled."""
    wanted = places(plan, plan.runs)
    found = dict(known)
    lacking = [place for place in places(plan, waiting) if place not in found]
    if engine is not None and lacking:
        tell("timing a few steps; --no-probe leaves that out")
        for place, likely in probed(plan, lacking, engine, costs, tell):
            found[place] = likely
            tell(f"  {_name(place)}: about {likely.seconds:.0f} s a run")
    return {**found, **scaled(found, wanted, costs)}
