"""Can this network learn at all? Train it on one batch over and over, without dropout: its loss has to fall."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from paribus.network import build
from paribus.parts.optimizer import OptimizerSpec
from paribus.planning import Job
from paribus.training.data import Order
from paribus.training.module import loss_of
from paribus.training.settings import Settings, device_of

STEPS = 60
ENOUGH = 0.5  # of the first loss


@dataclass(frozen=True)
class Overfit:
    """What came of it."""

    first: float
    last: float
    steps: int

    @property
    def learns(self) -> bool:
        return self.last < ENOUGH * self.first


def overfit(job: Job, progress: Callable[[dict[str, Any]], None]) -> Overfit:
    """Steps on one batch until the loss is half of the first one, or the steps are over."""
    settings = Settings.of(job)
    device = device_of(settings.machine)
    network = build(settings.network, settings.data.sizes(), settings.seed).to(device)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    split = settings.data.split("training")
    reading = split.reading(next(iter(Order(split, settings.training.batch, settings.seed)))).to(device)
    spec = settings.training.optimizer
    assert isinstance(spec, OptimizerSpec)
    optimizer: torch.optim.Optimizer = spec.build(network, fused=False)
    losses: list[float] = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(network, reading, label_smoothing=0.0) / reading.asked
        loss.backward()
        if settings.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), settings.training.clip_norm)
        optimizer.step()
        losses.append(float(loss.detach()))
        if losses[-1] < ENOUGH * losses[0]:
            break
        progress({"step": step + 1, "steps": STEPS, "loss": losses[-1], "speed": None, "seconds": 0.0, "note": ""})
    return Overfit(losses[0], losses[-1], len(losses))
