"""Size, seconds and memory of the whole command `paribus report`, on stores of made-up runs.

    python benchmarks/report.py [--cores 2]

Ten arms with five seeds and everything that their runs keep beside their records; and 2,000 runs (40 arms, 50 seeds)
with their curves, of which nothing is kept beside them. Targets hold for two cores.
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from paribus.planning import MetricInfo, Plan, Row, Run, TaskInfo
from paribus.spec.analysis import Analysis
from paribus.store import kept
from paribus.store.folder import Store, open_store
from paribus.store.kept import Head, Kept, Sample, Shown
from paribus.store.record import Record, Score

METRICS = (
    MetricInfo("exact_match", "exact match", "max", "", [0.0, 1.0]),
    MetricInfo("token_accuracy", "token accuracy", "max", "", [0.0, 1.0]),
    MetricInfo("loss", "loss", "min", "nats", None),
)
POINTS = 40  # of a curve: evaluations of a run
TOKENS = 24  # of an example whose attention is kept
HEADS = 4
PLACES = [(side, layer) for side in ("encoder", "decoder") for layer in (0, 1)]
MIB = 2**20


@dataclass(frozen=True)
class Case:
    name: str
    arms: int
    seeds: int
    keeps: bool
    most_bytes: float
    most_seconds: float
    most_memory: float | None


CASES = (
    Case("10 arms x 5 seeds", 10, 5, True, 1 * MIB, 10, None),
    Case("40 arms x 50 seeds", 40, 50, False, 5 * MIB, 60, 1024 * MIB),
)


def plan(case: Case) -> Plan:
    names = ["baseline", *(f"arm_{index:02d}" for index in range(1, case.arms))]
    seeds = list(range(1, case.seeds + 1))
    runs = [
        Run(hashlib.sha256(f"{case.name}/{name}/{seed}".encode()).hexdigest()[:16], name, "", seed)
        for seed in seeds
        for name in names
    ]
    return Plan(
        name="made-up",
        label="",
        question="How long does a report take?",
        digest="0" * 16,
        file="made-up.yaml",
        text="name: made-up\n",
        arms=[_row(name) for name in names],
        tasks=[TaskInfo("", "phrases", "exact_match", list(METRICS), ["validation", "test", "test_longer"], {})],
        seeds=seeds,
        analysis=Analysis.model_validate({"smallest_effect": 0.02}).model_dump(),
        settings={},
        machine={},
        runs=runs,
    )


def _row(name: str) -> Row:
    if name == "baseline":
        return Row(name, {}, "baseline", [], {})
    change = {"what": "norm", "where": "", "baseline": "layer", "arm": name}
    return Row(name, {"network.norm": name}, "baseline", [change], {})


def record(run: Run, points: int = POINTS) -> Record:
    dice = Random(run.id)
    good = 0.9 + 0.002 * (hash_of(run.arm) % 30) + dice.gauss(0, 0.01)
    steps = [600 / points * index for index in range(1, points + 1)]
    loss = [0.2 + 3 * 2.7 ** (-step / 110) + dice.gauss(0, 0.02) for step in steps]
    values = {"exact_match": good, "token_accuracy": 1 - (1 - good) / 3, "loss": 2 - good}
    return Record(
        run=run.id,
        status="ok",
        started_at="2026-01-01T10:00:00+00:00",
        finished_at="2026-01-01T10:01:00+00:00",
        seconds=61.0 + dice.random(),
        step_seconds=52.0 + dice.random(),
        steps=600,
        tokens=2_140_000,
        chosen_step=600,
        cost={"parameters": 216_000 + hash_of(run.arm) % 9999, "flops_per_token": 410_000.0 + hash_of(run.arm) % 9999},
        scores=[Score(split, name, value) for split in ("test", "test_longer") for name, value in values.items()],
        curves={
            "step": steps,
            "tokens": [step * 3566 for step in steps],
            "seconds": [step / 10 for step in steps],
            "train_loss": loss,
            "validation_loss": loss,
            "validation_token_accuracy": [1 - value / 5 for value in loss],
        },
        environment={"paribus": "0.1.0", "torch": "2.9.0", "device_name": "x86_64", "results": 1},
    )


def hash_of(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def beside(run: Run) -> Kept:
    """What a run of two layers with four heads keeps."""
    dice = np.random.default_rng(hash_of(run.id))
    spots = [(f"{side}.{layer}.mixer", side, layer, "self") for side, layer in PLACES]
    spots += [(f"decoder.{layer}.cross", "decoder", layer, "cross") for layer in (0, 1)]
    heads = [
        Head(side, layer, place, head, *map(float, dice.random(6).round(4)))
        for _, side, layer, place in spots
        for head in range(HEADS)
    ]
    words = [f"w{index}" for index in range(TOKENS)]
    maps = {
        f"{index}/{path}": dice.dirichlet(np.ones(TOKENS), (HEADS, TOKENS)) for index in (0, 1) for path, *_ in spots
    }
    samples = [
        Sample(row, f"source {row}", f"target {row}", f"target {row + row % 2}", row % 2 == 0) for row in range(16)
    ]
    lengths = np.arange(1000) % 9 + 2
    scores = {
        "test": {
            "loss": dice.random(1000).astype(np.float32) * lengths,
            "asked": lengths + 1,
            "right": lengths,
            "exact": (dice.random(1000) < 0.9).astype(np.int8),
            "source_length": lengths,
            "target_length": lengths,
        }
    }
    return Kept(
        heads, samples, [Shown(7, words, words), Shown(3, words, words)], maps, scores, {"source": 7, "target": 7}
    )


def filled(case: Case, folder: Path) -> Store:
    """A store in which every run of a case has ended well."""
    store = open_store(str(folder), create=True)
    planned = plan(case)
    store.database.save_plan(planned)
    for run in planned.runs:
        store.database.add(record(run))
        if case.keeps:
            store.run_folder(run.id).mkdir(parents=True, exist_ok=True)
            kept.write(beside(run), store.run_folder(run.id))
    store.database.close()
    return store


def measured(case: Case, cores: int) -> tuple[int, float, float]:
    """Bytes of the page, seconds of the command, and bytes of memory at its peak."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        filled(case, here / ".paribus")
        words = [sys.executable, "-m", "paribus", "report", "made-up", "--store", str(here / ".paribus")]
        began = time.perf_counter()
        subprocess.run(words, check=True, cwd=here, stdout=subprocess.DEVNULL, preexec_fn=lambda: _only(cores))
        took = time.perf_counter() - began
        # The largest of all children so far; cases go from small to large.
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        page = next(here.rglob("made-up/index.html"))
        return page.stat().st_size, took, memory


def _only(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    cores = parser.parse_args().cores
    print(f"{'case':<20} {'what':<8} {'found':>9} {'at most':>9}")
    for case in CASES:
        size, took, memory = measured(case, cores)
        rows = [
            ("page", size / MIB, case.most_bytes / MIB, "MiB"),
            ("time", took, case.most_seconds, "s"),
            *([("memory", memory / MIB, case.most_memory / MIB, "MiB")] if case.most_memory else []),
        ]
        for what, found, most, unit in rows:
            verdict = "met" if found <= most else "NOT MET"
            print(f"{case.name:<20} {what:<8} {found:>9.2f} {most:>9.0f} {unit:<4} {verdict}")


if __name__ == "__main__":
    main()
