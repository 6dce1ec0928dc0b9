"""`paribus run`: train what is missing, then write the report."""

from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli import options
from paribus.cli.output import note, plain
from paribus.errors import plural

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.report import Findings
    from paribus.running import Limits, Listener
    from paribus.running.tracking import Uploads
    from paribus.spec.load import Loaded
    from paribus.store.folder import Store


def run(
    file: Path,
    /,
    *,
    set_: options.Sets = None,
    arms: options.Arms = None,
    seeds: options.Seeds = None,
    workers: options.Workers = None,
    on: options.On = "local",
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    fresh: options.Flag = False,
    complete: options.Flag = False,
    smoke: options.Flag = False,
    gpus_per_run: options.GpusPerRun = None,
    max_hours: options.MaxHours = None,
    max_failures: options.MaxFailures = None,
    quiet: options.Quiet = False,
    json_lines: options.Flag = False,
) -> int:
    """Train what is missing, then write the report.

    Parameters
    ----------
    file
        The experiment.
    fresh
        Train again what has a result; the old attempts are kept.
    complete
        Train nothing: score finished runs by metrics that came later, from their stored weights, then report.
    smoke
        Two steps of every arm, and whether each can learn one batch by heart.
    json_lines
        Print progress and results as one JSON object a line, for other programs.
    """
    from paribus.processes import load_ahead

    if on == "local":
        load_ahead()
    from paribus import api
    from paribus.cli.live import listener
    from paribus.running import Limits
    from paribus.store.folder import open_store

    if smoke:
        from paribus.cli.smoke import smoke as try_out

        return try_out(file, set_ or [], arms or [], workers, store, quiet, on)
    chosen = list(range(1, seeds[0] + 1)) if seeds and len(seeds) == 1 else seeds or []
    loaded, plan = api.prepared(file, sets=set_ or [], arms=arms or [], seeds=chosen)
    opened = open_store(store, artifacts=artifacts)
    api.vet(loaded, plan, opened, note)
    if complete:
        return _complete(plan, opened, workers, gpus_per_run, listener(quiet, json_lines), on)
    limits = Limits(max_failures, max_hours)
    copies = api.uploads(loaded, plan, opened, note)
    try:
        shown = listener(quiet, json_lines)
        return _run(
            loaded,
            plan,
            opened,
            copies,
            workers,
            gpus_per_run,
            limits,
            shown,
            on,
            fresh=fresh,
            quiet=quiet or json_lines,
        )
    finally:
        if copies is not None:
            copies.close()


def _run(
    loaded: "Loaded",
    plan: "Plan",
    opened: "Store",
    copies: "Uploads | None",
    workers: int | None,
    gpus_per_run: float | None,
    limits: "Limits",
    shown: "Listener",
    on: str,
    *,
    fresh: bool,
    quiet: bool,
) -> int:
    """Tune where the file asks for it, train, report."""
    from paribus import api
    from paribus.cli.live import JsonLines, line
    from paribus.running import execute

    json_lines = isinstance(shown, JsonLines)
    if loaded.experiment.tuning is not None:
        from paribus.cli.tune import search

        tuned = search(
            loaded, plan, opened, workers, quiet=quiet, copies=copies, gpus=gpus_per_run, limits=limits, on=on
        )
        if tuned.plan is None:
            reason = f"{tuned.summary.stopped}; " if tuned.summary.stopped else ""
            note(f"{reason}the tuning is not over yet; the same command goes on with what is missing")
            return 130
        limits.failed = len(tuned.summary.broken)
        plan = tuned.plan
    engine, count = api.engine(plan, opened, workers, copies, gpus_per_run, on, note)
    summary = execute(plan, opened, engine, shown, workers=count, fresh=fresh, limits=limits)
    note(_told(summary.trained, summary.reused))
    if summary.interrupted:
        note(f"{summary.stopped or 'interrupted'}; the same command goes on with what is missing")
    if json_lines:
        ended = {"failed": summary.broken, "diverged": summary.diverged, "interrupted": summary.interrupted}
        line({"event": "end", "trained": summary.trained, "reused": summary.reused, **ended})
    if summary.interrupted:
        return 130
    from paribus.cli.report import written

    findings, page = written(plan, opened)
    if json_lines:
        line({"event": "report", "answer": findings.answer, "page": str(page)})
    else:
        _print(findings, page)
    if copies is not None:
        copies.report(findings.tables.contrasts, page)
    for run_id in summary.diverged:
        note(f"diverged: {opened.find(run_id).name}; it counts as a failure of its arm")
    for run_id, reason in summary.broken.items():
        note(f"failed: {opened.find(run_id).name}: {reason}; `paribus show {run_id}` says more")
    return 1 if summary.broken else 0


def _complete(
    plan: "Plan", opened: "Store", workers: int | None, gpus: float | None, shown: "Listener", on: str
) -> int:
    """Score finished runs by what their records lack, and report."""
    from dataclasses import replace

    from paribus import api
    from paribus.cli.live import JsonLines, line
    from paribus.cli.report import written
    from paribus.running import complete

    stored = opened.database.plan(plan.folder)
    if stored is not None and stored.tuning is not None:  # its arms have what the tuning found
        plan = replace(stored, tasks=plan.tasks)
    engine, count = api.engine(plan, opened, workers, None, gpus, on, note)
    summary = complete(plan, opened, engine, shown, workers=count)
    note(f"{plural(summary.completed, 'run')} completed, nothing was trained")
    for run_id, reason in summary.broken.items():
        note(f"failed: {opened.find(run_id).name}: {reason}")
    if summary.interrupted:
        note("interrupted; the same command goes on with what is missing")
        return 130
    opened.database.save_plan(plan)
    findings, page = written(plan, opened)
    if isinstance(shown, JsonLines):
        line({"event": "report", "answer": findings.answer, "page": str(page)})
    else:
        _print(findings, page)
    return 1 if summary.broken else 0


def _print(findings: "Findings", page: Path) -> None:
    plain(findings.table_text)
    plain(findings.answer)
    if findings.effects:
        plain(findings.effects_text)
    if findings.claims:
        plain(findings.claims_text)
    plain(f"\nReport: {page}")


def _told(trained: int, reused: int) -> str:
    kept = f", {reused} taken from the store" if reused else ""
    return f"{plural(trained, 'run')} trained{kept}"
