"""The Python side of the commands: run an experiment, read its results, load a trained model."""

import os
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import MachineError, ParibusError, StoreError, suggestion
from paribus.planning import Plan, outside_parts, plan, source_of
from paribus.processes import load_ahead
from paribus.running import Engine, Listener, Summary, cores, execute
from paribus.spec.load import Loaded, load
from paribus.store.folder import Store, open_store

if TYPE_CHECKING:
    import pandas as pd

    from paribus.network import Network
    from paribus.running.tracking import Uploads
    from paribus.store.database import Member
    from paribus.training.data import Dataset


class Silent:
    """A listener that shows nothing."""

    def begin(self, plan: Plan, waiting: Any, workers: int) -> None:
        pass

    def hear(self, event: Any) -> None:
        pass

    def end(self) -> None:
        pass


def prepared(
    file: str | Path, *, sets: Sequence[str] = (), arms: Sequence[str] = (), seeds: Sequence[int] = ()
) -> tuple[Loaded, Plan]:
    """The experiment of a file and its plan; changes of the command line give the report a folder of its own."""
    loaded = _matched(load(file, sets))
    _find_room(loaded)
    known = [arm.name for arm in loaded.arms]
    for name in arms:
        if name not in known:
            raise ParibusError(f"--arms: no arm is called '{name}'{suggestion(name, known)}")
    others = seeds if list(seeds) != loaded.experiment.seeds else ()
    return loaded, plan(loaded, arms=arms, seeds=seeds, label=label(sets, arms, others))


def _matched(loaded: Loaded) -> Loaded:
    """The experiment with the arms that `training.match` asks for, sized on the first task."""
    match = loaded.experiment.training.match
    if match is None:
        return loaded
    from dataclasses import replace

    from paribus.cost import matched
    from paribus.training.data import cost_of

    return replace(
        loaded,
        arms=tuple(
            matched(loaded.arms, match, lambda setting: cost_of(setting.network, next(iter(setting.tasks.values()))))
        ),
    )


def _find_room(loaded: Loaded) -> None:
    """Raise ParibusError where a part was given fewer places than the training sequences have tokens."""
    bound = [
        arm for arm in loaded.arms if any(getattr(part, "max_length", None) for _, part in arm.setting.network.parts())
    ]
    if not bound:
        return
    from paribus.training.data import short_of_room

    told = [f"{arm.name}: {lack}" for arm in bound for task in arm.setting.tasks.values()
            if (lack := short_of_room(arm.setting.network, task))]  # fmt: skip
    if told:
        raise ParibusError("\n".join([*told, "raise `max_length` of that part, or leave it away; nothing was run"]))


def vet(loaded: Loaded, planned: Plan, store: Store, tell: Callable[[str], None] = lambda _: None) -> None:
    """Ask the user's own parts of the planned arms for their promises; raises PartError before anything is trained."""
    arms = {row.name for row in planned.arms}
    parts = list(outside_parts(arm for arm in loaded.arms if arm.name in arms))
    if parts:
        from paribus import __version__
        from paribus.promises.outside import demand

        demand(parts, store.folder, source_of, __version__, tell)


def label(sets: Sequence[str], arms: Sequence[str], seeds: Sequence[int] = ()) -> str:
    """What tells the reports of a changed experiment from its own: safe in a file name, short, and never ambiguous."""
    import hashlib
    import re

    if not sets and not arms and not seeds:
        return ""
    keys = [text.split("=", 1)[0].strip() for text in sets]
    ends = [key.split(".")[-1] for key in keys]
    short = [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]
    words = [f"{name}={text.split('=', 1)[-1]}" for name, text in zip(short, sets, strict=True)]
    words += ["+".join(arms)] if arms else []
    words += [_seeds_told(seeds)] if seeds else []
    whole = ",".join(words)
    safe = re.sub(r"[^A-Za-z0-9_=,.+-]+", "_", whole)
    if len(safe) <= 60 and all(text.count("=") == 1 for text in sets):
        return safe
    told = (sets, arms, seeds) if seeds else (sets, arms)
    return f"{safe[:50]}-{hashlib.sha256(repr(told).encode()).hexdigest()[:8]}"


def _seeds_told(seeds: Sequence[int]) -> str:
    """`seeds=3` for 1 to 3, as `--set seeds=3` is told; `seeds=1+2+4`, and `seed=7` for that one alone."""
    count = len(seeds)
    if list(seeds) == list(range(1, count + 1)):
        return f"seeds={count}"
    return f"{'seed' if count == 1 else 'seeds'}={'+'.join(str(seed) for seed in seeds)}"


