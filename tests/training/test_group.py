"""One run over several devices, here processes of a CPU: its numbers, its end, and what a lost process does."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from paribus.errors import MachineError
from paribus.planning import Job
from paribus.running import Event, Finished, Moved
from paribus.running.local import Pool
from paribus.spec.machine import Machine
from paribus.store import record as records
from paribus.store.process import alive
from paribus.store.record import Record
from paribus.training.module import Stream
from paribus.training.settings import Settings, device_of

Jobs = Callable[..., Job]
Attempt = Callable[..., Record]
PLAIN = ("training.optimizer=sgd", "training.optimizer.lr=0.3")  # Adam would make a step of what is rounding alone
TOGETHER = "machine.devices=2"


def assert_equal(one: Record, other: Record, tolerance: float) -> None:
    """All numbers of two runs but times, speed and memory."""
    assert (one.status, one.order, one.tokens, one.steps) == (other.status, other.order, other.tokens, other.steps)
    assert [(score.split, score.metric) for score in one.scores] == [(s.split, s.metric) for s in other.scores]
    for score, same in zip(one.scores, other.scores, strict=True):
        assert score.value == pytest.approx(same.value, abs=tolerance), score
    for name in set(one.curves) - {"seconds"}:
        assert one.curves[name] == pytest.approx(other.curves[name], abs=tolerance), name
    for moment, seen in one.probes.items():
        assert seen == pytest.approx(other.probes[moment], abs=tolerance)


@pytest.mark.parametrize(
    ("sets", "devices"),
    [
        # Each takes seconds: a process that trains along has torch to load.
        (("training.accumulate=2",), 2),
        pytest.param(("network.norm={kind: batch, sync: true}",), 2, marks=pytest.mark.slow),
        pytest.param(
            ("network.family=decoder", "training.batch={tokens: 9, examples: null}"), 3, marks=pytest.mark.slow
        ),
        pytest.param(("training.tokens=700",), 2, marks=pytest.mark.slow),
    ],
    ids=["micro-batches", "batch norm in step", "more devices than rows", "a budget of tokens"],
)
def test_the_numbers_of_several_devices_are_those_of_one(
    job: Jobs, attempt: Attempt, tmp_path: Path, sets: tuple[str, ...], devices: int
) -> None:
    alone = attempt(tmp_path / "alone", job(*PLAIN, *sets))
    together = attempt(tmp_path / "together", job(*PLAIN, *sets, f"machine.devices={devices}"))
    assert alone.status == "ok"
    assert_equal(together, alone, 1e-5)
    assert (together.environment["devices"], together.environment["strategy"]) == (devices, "ddp")


@pytest.mark.slow
def test_a_run_over_two_devices_repeats_and_goes_on_to_the_last_bit(
    job: Jobs, attempt: Attempt, tmp_path: Path
) -> None:
    work = job(TOGETHER, "network.dropout=0.2", "training.accumulate=2", "machine.checkpoint={every_steps: 2}")
    whole = attempt(tmp_path / "whole", work)
    asked = iter(["", "", "", "interrupted"])
    broken = attempt(tmp_path / "broken", work, lambda: next(asked))
    assert (broken.status, broken.reason) == ("interrupted", "stopped at step 4 of 6")
    assert_equal(attempt(tmp_path / "broken", work), whole, 0.0)


def test_each_device_reads_its_share_and_knows_the_whole(job: Jobs) -> None:
    settings = Settings.of(job("training.batch.examples=7"))
    split = settings.data.split("training")
    whole = next(iter(Stream(split, settings.training, 1, 0.0)))
    shares = [next(iter(Stream(split, settings.training, 1, 0.0, rank=rank, size=3))) for rank in range(3)]
    assert sorted(row for share in shares for row in share.reading.rows) == sorted(whole.rows)
    assert sum(share.reading.asked for share in shares) == whole.asked == whole.reading.asked
    for share in shares:
        assert (share.asked, share.tokens, share.spent) == (whole.asked, whole.tokens, whole.spent)
        assert (share.rows == whole.rows).all()


def test_a_device_without_a_row_of_its_own_is_asked_nothing(job: Jobs) -> None:
    settings = Settings.of(job("training.batch.examples=2"))
    lonely = next(iter(Stream(settings.data.split("training"), settings.training, 1, 0.0, rank=2, size=3)))
    assert (lonely.reading.asked, len(lonely.reading.rows)) == (0, 1)
    assert lonely.asked > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "status"),
    [
        (("training.early_stop={patience: 1}", "training.optimizer.lr=1e-12", "training.evaluate.every=1"), "ok"),
        (("training.optimizer.lr=1e30", "training.clip_norm=null", "network.norm=none"), "diverged"),
    ],
)
def test_the_leader_decides_when_it_is_over_and_nobody_is_left(
    job: Jobs, attempt: Attempt, tmp_path: Path, sets: tuple[str, ...], status: str
) -> None:
    sets = ("training.steps=40", "training.schedule=constant", *sets)
    before = children(os.getpid())
    alone, together = (attempt(tmp_path / str(len(more)), job(*sets, *more)) for more in ((), (TOGETHER,)))
    assert together.status == alone.status == status
    assert (together.steps, together.fail_step) == (alone.steps, alone.fail_step)
    assert together.steps < 40
    assert children(os.getpid()) == before
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_a_lost_process_costs_an_attempt_and_a_lost_worker_takes_all_with_it(
    job: Jobs, attempt: Attempt, tmp_path: Path
) -> None:
    work = job(TOGETHER, "training.steps=80", "machine.checkpoint={every_steps: 10}")
    killed: list[int] = []
    others: list[int] = []

    def kill(event: Event, pool: Pool) -> None:
        if not isinstance(event, Moved) or not (event.news["step"] or 0) >= 20 or len(killed) == 2:
            return
        (worker,) = (one.process.pid for one in pool._workers)
        assert worker is not None
        (other,) = children(worker)
        if other not in others:
            others.append(other)
            killed.append((other, worker)[len(killed)])
            os.kill(killed[-1], signal.SIGKILL)

    finished = events(Pool(tmp_path, workers=1, threads=1, retries=3), [work], kill)
    assert [(event.status, event.final) for event in finished] == [("crashed", False), ("crashed", False), ("ok", True)]
    assert "a process that trained along ended with code -9" in finished[0].reason
    assert "the worker was killed by SIGKILL" in finished[1].reason
    deadline = time.monotonic() + 10
    while any(alive(process) for process in others):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    undisturbed = attempt(tmp_path / "undisturbed", work)
    assert finished[-1].record is not None
    assert_equal(records.of(records.tree(finished[-1].record)), undisturbed, 0.0)


def events(pool: Pool, jobs: Sequence[Job], act: Callable[[Event, Pool], None]) -> list[Finished]:
    found = []
    for event in pool.run(jobs, "train"):
        act(event, pool)
        if isinstance(event, Finished):
            found.append(event)
    return found


def children(process: int) -> list[int]:
    """Those that a process has started by itself, but the helper of multiprocessing."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    found = [int(word) for task in tasks for word in task.read_text().split()]
    return [one for one in found if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_more_devices_than_there_are_is_told() -> None:
    if torch.cuda.is_available():
        with pytest.raises(MachineError, match=r"machine\.devices is 99, but a run has \d+ GPUs here"):
            device_of(Machine(accelerator="cuda", devices=99))
    with pytest.raises(MachineError, match=r"torch finds no mps device here|there is one mps device"):
        device_of(Machine(accelerator="mps", devices=2))
