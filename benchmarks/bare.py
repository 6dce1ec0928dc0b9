"""The least that training takes: a loop over a run's network and batches, with nothing of Lightning or a store."""

import torch
from torch import nn

from paribus.network import build
from paribus.parts.optimizer import OptimizerSpec
from paribus.parts.schedule import ScheduleSpec
from paribus.training.module import Stream, loss_of
from paribus.training.settings import Settings


class Loop:
    """Network, optimizer, rate and batches of a run, on the CPU."""

    def __init__(self, settings: Settings, budget: int) -> None:
        training = settings.training
        self.network = build(settings.network, settings.data.sizes(), settings.seed)
        spec, schedule = training.optimizer, training.schedule
        assert isinstance(spec, OptimizerSpec) and isinstance(schedule, ScheduleSpec)
        self._optimizer = spec.build(self.network, fused=True)
        self._rate = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: schedule.factor(step, step + 1, budget)
        )
        self._clip_norm = training.clip_norm or float("inf")
        self._batches = iter(Stream(settings.data.split("training"), training, settings.seed, 0.0))
        self.network.train()

    def step(self) -> None:
        micro = next(self._batches)
        self._optimizer.zero_grad()
        (loss_of(self.network, micro.reading, 0.0) / micro.asked).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self._clip_norm)
        self._optimizer.step()
        self._rate.step()
