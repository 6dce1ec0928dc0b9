"""`paribus run`: train what is missing, then write the report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from paribus.cli.output import note, plain

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.running.tracking import Uploads
    from paribus.spec.load import Loaded
    from paribus.store.folder import Store


def run(
    file: Path,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    arms: Annotated[list[str] | None, Parameter(negative="")] = None,
    seeds: Annotated[list[int] | None, Parameter(negative="")] = None,
    workers: int | None = None,
    store: str | None = None,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    smoke: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train what is missing, then write the report.

    Parameters
    ----------
    file
        The experiment.
    set_
        Change the baseline, such as --set training.steps=200; may be given several times.
    arms
        Only this arm and the baseline; may be given several times.
    seeds
        These seeds instead of the file's; may be given several times, and one number n means 1 to n.
    workers
        How many runs at once; one per core or GPU if left out.
    store
        The folder of the store.
    fresh
        Train again what has a result; the old attempts are kept.
    smoke
        Two steps of every arm, and whether each can learn one batch by heart.
    quiet
        Show only what goes wrong.
    """
    from paribus import api
    from paribus.store.folder import open_store

    if smoke:
        from paribus.cli.smoke import smoke as try_out

        return try_out(file, set_ or [], arms or [], workers, store, quiet)
    chosen = list(range(1, seeds[0] + 1)) if seeds and len(seeds) == 1 else seeds or []
    loaded, plan = api.prepared(file, sets=set_ or [], arms=arms or [], seeds=chosen)
    opened = open_store(store)
    api.vet(loaded, plan, opened, note)
    copies = api.uploads(loaded, plan, opened, note)
    try:
        return _run(loaded, plan, opened, copies, workers, fresh=fresh, quiet=quiet)
    finally:
        if copies is not None:
            copies.close()


def _run(
    loaded: "Loaded",
    plan: "Plan",
    opened: "Store",
    copies: "Uploads | None",
    workers: int | None,
    *,
    fresh: bool,
    quiet: bool,
) -> int:
    """Tune where the file asks for it, train, report."""
    from paribus import api
    from paribus.cli.live import listener
    from paribus.running import execute

    if loaded.experiment.tuning is not None:
        from paribus.cli.tune import search

        tuned = search(loaded, plan, opened, workers, quiet=quiet, copies=copies)
        if tuned.plan is None:
            note("the tuning is not over yet; the same command goes on with what is missing")
            return 130
        plan = tuned.plan
    engine, count = api.engine(plan, opened, workers, copies)
    summary = execute(plan, opened, engine, listener(quiet), workers=count, fresh=fresh)
    note(_told(summary.trained, summary.reused))
    if summary.interrupted:
        note("interrupted; the same command goes on with what is missing")
        return 130
    from paribus.cli.report import written

    findings, page = written(plan, opened)
    plain(findings.table_text)
    plain(findings.answer)
    if findings.effects:
        plain(findings.effects_text)
    if findings.claims:
        plain(findings.claims_text)
    plain(f"\nReport: {page}")
    if copies is not None:
        copies.report(findings.tables.contrasts, page)
    for run_id in summary.diverged:
        note(f"diverged: {opened.find(run_id).name}; it counts as a failure of its arm")
    for run_id, reason in summary.broken.items():
        note(f"failed: {opened.find(run_id).name}: {reason}; `paribus show {run_id}` says more")
    return 1 if summary.broken else 0


def _told(trained: int, reused: int) -> str:
    kept = f", {reused} taken from the store" if reused else ""
    return f"{trained} runs trained{kept}"
