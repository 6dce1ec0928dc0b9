"""`paribus run --smoke`: does every arm build, train, evaluate, and learn one batch by heart? In under a minute."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.cli.output import note, plain, table
from paribus.errors import ParibusError

if TYPE_CHECKING:
    from paribus.spec.load import Loaded

# Two steps with no warm-up, small test splits, one evaluation: of every arm, whatever it sets itself.
CHANGES: dict[str, Any] = {
    "training.steps": 2,
    "training.schedule.warmup": 0,
    "training.evaluate.every": 1.0,
    "training.evaluate.examples": 32,
    "task.validation_examples": 32,
    "task.test_examples": 32,
}


def smoke(
    file: Path, sets: Sequence[str], arms: Sequence[str], workers: int | None, store: str | None, quiet: bool, on: str
) -> int:
    from paribus import api
    from paribus.cli.live import listener
    from paribus.cli.report import written
    from paribus.planning import plan
    from paribus.running import Finished, execute
    from paribus.store.folder import open_store

    loaded, whole = api.prepared(file, sets=sets, arms=arms)
    short = plan(shortened(loaded), arms=arms, seeds=[1], label="smoke")
    opened = open_store(store)
    api.vet(loaded, whole, opened, note)
    engine, count = api.engine(short, opened, workers, on=on, say=note)
    summary = execute(short, opened, engine, listener(quiet), workers=count, fresh=True)
    if summary.interrupted:
        return 130
    _, page = written(short, opened)
    first = [run for run in whole.trained if run.seed == whole.runs[0].seed]
    events = engine.run([whole.job(run) for run in first], "overfit")
    ended = {event.job.id: event for event in events if isinstance(event, Finished) and event.final}
    rows, failed = [], bool(summary.broken)
    for run in first:
        event = ended[run.id]
        good = event.status == "ok" and event.answer["learns"]
        failed = failed or not good
        told = (
            f"{event.answer['first']:.3f} → {event.answer['last']:.3f} in {event.answer['steps']} steps"
            if event.answer
            else event.reason.splitlines()[-1]
        )
        rows.append((f"{run.arm} {run.task}".strip(), "yes" if good else "NO", told))
    table("One batch over and over: does the loss halve?", ["arm", "learns", "loss"], rows)
    for run_id, reason in summary.broken.items():
        note(f"failed: {opened.find(run_id).name}: {reason}")
    plain(f"Report of the two steps: {page}")
    return 1 if failed else 0


def shortened(loaded: "Loaded") -> "Loaded":
    """The experiment with every arm cut short."""
    from dataclasses import replace

    from paribus.spec.arms import variant

    arms = []
    for arm in loaded.arms:
        setting, complaints = variant(arm, CHANGES)
        if setting is None:
            wrong = "; ".join(f"{'.'.join(map(str, one.path))}: {one.message}" for one in complaints)
            raise ParibusError(f"--smoke cannot cut {arm.name} short: {wrong}")
        arms.append(replace(arm, setting=setting))
    return replace(loaded, arms=tuple(arms))
