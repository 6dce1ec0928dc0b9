"""Steps per second of a bare PyTorch loop and of a paribus run on the same network and the same batches.

One process, one thread, paired rounds whose order alternates; the ratio is paribus to bare, so 1.00 is no overhead.

    python benchmarks/overhead.py [EXPERIMENT] [--rounds 9] [--steps 120]
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from bare import Loop

from paribus.planning import Job, plan
from paribus.spec.load import load
from paribus.training.fit import train
from paribus.training.settings import Settings


def bare(settings: Settings, steps: int) -> float:
    """Seconds of a loop that does only what training needs."""
    loop = Loop(settings, steps)
    began = time.perf_counter()
    for _ in range(steps):
        loop.step()
    return time.perf_counter() - began


def ours(job: Job, folder: Path) -> float:
    """Seconds of the steps of a run: what it records, without evaluations."""
    record = train(job, folder, lambda news: None, lambda: False)
    assert record.status == "ok", record.reason
    return record.step_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", default="experiments/quickstart.yaml")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=120)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    sets = [f"training.steps={options.steps}", "training.evaluate.every=1.0", "machine.accelerator=cpu"]
    planned = plan(load(options.experiment, sets))
    job = planned.job(planned.runs[0])
    settings = Settings.of(job)
    bare(settings, 20)  # warm both up
    ratios, rates = [], {"bare": [], "paribus": []}
    with tempfile.TemporaryDirectory() as folder:
        ours(job, Path(folder))
        for number in range(options.rounds):
            if number % 2:
                took, loop = ours(job, Path(folder)), bare(settings, options.steps)
            else:
                loop, took = bare(settings, options.steps), ours(job, Path(folder))
            ratios.append(loop / took)
            rates["bare"].append(options.steps / loop)
            rates["paribus"].append(options.steps / took)
    for name, values in rates.items():
        print(f"{name:<8} {statistics.median(values):7.1f} steps/s (median of {options.rounds} rounds)")
    low, high = min(ratios), max(ratios)
    print(f"ratio    {statistics.median(ratios):7.3f} (lowest {low:.3f}, highest {high:.3f}); target at least 0.92")


if __name__ == "__main__":
    main()
