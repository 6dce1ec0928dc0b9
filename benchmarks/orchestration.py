"""What paribus adds to the runs of a study, and how its commands fare on large stores.

    python benchmarks/orchestration.py [--parts bare paribus hand store] [--runs 24] [--seconds 5 20]
        [--stored 1000 10000]

**Efficiency.** For runs of the quickstart's network, `--runs` of them on two workers: the time that bare PyTorch loops
take for the same steps and evaluations, run two at once, divided by twice the wall time from the command `paribus run`
to its last record. A bare loop is this file's `bare`: no Lightning, no store, no record, nothing kept. It shares with
paribus the network, the batches (already in memory: what makes the data is not counted), the optimizer, the evaluation
and the writing of outputs, since those are what both have to do.

**By hand.** The same study done by `by_hand.py`: a process for each run, two at a time, the same evaluations.

**Stores.** Whole commands on stores of made-up runs with 200 points of curves, and the reading of all that a report
draws from, in a process of its own.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np

from paribus.planning import Job, Plan, plan
from paribus.spec.load import load
from paribus.store.folder import open_store
from paribus.training import prepare

PARTS = ("bare", "paribus", "hand", "store")
AT_ONCE = 2
ARMS = 6  # of the quickstart
POINTS = 200
EFFICIENCY = {5: 0.85, 20: 0.95}  # targets by the length of a run
SPEEDUP = 1.7
MIB = 2**20
MOST_SECONDS = {"plan": 3.0, "runs": 3.0, "report": 10.0}
MOST_MEMORY = 1024 * MIB
FILE = Path("experiments/quickstart.yaml").resolve()
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def bare(job: Job, steps: int | None = None) -> tuple[float, int]:
    """Seconds of a loop that trains, looks at validation, keeps the best weights and tests; and its steps."""
    import torch
    from bare import Loop

    from paribus.training.evaluation import Evaluator
    from paribus.training.fit import evaluation_steps
    from paribus.training.settings import Settings

    settings = Settings.of(job)
    data, training = settings.data, settings.training
    for name in settings.task.splits:
        data.split(name)
    began = time.perf_counter()
    budget = steps or int(training.budget)
    loop = Loop(settings, budget)
    network = loop.network
    evaluator = Evaluator(network, settings.decoding, torch.device("cpu"), nullcontext)
    looks = evaluation_steps(training, budget)
    validation, best, weights = data.split("validation"), float("inf"), network.state_dict()
    rows = np.arange(min(training.evaluate.examples, len(validation)))
    for step in range(1, budget + 1):
        loop.step()
        if step in looks:
            loss = evaluator.scores("validation", validation, ["loss", "token_accuracy"], rows)[0].value
            if loss is not None and loss < best:
                best, weights = loss, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    for name in settings.task.splits:
        if name != "training":
            evaluator.scores(name, data.split(name), settings.task.metrics)
    return time.perf_counter() - began, budget


def bare_loops(jobs: Sequence[Job]) -> float:
    """Seconds of all loops together, two at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(AT_ONCE, prepare, (1,)) as pool:
        pool.map(bare, list(jobs[:AT_ONCE]), chunksize=1)  # warms both up, and makes the data
        return sum(seconds for seconds, _ in pool.map(bare, list(jobs), chunksize=1))


def steps_for(seconds: float) -> int:
    """How many steps make a bare loop last so long while another one runs beside it."""
    jobs = study(AT_ONCE, 100)[1]
    context = multiprocessing.get_context("spawn")
    with context.Pool(AT_ONCE, prepare, (1,)) as pool:
        pool.map(bare, jobs, chunksize=1)
        few = sum(took for took, _ in pool.starmap(bare, [(job, 50) for job in jobs], chunksize=1)) / AT_ONCE
        many = sum(took for took, _ in pool.starmap(bare, [(job, 150) for job in jobs], chunksize=1)) / AT_ONCE
    return max(20, round(50 + (seconds - few) * 100 / (many - few)))


def words_of(runs: int, steps: int) -> list[str]:
    """What makes the quickstart a study of so many runs: fewer seeds, and fewer arms where there are few runs."""
    arms = min(ARMS, runs)
    names = ["learned", "no_position", "one_head", "batch_norm", "additive"][: arms - 1]
    chosen = [word for name in names for word in ("--arms", name)] if arms < ARMS else []
    sets = [f"training.steps={steps}", "machine.accelerator=cpu", f"seeds={-(-runs // arms)}"]
    return [*chosen, *(word for text in sets for word in ("--set", text))]


def study(runs: int, steps: int) -> tuple[Plan, list[Job]]:
    words = words_of(runs, steps)
    sets = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    arms = [words[index + 1] for index, word in enumerate(words) if word == "--arms"]
    planned = plan(load(FILE, sets), arms=arms)
    return planned, [planned.job(run) for run in planned.trained]


def by_command(runs: int, steps: int) -> float:
    """Seconds from the start of `paribus run` to its last record."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*words_of(runs, steps), "--store", f"{folder}/.paribus", "--workers", str(AT_ONCE), "--quiet"]
        began = time.time()
        subprocess.run(
            [sys.executable, "-m", "paribus", "run", str(FILE), *words],
            check=True,
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )
        records = list(Path(folder).glob(".paribus/runs/*/record.json"))
        assert len(records) == len(study(runs, steps)[1]), f"{len(records)} records"
        return max(file.stat().st_mtime for file in records) - began


def by_hand(jobs: Sequence[Job]) -> float:
    """Seconds of a process for each run, two at a time."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{job.id}.json" for job in jobs]
        for job, file in zip(jobs, files, strict=True):
            file.write_text(json.dumps(asdict(job)))
        script = Path(__file__).with_name("by_hand.py")

        def one(file: Path) -> None:
            words = [sys.executable, str(script), str(file)]
            subprocess.run(words, check=True, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL)

        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(one, files))
        return time.perf_counter() - began


