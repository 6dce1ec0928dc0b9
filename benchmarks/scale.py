"""How many records a second one driver takes, and whether its memory stays flat, over 100,000 runs.

    python benchmarks/scale.py [--runs 100000] [--workers 8] [--points 20] [--news 1] [--profile FILE]

Everything is real (`execute`, the pool with its processes and pipes, claims, the SQLite store, the table that moves on
a terminal) but the training: a worker answers each job at once with `--news` messages of progress and a ready record
like that of a quickstart run, with `--points` evaluations.
"""

import argparse
import cProfile
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from report import Case, plan, record
from rich.console import Console

from paribus.cli.live import Moving
from paribus.planning import Plan, Run
from paribus.planning import plan as resolve
from paribus.running import Event, Finished, execute
from paribus.running.local import Pool
from paribus.spec.load import load
from paribus.store.folder import open_store
from paribus.store.record import Record

ARMS = 100
RATE, GROWTH = 300, 300  # targets: records a second, MiB
MIB = 2**20
PARAMETERS = 60  # of a quickstart network, each with the hash of its first values


def ready(connection: Connection, runs: str, threads: int, paths: list[str], devices: str | None, where: str) -> None:
    """In the place of a worker: answers each job at once."""
    made: dict[str, Any] = {}
    connection.send({"type": "ready"})
    while (message := connection.recv()) is not None:
        if "stop" in message:
            continue
        run = message["job"]["id"]
        points, said = map(int, message["work"].split())
        made = made or asdict(like_a_quickstart_run(points))
        news = {"step": 500, "steps": 500, "loss": 0.1, "speed": 4e4, "seconds": 15.0, "note": "", "curves": None}
        for _ in range(said):
            connection.send({"type": "news", "news": news})
        connection.send({"type": "done", "status": "ok", "reason": "", "record": {**made, "run": run}})


def like_a_quickstart_run(points: int) -> Record:
    made = record(Run("0" * 16, "baseline", "", 1), points)
    initial = {f"decoder.{index}.mixer.query.weight": f"64x64:{index:012x}" for index in range(PARAMETERS)}
    probes = {step: {f"gradient.{index}": index / 7 for index in range(30)} for step in ("first", "last")}
    return replace(made, initial=initial, probes=probes, order=[(index, f"{index:016x}") for index in range(points)])


class Records(Pool):
    """The pool, asking its stand-ins for records of so many points after so many messages."""

    asked = "20 1"

    def run(self, jobs: Sequence[Any], work: str) -> Any:
        return super().run(jobs, self.asked)


@dataclass
class Meter(Moving):
    """The table on a terminal that nobody sees, counting."""

    records: int = 0
    news: int = 0
    samples: list[tuple[float, int, int]] = field(default_factory=list)  # seconds, records, bytes

    def __post_init__(self) -> None:
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115  # as long as the process lives
        self.console = Console(file=nowhere, force_terminal=True, width=120, height=40)
        self._ended = threading.Event()

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        super().begin(plan, waiting, workers)
        self.began = time.perf_counter()
        threading.Thread(target=self._sample, daemon=True).start()

    def hear(self, event: Event) -> None:
        super().hear(event)
        self.records += isinstance(event, Finished)
        self.news += not isinstance(event, Finished)

    def end(self) -> None:
        super().end()
        self._ended.set()
        self._look()

    def _sample(self) -> None:
        self._look()
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        self.samples.append((time.perf_counter() - self.began, self.records, resident()))


def resident() -> int:
    """Bytes that this process holds."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(row for row in status.splitlines() if row.startswith("VmRSS")).split()[1])


def planned(runs: int) -> Plan:
    """Arms by seeds with the settings of the quickstart."""
    arms = min(ARMS, max(1, runs // 10))
    real = resolve(load("experiments/quickstart.yaml"))
    made = plan(Case(f"{runs} runs", arms, -(-runs // arms), False, 0, 0, None))
    settings = {arm.name: {"": real.settings["baseline"][""]} for arm in made.arms}
    return replace(made, settings=settings, machine=real.machine, runs=made.runs[:runs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--news", type=int, default=1, help="messages of progress for each run")
    parser.add_argument("--profile", help="a file for what cProfile finds in the driver")
    options = parser.parse_args()
    began = time.perf_counter()
    wanted = planned(options.runs)
    print(f"{len(wanted.runs)} runs of {len(wanted.arms)} arms planned in {time.perf_counter() - began:.1f} s")
    meter = Meter()
    profile = cProfile.Profile() if options.profile else None
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / ".paribus"))
        pool = Records(store.runs, workers=options.workers, threads=1, retries=0, recycled=None, target=ready)
        pool.asked = f"{options.points} {options.news}"
        began = time.perf_counter()
        if profile:
            profile.enable()
        summary = execute(wanted, store, pool, meter, workers=options.workers)
        if profile:
            profile.disable()
            profile.dump_stats(options.profile)
        whole = time.perf_counter() - began
        statuses = store.database.statuses(run.id for run in wanted.runs)
        assert summary.trained == len(statuses) == len(wanted.runs), summary
        size = sum(file.stat().st_size for file in Path(folder).rglob("store.db*"))
        store.database.close()
    told(meter, whole, size)


def told(meter: Meter, whole: float, size: int) -> None:
    """Print how it went, in ten parts and as a whole."""
    samples = meter.samples
    print(f"\n{'records':>9} {'seconds':>9} {'records/s':>10} {'driver MiB':>11}")
    last = samples[0]
    for part in range(1, 11):
        found = next((s for s in samples if s[1] >= meter.records * part / 10), samples[-1])
        if found[0] > last[0]:
            rate = (found[1] - last[1]) / (found[0] - last[0])
            print(f"{found[1]:>9} {found[0]:>9.1f} {rate:>10.0f} {found[2] / MIB:>11.0f}")
            last = found
    took = samples[-1][0]
    growth = (max(memory for _, _, memory in samples) - samples[0][2]) / MIB
    print(f"\n{meter.news / took:.0f} messages of progress a second besides")
    print(f"before the first job {whole - took:.1f} s; database {size / MIB:.0f} MiB")
    for what, found, target, met in (
        ("records a second", meter.records / took, f"at least {RATE}", meter.records / took >= RATE),
        ("growth of memory, MiB", growth, f"under {GROWTH}", growth < GROWTH),
    ):
        print(f"{what:<24}{found:>8.0f}   target {target:<14} {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main()
