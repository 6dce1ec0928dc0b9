"""`paribus report`: write the report again from what is stored; torch is not needed for it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from paribus.cli import options
from paribus.cli.output import plain
from paribus.errors import ParibusError, StoreError, suggestion

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.report import Findings
    from paribus.report.confirm import Shrinkage
    from paribus.store.folder import Store

CONFIRMATION = "confirm-"  # how the labels of plans on fresh seeds begin
FORMATS = ("html", "md", "tex", "csv", "json", "parquet", "svg", "pdf", "png")


def report(
    *files: Path,
    format_: Annotated[str, Parameter(name="--format")] = "html,md,csv,json",
    metric: str = "",
    interactive: Annotated[bool, Parameter(negative="")] = False,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
) -> int:
    """Write the report again from what is stored.

    Parameters
    ----------
    files
        Experiments; a name that the store knows, such as quickstart, does as well.
    format_
        Which formats, with commas between: html, md, tex, csv, json, parquet; svg, pdf or png for the figures.
    metric
        Another metric for the tables, as an exploration; the page stands beside the report, in a folder of its own.
    interactive
        Figures that tell the numbers under the mouse; the page is a megabyte larger and still asks for nothing.
    """
    from paribus.store.folder import open_store

    formats = chosen_formats(format_)
    if not files:
        raise ParibusError("name at least one experiment file")
    opened = open_store(store, create=False, artifacts=artifacts)
    found = []
    for file in files:
        plan, out_of_date = stored(file, opened)
        findings, page = written(plan, opened, formats, out_of_date=out_of_date, metric=metric, interactive=interactive)
        plain(findings.answer)
        if findings.effects:
            plain(findings.effects_text)
        if findings.claims:
            plain(findings.claims_text)
        plain(f"Report: {page}")
        found.append(findings)
    if len(found) > 1:
        plain(f"Together: {_together(found, opened, formats, metric, interactive)}")
    return 0


def chosen_formats(words: str) -> list[str]:
    """Formats as they are written with commas between; raises ParibusError for one that there is not."""
    formats = [name.strip() for name in words.split(",") if name.strip()]
    for name in formats:
        if name not in FORMATS:
            raise ParibusError(f"--format: there is no format '{name}'{suggestion(name, FORMATS)}")
    return formats


def stored(file: Path, store: "Store") -> "tuple[Plan, str]":
    """The newest plan of a file, with the question and analysis that it has now; and how else it has changed."""
    from paribus.spec.fits import KnownTask
    from paribus.spec.load import headline, sources

    named = None if file.suffix in (".yaml", ".yml") or file.is_file() else store.database.plan(str(file))
    if named:
        return named, ""
    head = headline(file)
    assert head.name is not None
    plan = store.database.plan(head.name)
    if plan is None:
        known = [other.folder for other in store.database.plans()]
        raise StoreError(f"the store has no runs of '{head.name}' yet{suggestion(head.name, known)}")
    # Plans of older versions do not know; they are taken at their word.
    changed = plan.sources != "" and sources(file) != plan.sources
    told = f"{file} was changed after these runs were planned; `paribus run {file}` plans anew" if changed else ""
    tasks = {
        task.name: KnownTask(task.kind, [metric.name for metric in task.metrics], task.splits) for task in plan.tasks
    }
    head = headline(file, tasks, None if changed else [arm.name for arm in plan.arms])
    claims = [claim.model_dump() for claim in head.claims]
    return replace(plan, question=head.question, analysis=head.analysis.model_dump(), claims=claims), told


def written(
    plan: "Plan",
    store: "Store",
    formats: list[str] | None = None,
    *,
    out_of_date: str = "",
    metric: str = "",
    interactive: bool = False,
) -> "tuple[Findings, Path]":
    """What is found of a plan, and the report that says it."""
    from paribus import report as reports
    from paribus.store.kept import read

    beside = [run["id"] for run in plan.tuning["fixed"]] if plan.tuning else []
    outcomes = store.database.outcomes([*(run.id for run in plan.runs), *beside])
    findings = reports.find(
        plan,
        outcomes,
        out_of_date=out_of_date,
        locks=store.database.locks(plan.folder),
        parents=store.database.locks(plan.name) if plan.label else (),
        read=lambda run: read(store.fetched(run)),
        metric=metric,
        shrunk=[] if metric else shrunk(plan, store),
    )
    folder = store.reports / plan.folder
    place = folder / f"by-{metric}" if metric else folder
    paths = reports.write(findings, place, formats or reports.USUAL, interactive=interactive)
    reports.place(store.reports / "index.html", reports.index(store.reports))
    return findings, paths[0]


def shrunk(plan: "Plan", store: "Store") -> "list[Shrinkage]":
    """What fresh seeds said of the arms of a plan; or, of a confirmation, what it says of the first results."""
    from paribus.report.confirm import shrinkage
    from paribus.report.results import Results

    if plan.label.startswith(CONFIRMATION):
        first = store.database.plan(plan.name)
        pairs = [(first, plan)] if first else []
    else:
        folders = dict.fromkeys(member.experiment for member in store.database.members())
        names = [name for name in folders if name.startswith(f"{plan.name}@{CONFIRMATION}")]
        found = [again for name in sorted(names) if (again := store.database.plan(name))]
        pairs = [] if plan.label else [(plan, again) for again in found]
    outcomes = store.database.outcomes(run.id for pair in pairs for each in pair for run in each.runs)
    return [
        one
        for first, again in pairs
        for arm in [again.arms[-1].name]
        if all(first.settings.get(name) == again.settings.get(name) for name in (again.arms[0].name, arm))
        for one in shrinkage(Results(first, outcomes), Results(again, outcomes), arm)
        if one.again.paired.n
    ]


def _together(found: "list[Findings]", store: "Store", formats: list[str], metric: str, interactive: bool) -> Path:
    """One report of several experiments, beside theirs."""
    from paribus import report as reports

    whole = reports.together(found)
    name = "+".join(one.title for one in found)
    # As long as a file name may be.
    folder = store.reports / (name if len(name) <= 120 else f"{name[:100]}+{len(found)}")
    place = folder / f"by-{metric}" if metric else folder
    page = reports.write(whole, place, formats, interactive=interactive)[0]
    reports.place(store.reports / "index.html", reports.index(store.reports))
    return page
