"""Processes killed at moments of a seeded generator: in the end every number is as if nothing had been."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from paribus.spec.machine import Checkpoint
from paribus.store.folder import open_store
from paribus.store.process import alive
from paribus.training.checkpoint import Checkpoints

EVERY = 1.0  # seconds between checkpoints
PACE = 0.04  # seconds that a step waits while there is killing, so that nothing ends before it was killed often enough
TIMES = {"started_at", "finished_at", "seconds", "step_seconds", "peak_memory", "notes"}
FILE = """\
name: small
task:
  {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}
network: {width: 16, depth: 1, mixer: {heads: 2}, feedforward: {width: 32}, dropout: 0.0}
training:
  {steps: 600, batch: {examples: 20}, optimizer: {lr: 1e-2}, schedule: lab.paced, evaluate: {every: 0.1, examples: 40}}
arms: {one_head: {network.mixer.heads: 1}, summed: {training.accumulate: 2, network.dropout: 0.2}}
seeds: 2
machine: {checkpoint: {every_seconds: 1}, retries: 100}
"""
PACED = '''"""A constant rate whose steps take as long as is asked, and that writes down when each of them begins."""
import os, time
from pathlib import Path
from paribus.parts.schedule import ScheduleSpec

class Spec(ScheduleSpec):
    def factor(self, before, after, budget):
        log = os.readlink("/proc/self/fd/1")
        if log.endswith("log.txt"):  # in a worker, which writes to the log of its run
            run = Path(log).parent.name.partition(".")[0]
            with open(f"{os.environ['TRACES']}/{os.getpid()}", "a") as trace:
                trace.write(f"{run} {before:g} {time.monotonic()}\\n")
            time.sleep(float(os.environ["PACE"]))
        return super().factor(before, after, budget)
    def later(self, before, after, rise, budget):
        return 1.0
'''


class Place:
    """A store of its own with the traces of all steps that were made for it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.store = folder / name
        self.traces = folder / f"{name}-traces"
        self.traces.mkdir()

    def begin(self, pace: float = PACE) -> "subprocess.Popen[str]":
        # In a session of its own, as a shell would start it: Ctrl-C reaches the workers too.
        return subprocess.Popen(
            [sys.executable, "-m", "paribus", "run", "small.yaml", "--store", str(self.store), "--workers", "2"],
            cwd=self.folder,
            env={**os.environ, "TRACES": str(self.traces), "PACE": str(pace), "NO_COLOR": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self) -> None:
        """Let it come to its end at full speed, and see that nothing is left that is not whole."""
        driver = self.begin(pace=0)
        _, said = driver.communicate(timeout=600)
        assert driver.returncode == 0, said
        left = [path.name for path in self.store.rglob("*") if ".partial" in path.name or ".resume" in path.name]
        assert left == []
        assert open_store(str(self.store)).database.drivers() == {}

    def numbers(self) -> dict[str, Any]:
        """All that the runs left, but times and memory."""
        found = {}
        for file in sorted((self.store / "runs").glob("*/record.json")):
            record = json.loads(file.read_text())
            record["curves"].pop("seconds")
            found[file.parent.name] = {name: value for name, value in record.items() if name not in TIMES}
        return found

    def workers(self) -> list[int]:
        """Those at work: processes that have begun a step and are still there."""
        return [process for trace in sorted(self.traces.iterdir()) if alive(process := int(trace.name))]

    def state(self) -> set[tuple[str, int]]:
        found = set()
        for pattern in ("*.resume/last.ckpt", "*/record.json"):
            for file in (self.store / "runs").glob(pattern):
                with contextlib.suppress(OSError):
                    found.add((str(file), file.stat().st_mtime_ns))
        return found

    def await_progress(self, driver: "subprocess.Popen[str]") -> None:
        """Until there is a checkpoint or a record that was not there before."""
        before, deadline = self.state(), time.monotonic() + 120
        while not self.state() - before:
            assert driver.poll() is None, "it ended too early: take longer steps"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def check_files(self) -> None:
        """With nobody at work: all that has its name is whole, and so is the database."""
        for file in (self.store / "runs").glob("*/record.json"):
            json.loads(file.read_text())
            assert (file.parent / "weights.safetensors").exists()
        for folder in (self.store / "runs").glob("*.resume"):
            checkpoints = Checkpoints(folder, Checkpoint(), 1)
            checkpoints.newest()
            assert checkpoints.notes == []
        with contextlib.closing(sqlite3.connect(self.store / "store.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def losses(self) -> list[tuple[float, float]]:
        """For each attempt that another one went on from: seconds of training lost, and its longest step."""
        attempts: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for trace in self.traces.iterdir():
            for line in trace.read_text().splitlines():
                run, step, at = line.split()
                attempts.setdefault((run, trace.name), []).append((int(step), float(at)))
        runs: dict[str, list[list[tuple[int, float]]]] = {}
        for (run, _), steps in sorted(attempts.items(), key=lambda item: item[1][0][1]):
            runs.setdefault(run, []).append(steps)
        return [loss(broken, after[0][0]) for of_run in runs.values() for broken, after in pairwise(of_run)]


def loss(broken: list[tuple[int, float]], resumed: int) -> tuple[float, float]:
    """How long an attempt had trained since the beginning of the step that the next one began with."""
    began = dict(broken)
    assert broken[0][0] <= resumed <= broken[-1][0] + 1, "it went on from another step than it had kept"
    longest = max((later - earlier for (_, earlier), (_, later) in pairwise(broken)), default=0.0)
    return (broken[-1][1] - began[resumed] if resumed in began else 0.0), longest


def await_nobody(leader: int) -> None:
    """Until no process of a session is left, which has to be soon."""
    deadline = time.monotonic() + 5
    while left := session(leader):
        assert time.monotonic() < deadline, f"processes are left behind: {left}"
        time.sleep(0.05)


def session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("killed")
    (made / "lab").mkdir()
    (made / "lab" / "__init__.py").touch()
    (made / "lab" / "paced.py").write_text(PACED)
    (made / "small.yaml").write_text(FILE)
    return made


@pytest.fixture(scope="module")
def straight(folder: Path) -> dict[str, Any]:
    """The numbers of runs that nothing disturbed."""
    place = Place(folder, "straight")
    place.finish()
    numbers = place.numbers()
    assert len(numbers) == 6
    return numbers


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.kills)])
def test_drivers_and_workers_are_killed_and_no_number_changes(
    kills: int, folder: Path, straight: dict[str, Any]
) -> None:
    chance = random.Random(kills)
    place = Place(folder, f"killed-{kills}")
    driver = place.begin()
    for kill in range(kills):
        place.await_progress(driver)
        time.sleep(chance.uniform(0.0, 1.0))
        workers = place.workers()
        if workers and chance.random() < (0.75 if kill else 0):
            os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            driver.kill()
            driver.communicate()
            await_nobody(driver.pid)
            place.check_files()
            driver = place.begin()
    driver.kill()
    driver.communicate()
    await_nobody(driver.pid)
    place.finish()
    assert place.numbers() == straight
    losses = place.losses()
    assert len(losses) >= kills / 2, "hardly anything was disturbed"
    assert max(lost for lost, _ in losses) > 0, "nothing was ever lost: nothing is measured"
    sys.stdout.write(f"{len(losses)} attempts; lost at most {max(lost for lost, _ in losses):.2f} s of training\n")
    assert [(lost, step) for lost, step in losses if lost > EVERY + step] == []


@pytest.mark.kills
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_asked_to_end_ends_in_order_and_is_gone_on_with(
    number: signal.Signals, folder: Path, straight: dict[str, Any]
) -> None:
    chance = random.Random(int(number))
    place = Place(folder, number.name)
    for _ in range(3):
        driver = place.begin()
        place.await_progress(driver)
        time.sleep(chance.uniform(0.0, 1.0))
        os.killpg(driver.pid, number) if number == signal.SIGINT else driver.send_signal(number)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == 130, said
        assert "the same command goes on with what is missing" in said
        assert "Traceback" not in said
        await_nobody(driver.pid)
        place.check_files()
    place.finish()
    assert place.numbers() == straight
    assert {lost for lost, _ in place.losses()} == {0.0}  # runs end with their step, and keep it


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.3, 1.5, 3.0, 5.0])
def test_ctrl_c_while_workers_start_is_told_in_a_sentence(wait: float, folder: Path) -> None:
    place = Place(folder, f"start-{wait}")
    driver = place.begin(pace=1.0)
    time.sleep(wait)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode in (130, -signal.SIGINT), said
    if driver.returncode == 130:
        assert "goes on with what is missing" in said
        assert "Traceback" not in said
    await_nobody(driver.pid)
