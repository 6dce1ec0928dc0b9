"""Scores that a finished run lacks, from its stored weights; nothing is trained."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from paribus.errors import MachineError
from paribus.network import assemble
from paribus.planning import Job
from paribus.store.record import WEIGHTS, Record, Score
from paribus.training.evaluation import Evaluator
from paribus.training.group import Place
from paribus.training.settings import Settings, device_of
from paribus.training.trainer import trainer_of


def completed(job: Job, record: Record, folder: Path) -> Record:
    """The record with every metric of the task on every split, and a note of what came later."""
    settings = Settings.of(job)
    missing = list(lacking(settings, record))
    if not missing:
        return record
    if not (folder / WEIGHTS).is_file():
        raise MachineError(f"the run {job.id} has no weights at {folder / WEIGHTS}; `--fresh` trains it again")
    device = device_of(settings.machine)
    if misfit := _misfit(settings, record, device.type):
        raise MachineError(misfit)
    network = assemble(settings.network, settings.data.sizes())
    network.load_state_dict(load_file(folder / WEIGHTS))
    trainer = trainer_of(settings, Place(), device, 0, Callback(), folder)  # for its precision alone
    evaluator = Evaluator(network.to(device), settings.decoding, device, trainer.precision_plugin.val_step_context)
    scores: list[Score] = []
    for split, found in groupby(missing, key=lambda place: place[0]):
        scores += evaluator.scores(split, settings.data.split(split), [metric for _, metric in found])
    told = ", ".join(f"{metric} on {split}" for split, metric in missing)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    note = f"{told}: computed later from the stored weights, {when}, by paribus {version('paribus')}"
    return replace(record, scores=[*record.scores, *scores], notes=[*record.notes, note])


def _misfit(settings: Settings, record: Record, device: str) -> str:
    """Why scores taken here would not be those of the time, as devices round what is not of 32 bit each in its way."""
    then = record.environment.get("device", device)
    if settings.precision == 32 or then == device:
        return ""
    return (
        f"the run {record.run} was trained on {then} in precision {settings.precision}, which {device} rounds "
        f"otherwise: complete it on {then}, or train it again with `--fresh`"
    )


def lacking(settings: Settings, record: Record) -> Iterator[tuple[str, str]]:
    """(split, metric) of what would be scored now and was not then."""
    known = {(score.split, score.metric) for score in record.scores}
    for split in settings.task.splits:
        for metric in settings.task.metrics if split != "training" else ():
            if (split, metric) not in known:
                yield split, metric
