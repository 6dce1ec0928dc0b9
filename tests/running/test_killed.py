"""Processes killed at moments of a seeded generator: in the end every number is as if nothing had been."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paribus.store.folder import open_store

pytestmark = pytest.mark.kills
Write = Callable[..., Path]

KILLS = 20
TIMES = {"started_at", "finished_at", "seconds", "step_seconds", "peak_memory", "notes"}
MORE = """\
arms: {one_head: {network.mixer.heads: 1}, summed: {training.accumulate: 2, network.dropout: 0.2}}
machine: {checkpoint: {every_seconds: 1}, retries: 100}
"""
SETS = [
    "training.steps=600", "training.evaluate.every=0.1", "training.schedule=constant",
    "network.mixer.score=lab.unhurried",
]  # fmt: skip
UNHURRIED = '''"""A score that takes its time, so that there is some to be killed in, however quick the machine."""
import time
from paribus.parts import Part
from paribus.parts.score.dot import Dot

class Spec(Part):
    def build(self, *, head_dim):
        return Unhurried(head_dim)

class Unhurried(Dot):
    def forward(self, *inputs):
        time.sleep(0.005 * self.training)
        return super().forward(*inputs)
    def fused(self, *inputs):
        time.sleep(0.005 * self.training)
        return super().fused(*inputs)
'''


def command(file: Path, store: Path) -> list[str]:
    words = [sys.executable, "-m", "paribus", "run", str(file), "--store", str(store), "--workers", "2"]
    return [*words, *(word for change in SETS for word in ("--set", change))]


def begin(file: Path, store: Path) -> "subprocess.Popen[str]":
    # In a session of its own, as a shell would start it: Ctrl-C reaches the workers too.
    return subprocess.Popen(
        command(file, store), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def numbers(store: Path) -> dict[str, Any]:
    """All that the runs left, but times and memory."""
    found = {}
    for file in sorted((store / "runs").glob("*/record.json")):
        record = json.loads(file.read_text())
        record["curves"].pop("seconds")
        found[file.parent.name] = {name: value for name, value in record.items() if name not in TIMES}
    return found


def workers_of(driver: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == driver and "spawn_main" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def session(leader: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def await_nobody(leader: int) -> None:
    deadline = time.monotonic() + 5
    while left := session(leader):
        assert time.monotonic() < deadline, f"processes are left behind: {left}"
        time.sleep(0.05)


def await_progress(store: Path) -> None:
    """Until there is a checkpoint or a record that was not there before."""
    before, deadline = state(store), time.monotonic() + 300
    while not state(store) - before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(store: Path) -> set[tuple[str, int]]:
    found = set()
    for pattern in ("*.resume/last.ckpt", "*/record.json"):
        for file in (store / "runs").glob(pattern):
            with contextlib.suppress(OSError):
                found.add((str(file), file.stat().st_mtime_ns))
    return found


@pytest.fixture
def straight(write: Write, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "unhurried.py").write_text(UNHURRIED)
    file = write(MORE)
    done = subprocess.run(command(file, tmp_path / "straight"), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return numbers(tmp_path / "straight")


def finished(file: Path, store: Path) -> None:
    """Let it come to its end, and see that nothing is left that is not whole."""
    done = subprocess.run(command(file, store), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    left = [path.name for path in store.rglob("*") if ".partial" in path.name or ".resume" in path.name]
    assert left == []
    assert open_store(str(store)).database.drivers() == {}


def test_drivers_and_workers_are_killed_and_no_number_changes(
    write: Write, tmp_path: Path, straight: dict[str, Any]
) -> None:
    chance = random.Random(20)
    file, store = write(MORE), tmp_path / "store"
    kills, driver = 0, begin(file, store)
    while kills < KILLS:
        await_progress(store)
        time.sleep(chance.uniform(0.0, 1.0))
        assert driver.poll() is None, f"it ended after {kills} kills only: train for longer"
        workers = workers_of(driver.pid)
        if workers and chance.random() < 0.6:
            os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            leader = driver.pid
            driver.kill()
            driver.communicate()
            await_nobody(leader)
            driver = begin(file, store)
        kills += 1
    driver.kill()
    driver.communicate()
    finished(file, store)
    assert numbers(store) == straight


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_asked_to_end_ends_in_order_and_is_gone_on_with(
    number: signal.Signals, write: Write, tmp_path: Path, straight: dict[str, Any]
) -> None:
    chance = random.Random(int(number))
    file, store = write(MORE), tmp_path / "store"
    for _ in range(3):
        driver = begin(file, store)
        await_progress(store)
        time.sleep(chance.uniform(0.0, 1.0))
        os.killpg(driver.pid, number) if number == signal.SIGINT else driver.send_signal(number)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == 130, said
        assert "the same command goes on with what is missing" in said
        assert "Traceback" not in said
        await_nobody(driver.pid)
    finished(file, store)
    assert numbers(store) == straight


def test_ctrl_c_while_workers_start_is_told_in_a_sentence(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SETS", ["training.steps=100000"])
    for wait in (0.3, 1.5, 3.0, 5.0):
        driver = begin(write(MORE), tmp_path / "store")
        time.sleep(wait)
        os.killpg(driver.pid, signal.SIGINT)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode in (130, -signal.SIGINT), said
        if driver.returncode == 130:
            assert "goes on with what is missing" in said
            assert "Traceback" not in said
        await_nobody(driver.pid)
