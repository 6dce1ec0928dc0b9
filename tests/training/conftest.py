"""What tests of single runs start from: the small experiment's first run, and an attempt at it in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from paribus.planning import Job, plan
from paribus.spec.load import load
from paribus.store.record import Record
from paribus.training.fit import train

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def job(write: Write) -> Callable[..., Job]:
    """The first run of the small experiment with changes."""

    def first(*sets: str) -> Job:
        planned = plan(load(write(), sets))
        return planned.job(planned.runs[0])

    return first


@pytest.fixture
def attempt() -> Callable[..., Record]:
    """Trains a run in a folder, gone on with from the checkpoint that is there."""

    def train_in(folder: Path, work: Job, asked: Callable[[], str] = lambda: "") -> Record:
        folder.mkdir(exist_ok=True)
        return train(work, folder, lambda news: None, asked, folder / "resume")

    return train_in