def compare(runs: int, seconds: int, parts: Sequence[str]) -> None:
    steps = steps_for(seconds)
    jobs = study(runs, steps)[1]
    print(f"\n{len(jobs)} runs of {steps} steps, each about {seconds} s, {AT_ONCE} at once")
    took: dict[str, float] = {}
    if "bare" in parts:
        took["bare"] = bare_loops(jobs)
        print(f"  bare loops   {took['bare']:7.1f} s together, {took['bare'] / len(jobs):.2f} s each")
    if "paribus" in parts:
        took["paribus"] = by_command(runs, steps)
        print(f"  paribus      {took['paribus']:7.1f} s from the command to the last record")
    if "hand" in parts:
        took["hand"] = by_hand(jobs)
        print(f"  by hand      {took['hand']:7.1f} s")
    if {"bare", "paribus"} <= set(took):
        efficiency, target = took["bare"] / (AT_ONCE * took["paribus"]), EFFICIENCY.get(seconds, 0.0)
        print(f"  efficiency   {efficiency:7.3f}   target at least {target:g}   {verdict(efficiency >= target)}")
    if {"hand", "paribus"} <= set(took):
        faster = took["hand"] / took["paribus"]
        told = f"target at least {SPEEDUP:g}   {verdict(faster >= SPEEDUP)}" if seconds <= 5 else ""
        print(f"  to by hand   {faster:7.2f}   {told}")


def verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


STORED = """
name: stored
task: {kind: phrases, level: numbers}
arms:
  {a1: {network.mixer.heads: 1}, a2: {network.mixer.heads: 2}, a3: {network.position: learned},
   a4: {network.position: none}, a5: {network.norm: rms}, a6: {network.feedforward: gelu},
   a7: {network.mixer: gru}, a8: {training.optimizer.lr: 2e-3}, a9: {network.depth: 1}}
seeds: SEEDS
analysis: {smallest_effect: 0.02}
"""

LOADING = """
import sys
from pathlib import Path
from paribus.report.results import Results
from paribus.store.folder import open_store
from paribus.training import prepare
store = open_store(sys.argv[1])
plan = store.database.plan("stored")
results = Results(plan, store.database.outcomes(run.id for run in plan.runs))
found = sum(1 for arm in plan.arms for _ in results.finished(arm.name, ""))
assert found == len(plan.runs), found
"""


def filled(count: int, folder: Path) -> Path:
    """A store of so many runs that ended well, and the file that they are of."""
    from report import record

    from paribus.store.database import Attempt

    file = folder / "stored.yaml"
    file.write_text(STORED.replace("SEEDS", str(count // 10)))
    store = open_store(str(folder / ".paribus"))
    planned = plan(load(file))
    store.database.save_plan(planned)
    for start in range(0, count, 500):
        made = [record(run, POINTS) for run in planned.runs[start : start + 500]]
        store.database.add_attempts([Attempt(one.run, one.status, one.reason, one) for one in made])
    store.database.close()
    return file


def measured(words: list[str], folder: Path) -> tuple[float, int]:
    """Seconds and peak bytes of a process."""
    began = time.perf_counter()
    with (folder / "said.txt").open("w") as out:
        process = subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, words
    return time.perf_counter() - began, used.ru_maxrss * 1024


def stores(counts: Sequence[int]) -> None:
    print(f"\nstores of runs with {POINTS} points of curves")
    print(f"  {'runs':>7} {'command':<18} {'seconds':>8} {'peak MiB':>9}   target")
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            file = filled(count, folder)
            words = [sys.executable, "-m", "paribus"]
            cases = {
                "plan": [*words, "plan", str(file), "--store", ".paribus", "--no-probe"],
                "runs": [*words, "runs", "--store", ".paribus"],
                "report": [sys.executable, "-c", LOADING, ".paribus"],
            }
            for name, command in cases.items():
                measured(command, folder) if count == min(counts) else None  # warms the caches of the machine up
                seconds, memory = measured(command, folder)
                met = seconds < MOST_SECONDS[name] and (name != "report" or memory < MOST_MEMORY)
                told = {"plan": "plan --no-probe", "runs": "runs", "report": "report, loading"}[name]
                most = f"{MOST_SECONDS[name]:g} s" + (f", {MOST_MEMORY // MIB} MiB" if name == "report" else "")
                print(f"  {count:>7} {told:<18} {seconds:>8.2f} {memory / MIB:>9.0f}   {most}   {verdict(met)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seconds", type=int, nargs="+", default=[5, 20], help="of a bare run")
    parser.add_argument("--stored", type=int, nargs="+", default=[1000, 10_000], help="runs of the made-up stores")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for seconds in options.seconds if set(options.parts) - {"store"} else ():
        # By hand only the short ones: there the start of a process weighs most.
        parts = [part for part in options.parts if part != "hand" or seconds <= 5]
        compare(options.runs, seconds, parts)
    if "store" in options.parts:
        stores(options.stored)


if __name__ == "__main__":
    main()
