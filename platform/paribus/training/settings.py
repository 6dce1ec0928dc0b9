"""What a run is trained by, rebuilt from plain data, and what it is trained on."""

import json
from dataclasses import dataclass

import torch

from paribus.errors import MachineError
from paribus.parts import Part, Swappable
from paribus.parts.task import TaskSpec
from paribus.planning import Job
from paribus.spec.machine import Machine
from paribus.spec.network import Architecture
from paribus.spec.training import Training
from paribus.training.data import Dataset, dataset


@dataclass(frozen=True)
class Settings:
    """A run's settings, rebuilt from plain data."""

    network: Architecture
    training: Training
    task: TaskSpec
    data: Dataset
    decoding: Part
    precision: int | str
    machine: Machine
    seed: int

    @classmethod
    def of(cls, run: Job) -> "Settings":
        tree = run.settings
        network = Architecture.model_validate(tree["network"])
        task = Swappable("task").validate(tree["task"])
        assert isinstance(task, TaskSpec)
        return cls(
            network=network,
            training=Training.model_validate(tree["training"]),
            task=task,
            data=dataset(
                json.dumps(tree["task"], sort_keys=True), network.family, network.embeddings.shared_vocabulary
            ),
            decoding=Swappable("decoding").validate(tree["decoding"]),
            precision=tree["precision"],
            machine=Machine.model_validate(run.machine),
            seed=run.seed,
        )


def device_of(machine: Machine, rank: int = 0) -> torch.device:
    """What to train on, of several the one with a number; raises MachineError where this machine lacks it."""
    wanted = machine.accelerator
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        raise MachineError(f"machine.accelerator is {wanted}, but torch finds no {wanted} device here; use cpu or auto")
    if machine.devices > 1 and wanted == "mps":
        raise MachineError(f"machine.devices is {machine.devices}, but there is one mps device; use 1")
    if wanted == "cuda" and machine.devices > torch.cuda.device_count():
        raise MachineError(f"machine.devices is {machine.devices}, but a run has {torch.cuda.device_count()} GPUs here")
    return torch.device(wanted, rank) if wanted == "cuda" else torch.device(wanted)
