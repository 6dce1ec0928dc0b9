"""What every process of a run has: its batches, the network that learns, and Lightning to train it."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import Profiler

from paribus.errors import MachineError
from paribus.network import Network
from paribus.spec.machine import Machine
from paribus.training.checkpoint import State
from paribus.training.group import Place
from paribus.training.module import Learner, Stream
from paribus.training.settings import Settings

PRECISIONS: dict[int | str, str] = {32: "32-true", "bf16": "bf16-mixed", 16: "16-mixed"}  # as Lightning calls them


class Unmeasured(Profiler):
    """Measures nothing of the two dozen hooks of a step; that of Lightning makes a new context for each."""

    _nothing = nullcontext()

    def start(self, action_name: str) -> None:
        pass

    def stop(self, action_name: str) -> None:
        pass

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._nothing


def stream_of(settings: Settings, place: Place, flops_per_token: float, start: int) -> Stream:
    """What one process of a run trains on from a step on."""
    split = settings.data.split("training")
    return Stream(split, settings.training, settings.seed, flops_per_token, start, place.rank, place.size)


def learner_of(settings: Settings, network: Network, place: Place, device: torch.device) -> Learner:
    network.train()
    if settings.machine.compile:
        network.compile()
    # With mixed precision Lightning lets no gradient be clipped before a fused optimizer step.
    fused = device.type in ("cpu", "cuda") and settings.precision == 32
    return Learner(network, settings.training, settings.seed, place, fused=fused)


def trainer_of(
    settings: Settings, place: Place, device: torch.device, steps: int, callback: Callback, folder: Path
) -> lightning.Trainer:
    """Lightning with nothing of its own that writes, shows, evaluates or asks the machine how it was started."""
    if settings.precision == 16 and device.type == "cpu":  # Lightning would take bf16 for it
        raise MachineError("machine.precision is 16, but CPUs compute in 32 or bf16 only")
    return lightning.Trainer(
        accelerator=device.type,
        devices=place.size,
        strategy=strategy_of(settings.machine) if place.size > 1 else "auto",
        plugins=[place],
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
        max_steps=steps,
        max_epochs=-1,
        accumulate_grad_batches=settings.training.accumulate,
        gradient_clip_val=settings.training.clip_norm,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        profiler=Unmeasured(),
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def strategy_of(machine: Machine) -> str:
    """The name by which Lightning knows how devices work together."""
    return "ddp" if machine.devices > 1 and machine.strategy == "auto" else machine.strategy


def go_on(trainer: lightning.Trainer, before: State) -> None:
    """Bring back what a checkpoint holds of what Lightning has made."""
    trainer.optimizers[0].load_state_dict(before["optimizer"])
    trainer.precision_plugin.load_state_dict(before["precision"])