def engine(
    plan: Plan,
    store: Store,
    workers: int | None,
    uploads: "Uploads | None" = None,
    gpus_per_run: float | None = None,
    on: str = "local",
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Engine, int]:
    """The pool of this machine or of a cluster, and how many workers it has; with `uploads` a tracker gets results."""
    from paribus.running.local import Pool

    threads, of_a_run = int(plan.machine["threads"]), int(plan.machine["devices"])
    if gpus_per_run is not None and not 0 < gpus_per_run <= 1:
        raise ParibusError(f"--gpus-per-run: got {gpus_per_run:g}, needs a share above 0 and up to 1, such as 0.25")
    if gpus_per_run is not None and of_a_run > 1:
        raise ParibusError(f"--gpus-per-run: got {gpus_per_run:g}, but machine.devices gives a run {of_a_run} GPUs")
    if on != "local":
        cluster, count = _cluster(plan, store, workers, gpus_per_run, on, say)
        return tracked(cluster, uploads, plan, store), count
    shares = _shares(plan, gpus_per_run or 1.0)
    _demand_gpu(plan, bool(shares))
    if gpus_per_run is not None and not shares:
        raise MachineError("--gpus-per-run: no GPU was found here, or machine.accelerator asks for another device")
    count = workers if workers is not None else len(shares) or max(1, cores() // (threads * of_a_run))
    if count < 1:
        raise ParibusError(f"--workers: got {count}, needs a whole number above 0")
    devices = [shares[number % len(shares)] for number in range(count)] if shares else []
    retries = int(plan.machine["retries"])
    artifacts = store.artifacts.url if store.artifacts is not None else ""
    pool = Pool(store.runs, workers=count, threads=threads, retries=retries, devices=devices, artifacts=artifacts)
    return tracked(pool, uploads, plan, store), count


def _cluster(
    plan: Plan, store: Store, workers: int | None, gpus_per_run: float | None, on: str, say: Callable[[str], None]
) -> tuple[Engine, int]:
    """The pool over a Ray cluster, and how many workers it has; as many as there is room for unless that is given."""
    if on != "ray" and not on.startswith("ray://"):
        raise ParibusError(f"--on: got {on!r}, needs local, ray or ray://HOST:PORT")
    if workers is not None and workers < 1:
        raise ParibusError(f"--workers: got {workers}, needs a whole number above 0")
    if find_spec("ray") is None:
        raise MachineError(f'--on {on}: Ray is not installed; pip install "paribus[ray]"')
    from paribus.running import ray

    ray.join(on)
    accelerator, of_a_run = plan.machine["accelerator"], int(plan.machine["devices"])
    threads = int(plan.machine["threads"])
    gpus = (gpus_per_run or float(of_a_run)) if accelerator in ("auto", "cuda") and ray.has_gpus() else 0.0
    _demand_gpu(plan, bool(gpus))
    if gpus_per_run is not None and not gpus:
        raise MachineError("--gpus-per-run: the cluster has no GPU, or machine.accelerator asks for another device")
    count = workers or max(1, ray.places(threads * of_a_run, gpus))
    retries = int(plan.machine["retries"])
    artifacts = store.artifacts.url if store.artifacts is not None else ""
    cluster = ray.Cluster(
        store.runs,
        workers=count,
        threads=threads,
        cores=threads * of_a_run,
        retries=retries,
        gpus=gpus,
        artifacts=artifacts,
        say=say,
    )
    return cluster, count


def _demand_gpu(plan: Plan, gpus: bool) -> None:
    """Raise MachineError where runs would compute otherwise than their precision says."""
    lacking = short_of_gpu(plan)
    if lacking and not gpus:
        raise MachineError(lacking)


def short_of_gpu(plan: Plan) -> str:
    """Why a plan cannot be trained where there is no GPU; empty where it can."""
    arms = {run.arm for run in plan.trained if plan.settings[run.arm][run.task]["precision"] == 16}
    if not arms or plan.machine["accelerator"] == "mps":
        return ""
    named = ", ".join(row.name for row in plan.arms if row.name in arms)
    return f"machine.precision is 16 ({named}), but no GPU was found, and CPUs compute in 32 or bf16 only"


def has_gpu(plan: Plan) -> bool:
    """Whether runs would train on GPUs of this machine."""
    return bool(_shares(plan, 1.0))


def usual_workers(plan: Plan) -> int:
    """How many runs are trained at once where nobody says it: one for each GPU, or for the threads of each run."""
    return len(_shares(plan, 1.0)) or max(1, cores() // (int(plan.machine["threads"]) * int(plan.machine["devices"])))


def prober(plan: Plan, folder: Path) -> Engine:
    """One worker that times a few steps, and leaves nothing in a store."""
    from paribus.running.local import Pool

    threads = int(plan.machine["threads"])
    return Pool(folder, workers=1, threads=threads, retries=0, devices=_shares(plan, 1.0)[:1])


def uploads(loaded: Loaded, planned: Plan, store: Store, say: Callable[[str], None]) -> "Uploads | None":
    """What hands results to the tracker of a file, if it asks for one."""
    from paribus.parts.tracker import TrackerSpec
    from paribus.running.tracking import Uploads

    tracking = loaded.experiment.tracking
    if not isinstance(tracking, TrackerSpec) or tracking.off:
        return None
    return Uploads(tracking.model_dump(), store.folder, say, planned.folder)


def tracked(engine: Engine, uploads: "Uploads | None", planned: Plan, store: Store) -> Engine:
    """The engine with its results handed to a tracker as well."""
    from paribus.running.tracking import Tracked

    if uploads is None:
        return engine
    runs = {run.id: f"{run.arm}{f'/{run.task}' if run.task else ''}/s{run.seed}" for run in planned.runs}

    def name(run: str) -> tuple[str, str]:
        if run in runs:
            return runs[run], "train"
        trials = {
            found: f"{arm}{f'/{task}' if task else ''}/trial-{number}/s{seed}"
            for (arm, task, number, seed), found in store.database.trial_runs(planned.folder).items()
        }
        return trials.get(run, run), "tune"

    return Tracked(engine, uploads, name)


def _shares(plan: Plan, share: float) -> list[str]:
    """The GPUs of each worker, the first ones on different GPUs; none where runs train on the CPU."""
    if plan.machine["accelerator"] not in ("auto", "cuda"):
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    size = int(plan.machine["devices"])
    if size > len(names):
        raise MachineError(f"machine.devices is {size}, but {len(names)} GPUs are here")
    groups = [",".join(names[start : start + size]) for start in range(0, len(names) - size + 1, size)]
    return groups * int(1 / share + 1e-9)


def run(
    file: str | Path,
    *,
    sets: Sequence[str] = (),
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (),
    workers: int | None = None,
    store: str | None = None,
    artifacts: str | None = None,
    fresh: bool = False,
    listener: Listener | None = None,
    on: str = "local",
) -> Summary:
    """Tune and train what an experiment still lacks; `paribus run` does this and writes the report."""
    if on == "local":
        load_ahead()
    loaded, planned = prepared(file, sets=sets, arms=arms, seeds=seeds)
    opened = open_store(store, artifacts=artifacts)
    vet(loaded, planned, opened)
    copies = uploads(loaded, planned, opened, lambda text: warnings.warn(text, stacklevel=3))
    try:
        if loaded.experiment.tuning is not None:
            from paribus.tuning import Unwatched, tune

            pool, count = engine(planned, opened, workers, copies, on=on)
            tuned = tune(loaded, planned, opened, pool, Unwatched(), workers=count)
            if tuned.plan is None:
                return tuned.summary
            planned = tuned.plan
        pool, count = engine(planned, opened, workers, copies, on=on)
        return execute(planned, opened, pool, listener or Silent(), workers=count, fresh=fresh)
    finally:
        if copies is not None:
            copies.close()


def results(experiment: str, *, store: str | None = None) -> "pd.DataFrame":
    """One row for each score of each run of an experiment."""
    from paribus.store.frames import scores

    opened = open_store(store, create=False)
    found = opened.database.plan(experiment)
    if found is None:
        known = [plan.folder for plan in opened.database.plans()]
        raise StoreError(f"the store has no experiment called '{experiment}'{suggestion(experiment, known)}")
    return scores([(found, opened.database.outcomes(run.id for run in found.runs))])


def load_model(run: str, *, store: str | None = None, artifacts: str | None = None) -> "Network":
    """The trained network of a run, ready to be used; RUN is the start of an id or experiment/arm/seed."""
    return loaded_run(run, store=store, artifacts=artifacts)[0]


def loaded_run(run: str, *, store: str | None = None, artifacts: str | None = None) -> "tuple[Network, Dataset]":
    """The trained network of a run, and the data as it reads them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from paribus.network import assemble
    from paribus.store.record import WEIGHTS
    from paribus.training.settings import Settings

    opened = open_store(store, create=False, artifacts=artifacts)
    member = opened.find(run)
    file = opened.fetched(member.run) / WEIGHTS
    if not file.is_file():
        raise StoreError(f"the run {member.run} has no weights here: {_why_weightless(opened, member)}")
    found = opened.database.plan(member.experiment)
    assert found is not None
    job = next(found.job(other) for other in found.runs if other.id == member.run)
    settings = Settings.of(job)
    network = assemble(settings.network, settings.data.sizes())
    try:
        network.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError, OSError) as error:
        mend = f"`paribus gc --run {member.run} --delete` removes the run, and the next `paribus run` trains it again"
        raise StoreError(f"the weights {file} are damaged ({type(error).__name__}); {mend}") from None
    return network.eval(), settings.data


def _why_weightless(store: Store, member: "Member") -> str:
    from paribus.store.record import RESULTS

    if member.status not in RESULTS:
        return f"its status is {member.status}"
    place = store.whereabouts(member.run)
    return f"{place} holds none; its status is {member.status}" if place else store.absence()
