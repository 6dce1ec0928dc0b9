"""The network as Lightning trains it, and the batches that it is given."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional

from paribus.network import Network
from paribus.parts.optimizer import OptimizerSpec
from paribus.parts.schedule import ScheduleSpec
from paribus.spec.training import Training
from paribus.training.data import Indices, Order, Reading, Split
from paribus.training.group import Place
from paribus.training.streams import set_dropout


class Diverged(Exception):
    """The loss is no finite number any more."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"the loss is not finite at step {step}")


@dataclass(frozen=True)
class Micro:
    """One micro-batch, and what the whole step needs to know of its other micro-batches."""

    reading: Reading  # of this process: all of it, or a share
    rows: Indices  # of all processes
    step: int
    micro: int
    asked: int  # targets of the whole step
    tokens: int
    spent: tuple[float, float]  # of the budget, before the step and after it


class Stream:
    """The micro-batches from a step on, without end; batches are made when they are asked for.

    Of `size` processes each gets a share of every micro-batch; all of them know the whole.
    """

    def __init__(
        self,
        split: Split,
        training: Training,
        seed: int,
        flops_per_token: float,
        start: int = 0,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self._split = split
        self._training = training
        self._order = Order(split, training.batch, seed)
        self._rate = {"steps": 0.0, "tokens": 1.0, "flops": flops_per_token}[training.unit]
        self._start = start
        self._rank = rank
        self._size = size

    def __iter__(self) -> Iterator[Micro]:
        several = self._training.accumulate
        rows = iter(self._order)
        step, spent = 0, 0.0
        while True:
            chosen = [next(rows) for _ in range(several)]
            tokens = [int(self._split.tokens[indices].sum()) for indices in chosen]
            after = spent + (sum(tokens) * self._rate if self._rate else 1.0)
            if step >= self._start:
                asked = sum(int(self._split.asked[indices].sum()) for indices in chosen)
                for micro, indices in enumerate(chosen):
                    yield Micro(self._share(indices), indices, step, micro, asked, tokens[micro], (spent, after))
            step, spent = step + 1, after

    def _share(self, rows: Indices) -> Reading:
        """What this process reads of a micro-batch; nothing counts where others read all of its rows."""
        mine = rows[self._rank :: self._size]
        return self._split.reading(mine) if len(mine) else self._split.reading(rows[:1]).unasked()

    def hash_before_start(self) -> "hashlib._Hash":
        """The running hash of the batches that come before this stream."""
        found = hashlib.sha256()
        for rows in islice(self._order, self._start * self._training.accumulate):
            found.update(rows.tobytes())
        return found

    def steps(self) -> int:
        """How many steps the budget pays for; the last one may go over it."""
        budget = self._training.budget
        if not self._rate:
            return int(budget)
        rows, spent, count = iter(self._order), 0.0, 0
        while spent < budget:
            micros = (next(rows) for _ in range(self._training.accumulate))
            spent += self._rate * sum(int(self._split.tokens[indices].sum()) for indices in micros)
            count += 1
        return count


def loss_of(network: Network, reading: Reading, label_smoothing: float) -> Tensor:
    """The sum over the targets that count."""
    logits = network(reading.batch, reading.places_N).flatten(0, -2).float()
    return functional.cross_entropy(logits, reading.wanted(), reduction="sum", label_smoothing=label_smoothing)


class Learner(lightning.LightningModule):
    """Loss, optimizer and learning rate of one run. Nothing is logged by the step: losses wait to be asked for."""

    def __init__(self, network: Network, training: Training, seed: int, place: Place, *, fused: bool) -> None:
        super().__init__()
        self.network = network
        self.training_spec = training
        self.seed = seed
        self.place = place
        self.fused = fused
        self._losses: list[Tensor] = []

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes here which hook it is in, some forty times a step; torch would look for parameters in each.
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        spec = self.training_spec.optimizer
        assert isinstance(spec, OptimizerSpec)
        optimizer: torch.optim.Optimizer = spec.build(self.network, fused=self.fused)
        return optimizer

    def transfer_batch_to_device(self, batch: Micro, device: torch.device, dataloader_idx: int) -> Micro:
        if device.type == "cpu":
            return batch
        return replace(batch, reading=batch.reading.to(device))

    def training_step(self, batch: Micro, batch_idx: int) -> Tensor:
        if batch.micro == 0:
            self._set_rate(batch)
        set_dropout(self.seed, batch.step, batch.micro, self.place.rank, self.device)
        loss = loss_of(self.network, batch.reading, self.training_spec.label_smoothing)
        share = loss / batch.asked
        self._losses.append(self.place.summed(share.detach()))
        return share * (self.training_spec.accumulate * self.place.size)  # Lightning takes means over both

    def _set_rate(self, batch: Micro) -> None:
        spec, schedule = self.training_spec.optimizer, self.training_spec.schedule
        assert isinstance(spec, OptimizerSpec) and isinstance(schedule, ScheduleSpec)
        rate = spec.lr * schedule.factor(*batch.spent, self.training_spec.budget)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def take_losses(self, first: int) -> list[float]:
        """The loss of each step since the last call, the first of which is step `first`; raises Diverged."""
        micro = torch.stack(self._losses).view(-1, self.training_spec.accumulate)
        self._losses.clear()
        losses: list[float] = micro.sum(1).tolist()
        for index, loss in enumerate(losses):
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise Diverged(first + index)
        return losses

    def pending(self) -> Tensor | None:
        """The losses that nobody has asked for yet."""
        return torch.stack(self._losses).cpu() if self._losses else None

    def put_back(self, losses: Tensor | None) -> None:
        self._losses = [] if losses is None else list(losses.to(self.device))
