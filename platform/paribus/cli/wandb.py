"""`paribus wandb push`: send to Weights & Biases what it lacks; the store has all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paribus.cli import options
from paribus.cli.output import note, plain
from paribus.errors import StoreError, plural, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paribus.planning import Plan
    from paribus.store.folder import Store


def wandb(
    action: Literal["push"],
    experiment: str,
    /,
    *,
    project: str | None = None,
    entity: str | None = None,
    again: options.Flag = False,
    store: options.Store = None,
) -> int:
    """Send the runs of an experiment to Weights & Biases: those that were never sent, or not with success.

    Parameters
    ----------
    action
        push.
    experiment
        A name that the store knows, such as quickstart, or its file.
    project
        Where runs go; what the file says if left out.
    entity
        Whose project it is; what the file says if left out.
    again
        Send what was sent before as well; runs keep their ids, so nothing is doubled.
    """
    from paribus.running.tracking import Sent, Uploads
    from paribus.store.folder import open_store

    opened = open_store(store, create=False)
    name = Path(experiment).stem if experiment.endswith((".yaml", ".yml")) else experiment
    plan = opened.database.plan(name)
    if plan is None:
        known = [other.folder for other in opened.database.plans()]
        raise StoreError(f"the store has no experiment called '{name}'{suggestion(name, known)}")
    written = _written(plan)
    tracker = {**written, "kind": "wandb", "mode": "online"}
    tracker |= {key: value for key, value in {"project": project, "entity": entity}.items() if value is not None}
    uploads = Uploads(tracker, opened.folder, note, plan.folder)
    sent = Sent(opened.folder)
    before = 0
    for story in _stories(plan, opened):
        if story["id"] in sent.runs and not again:
            before += 1
        else:
            uploads.run(story)
    uploads.close()
    plain(f"{plural(len(uploads.sent), 'run')} sent, {before} had been sent before")
    return 1 if uploads.lost else 0


def _written(plan: "Plan") -> dict[str, Any]:
    """What the file of a plan says of tracking by W&B."""
    from paribus.spec.source import parse

    found = parse(plan.text, "").data.get("tracking")
    return dict(found) if isinstance(found, dict) and found.get("kind") == "wandb" else {}


def _stories(plan: "Plan", store: "Store") -> "Iterator[dict[str, Any]]":
    """All runs of an experiment that have a result, those of its trials too."""
    from paribus.planning import Job
    from paribus.running.tracking import story
    from paribus.store.record import RESULTS

    named = {
        run.id: (plan.job(run), f"{run.arm}{f'/{run.task}' if run.task else ''}/s{run.seed}", "train")
        for run in plan.runs
    }
    for search in (plan.tuning or {"searches": []})["searches"]:
        for trial in search["trials"]:
            settings = {"arm": search["arm"], "task": search["task"], "trial": trial["settings"]}
            for run in trial["runs"]:
                place = f"{search['arm']}{'/' + search['task'] if search['task'] else ''}/trial-{trial['number']}"
                named.setdefault(run, (Job(run, 0, settings, {}), place, "tune"))
    for run, outcome in store.database.outcomes(named).items():
        job, name, kind = named[run]
        if outcome.record is not None and outcome.status in RESULTS:
            yield story(job, outcome.record, name, kind, plan.folder)
