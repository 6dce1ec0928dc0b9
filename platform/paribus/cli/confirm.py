"""`paribus confirm`: an arm and the baseline again, on seeds by which nothing was chosen."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli import options
from paribus.cli.output import note, plain
from paribus.cli.report import CONFIRMATION
from paribus.errors import ParibusError, StoreError, suggestion

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.spec.load import Loaded
    from paribus.store.folder import Store


def confirm(
    file: Path,
    arm: str,
    /,
    *,
    seeds: int | None = None,
    workers: options.Workers = None,
    on: options.On = "local",
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    quiet: options.Quiet = False,
) -> int:
    """Train an arm and the baseline again on fresh seeds, and show how much of the difference is left.

    Parameters
    ----------
    file
        The experiment.
    arm
        The arm to confirm.
    seeds
        How many fresh seeds; as many as the file has if left out.
    """
    from paribus import api
    from paribus.cli.live import listener
    from paribus.cli.report import shrunk, stored, written
    from paribus.running import execute
    from paribus.store.folder import open_store
    from paribus.store.fresh import one_at_a_time

    if seeds is not None and not 1 <= seeds <= 100_000:
        raise ParibusError(f"--seeds: got {seeds}, needs a whole number from 1 to 100000")
    loaded, whole = api.prepared(file)
    known = [row.name for row in whole.arms[1:]]
    if arm not in known:
        raise ParibusError(f"no arm is called '{arm}'{suggestion(arm, known)}")
    opened = open_store(store, artifacts=artifacts)
    first = opened.database.plan(loaded.name)
    if first is None or arm not in [row.name for row in first.arms]:
        raise StoreError(f"there is nothing to confirm yet; `paribus run {file}` comes first")
    with one_at_a_time(opened.database, loaded.name):
        plan = _fresh(loaded, arm, seeds or len(whole.seeds), opened)
        opened.database.save_plan(plan)
    api.vet(loaded, plan, opened, note)
    if loaded.experiment.tuning is not None:
        plan = _tuned(loaded, plan, opened, workers, quiet, on)
    engine, count = api.engine(plan, opened, workers, on=on, say=note)
    summary = execute(plan, opened, engine, listener(quiet), workers=count)
    if summary.interrupted:
        note("interrupted; the same command goes on with what is missing")
        return 130
    findings, page = written(plan, opened)
    plain(findings.table_text)
    for found in shrunk(plan, opened):
        plain(found.sentence)
    before, out_of_date = stored(file, opened)
    _, whole_page = written(before, opened, out_of_date=out_of_date)
    plain(f"\nReport: {page}\nBeside the first results: {whole_page}")
    return 1 if summary.broken else 0


def _fresh(loaded: "Loaded", arm: str, count: int, store: "Store") -> "Plan":
    """The plan on the next unused block of seeds, or on the one of a confirmation that was broken off."""
    from paribus.planning import plan
    from paribus.running import missing
    from paribus.store.fresh import next_block

    earlier = [old for old in store.database.plans() if old.name == loaded.name]
    head = f"{CONFIRMATION}{re.sub(r'[^A-Za-z0-9_=,.+-]+', '_', arm)[:60]}"

    def on(first: int) -> "Plan":
        seeds = list(range(first, first + count))
        made = plan(loaded, arms=[arm], seeds=seeds, label=f"{head}-{first}")
        return replace(made, claims=[claim for claim in made.claims if claim["arm"] == arm], designs=[])

    for old in earlier:
        if old.label.startswith(f"{head}-") and [row.name for row in old.arms[1:]] == [arm] and missing(old, store):
            again = on(old.seeds[0])
            untuned = [run["id"] for run in old.tuning["fixed"]] if old.tuning else [run.id for run in old.runs]
            if {run.id for run in again.runs} == set(untuned):
                return again
    return on(next_block(store.database, loaded.name))


def _tuned(loaded: "Loaded", plan: "Plan", store: "Store", workers: int | None, quiet: bool, on: str) -> "Plan":
    """The plan with the settings that tuning found."""
    from paribus.cli.tune import search

    assert loaded.experiment.tuning is not None
    if loaded.experiment.tuning.scope == "experiment":
        raise ParibusError("a search over the experiment confirms its best by itself: raise `tuning.confirm`")
    tuned = search(loaded, plan, store, workers, quiet=quiet, on=on)
    if tuned.plan is None:
        raise ParibusError(f"the tuning is not over yet; `paribus run {loaded.file}` goes on with it")
    return replace(tuned.plan, claims=plan.claims, designs=[])
