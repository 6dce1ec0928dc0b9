"""A process that trains along on one of the other devices of a run."""

import os
import pickle
import threading
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from paribus.cost import cost
from paribus.network import build
from paribus.training.checkpoint import State
from paribus.training.group import HERE, PATIENCE, Along, Place, meet, part
from paribus.training.settings import Settings, device_of
from paribus.training.trainer import go_on, learner_of, stream_of, trainer_of


def main(told: bytes) -> None:
    """Train what the leader trains, for as long as it is there."""
    along: Along = pickle.loads(told)
    threading.Thread(target=_follow, daemon=True).start()
    settings = Settings.of(along.job)
    place = Place(along.rank, along.size)
    device = device_of(settings.machine, along.rank)
    meet(TCPStore(HERE, along.port, along.size, timeout=PATIENCE), place, device)
    accompany(settings, place, device, along.before, along.folder)
    part()


class GoingOn(Callback):
    """All that has to be seen of the steps: begin where the leader does."""

    def __init__(self, before: State | None) -> None:
        self._before = before

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._before is not None:
            go_on(trainer, self._before)


def accompany(settings: Settings, place: Place, device: torch.device, before: State | None, folder: Path) -> None:
    """Train the steps of a run without looking at anything, beside the process that does."""
    network = build(settings.network, settings.data.sizes(), settings.seed)
    start = 0
    if before is not None:
        network.load_state_dict(before["network"])
        start = before["gathered"]["step"]
    flops = cost(settings.network, settings.data.sizes(), settings.data.lengths()).flops_per_token
    stream = stream_of(settings, place, flops, start)
    learner = learner_of(settings, network, place, device)
    trainer = trainer_of(settings, place, device, stream.steps() - start, GoingOn(before), folder)
    trainer.fit(learner, train_dataloaders=stream)


def _follow() -> None:
    """End with the leader, which holds the other end of this pipe: nothing here is of use without it."""
    while os.read(0, 1):
        pass
    os._exit(0)
