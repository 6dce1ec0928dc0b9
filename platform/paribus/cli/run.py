"""`paribus run`: train what is missing, then write the report."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from paribus.cli.output import note, plain


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
    from paribus.cli.live import listener
    from paribus.running import execute
    from paribus.store.folder import open_store

    if smoke:
        from paribus.cli.smoke import smoke as try_out

        return try_out(file, set_ or [], arms or [], workers, store, quiet)
    chosen = list(range(1, seeds[0] + 1)) if seeds and len(seeds) == 1 else seeds or []
    loaded, plan = api.prepared(file, sets=set_ or [], arms=arms or [], seeds=chosen)
    opened = open_store(store)
    api.vet(loaded, plan, opened, note)
    if loaded.experiment.tuning is not None:
        from paribus.cli.tune import search

        tuned = search(loaded, plan, opened, workers, quiet=quiet)
        if tuned.plan is None:
            note("the tuning is not over yet; the same command goes on with what is missing")
            return 130
        plan = tuned.plan
    engine, count = api.engine(plan, opened, workers)
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
    for run_id in summary.diverged:
        note(f"diverged: {opened.find(run_id).name}; it counts as a failure of its arm")
    for run_id, reason in summary.broken.items():
        note(f"failed: {opened.find(run_id).name}: {reason}; `paribus show {run_id}` says more")
    return 1 if summary.broken else 0


def _told(trained: int, reused: int) -> str:
    kept = f", {reused} taken from the store" if reused else ""
    return f"{trained} runs trained{kept}"
