"""`paribus run --smoke`: does every arm build, train, evaluate, and learn one batch by heart? In under a minute."""

from collections.abc import Sequence
from pathlib import Path

from paribus.cli.output import note, plain, table

# Two steps with no warm-up, small test splits, one evaluation.
CHANGES = (
    "training.steps=2",
    "training.schedule.warmup=0",
    "training.evaluate.every=1.0",
    "training.evaluate.examples=32",
)


def smoke(
    file: Path, sets: Sequence[str], arms: Sequence[str], workers: int | None, store: str | None, quiet: bool, on: str
) -> int:
    from dataclasses import replace

    from paribus import api
    from paribus.cli.live import listener
    from paribus.cli.report import written
    from paribus.running import Finished, execute
    from paribus.store.folder import open_store

    loaded, whole = api.prepared(file, sets=sets, arms=arms)
    _, short = api.prepared(
        file, sets=[*sets, *CHANGES, *_small(whole.tasks[0].name, [t.name for t in whole.tasks])], arms=arms, seeds=[1]
    )
    short = replace(short, label="smoke")
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


def _small(first: str, names: Sequence[str]) -> list[str]:
    paths = [f"tasks.{name}" for name in names] if first else ["task"]
    return [f"{path}.{split}_examples=32" for path in paths for split in ("validation", "test")]
