"""A tuning whose driver is killed gives the same trials, values and winners as one that went straight through."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from paribus.store.folder import open_store

TUNED = """
arms: {one_head: {network.mixer.heads: 1}}
analysis: {metric: loss}
tuning: {trials: 5, pruner: median, ORDER, space: {training.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}}}
"""


def tune(store: Path, workers: int) -> "subprocess.Popen[str]":
    words = ["tune", "small.yaml", "--store", str(store), "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, "-m", "paribus", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def to_the_end(store: Path, workers: int) -> dict[str, Any]:
    driver = tune(store, workers)
    assert driver.wait(timeout=300) == 0
    plan = open_store(str(store)).database.plan("small")
    assert plan is not None
    assert plan.tuning is not None
    kept = ("number", "state", "values", "settings", "runs")
    return {
        "trials": {s["name"]: [{key: t[key] for key in kept} for t in s["trials"]] for s in plan.tuning["searches"]},
        "winners": {s["name"]: s["winner"] for s in plan.tuning["searches"]},
        "runs": [vars(run) for run in plan.runs],
    }


def kill_after(store: Path, workers: int, records: int, wait: float) -> None:
    """SIGKILL, to the driver alone, a moment after so many runs have been finished."""
    driver = tune(store, workers)
    deadline = time.monotonic() + 200
    while len(list((store / "runs").glob("*/record.json"))) < records and driver.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(wait)
    if driver.poll() is None:
        os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("order", "workers"), [("free", 1), ("fixed", 2)])
def test_a_killed_tuning_ends_as_a_straight_one(order: str, workers: int, write: Any, tmp_path: Path) -> None:
    write(TUNED.replace("ORDER", f"order: {order}, batch: 2"))
    straight = to_the_end(tmp_path / "straight", 1)
    moments = random.Random(order)
    killed = tmp_path / "killed"
    for records in sorted(moments.sample(range(1, 9), 3)):
        kill_after(killed, workers, records, moments.uniform(0.0, 1.0))
    resumed = to_the_end(killed, workers)
    assert json.dumps(resumed, sort_keys=True) == json.dumps(straight, sort_keys=True)
    assert {len(trials) for trials in straight["trials"].values()} == {5}
