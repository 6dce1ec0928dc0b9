"""Pruning replayed on recorded learning-rate searches: it saves steps, and hardly ever costs the winner.

`learning_rates.json` holds, for 30 learning rates, the validation loss at ten evaluations of a small translator
(phrases, numbers up to 999, 150 steps) and its value in the end.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paribus.planning import metric_info
from paribus.spec.load import load
from paribus.spec.space import dimensions
from paribus.tuning.samplers import quiet
from paribus.tuning.study import Outcome, Search

RECORDED = {
    float(rate): values
    for rate, values in json.loads((Path(__file__).parent / "learning_rates.json").read_text()).items()
}
EVALUATIONS = 10
TRIALS = 20


def searched(write: Callable[..., Path], pruner: str, seed: int) -> tuple[float, float]:
    """(winning rate, share of the steps that were trained) of one search."""
    tuning = (
        f"analysis: {{metric: loss}}\ntuning: {{trials: {TRIALS}, sampler: random, pruner: {pruner}, seed: {seed}, "
        "space: {training.optimizer.lr: {low: 3e-5, high: 1e-1, log: true}}}\n"
    )
    loaded = load(write(tuning))
    spec = loaded.experiment.tuning
    assert spec is not None
    baseline = loaded.arms[0]
    search = Search("replay", baseline, "", spec, dimensions(spec, baseline), [metric_info("loss")], None, EVALUATIONS)
    trained = 0
    for _ in range(TRIALS):
        number, settings = search.ask()
        search.begin(number, ["run"], settings)
        rate = nearest(settings)
        *values, final = RECORDED[rate]
        stop = next((step for step, value in enumerate(values, 1) if search.report(number, step, value)), None)
        trained += stop or EVALUATIONS
        search.tell(number, Outcome("pruned", [None]) if stop else Outcome("ok", [final]))
    return nearest(search.chosen(search.good()[0])), trained / (TRIALS * EVALUATIONS)


def nearest(settings: dict[str, Any]) -> float:
    wanted = math.log(settings["training.optimizer.lr"])
    return min(RECORDED, key=lambda rate: abs(math.log(rate) - wanted))


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_pruning_saves_steps_and_keeps_the_winner(pruner: str, write: Callable[..., Path]) -> None:
    quiet()
    saved, same = [], 0
    for seed in range(10):
        whole, everything = searched(write, "none", seed)
        winner, share = searched(write, pruner, seed)
        assert everything == 1
        saved.append(1 - share)
        same += winner == whole
    sys.stdout.write(f"{pruner}: {sum(saved) / 10:.0%} of steps saved, the winner unchanged in {same} of 10\n")
    assert sum(saved) / 10 >= 0.3
    assert same >= 8
