"""Losses of fixed seeds, pinned: a refactoring proves by them that it changed no number."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from paribus.planning import RESULTS_VERSION, plan
from paribus.spec.load import load
from paribus.training.fit import train

# Of version 2. Whoever changes one raises RESULTS_VERSION, so that no stored run is taken for what it is not.
VERSION = 2
LOSSES = {
    "baseline": 1.602051,
    "network.mixer=gru": 1.662287,
    # Not with Adam: it makes whole steps of the gradient of a bias before batch norm, which is rounding alone.
    "network.norm=batch training.optimizer=sgd": 3.694257,
    "network.mixer.score=additive": 1.573891,
    "network.position=learned": 1.546227,
    "network.dropout=0.3": 1.662309,
    "network.family=decoder": 1.598341,
    "training.optimizer=sgd": 2.270347,
}


@pytest.mark.parametrize("change", LOSSES)
def test_losses_are_those_of_this_version_of_the_results(
    change: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    planned = plan(load(write(), () if change == "baseline" else change.split()))
    record = train(planned.job(planned.runs[0]), tmp_path, lambda news: None, lambda: False)
    loss = next(score.value for score in record.scores if (score.split, score.metric) == ("test", "loss"))
    assert RESULTS_VERSION == VERSION
    told = f"{change} gives {loss!r}: raise RESULTS_VERSION in planning.py and pin the new losses here"
    assert loss == pytest.approx(LOSSES[change], rel=1e-4), told
