"""Going on inside a run: the numbers are those of a run that nothing disturbed, whatever happened to it in between."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from paribus.errors import MachineError
from paribus.planning import Job
from paribus.spec.machine import Checkpoint
from paribus.store import record as records
from paribus.store.record import Record
from paribus.training.checkpoint import BEFORE, LAST, MARK, Checkpoints
from paribus.training.fit import train

Jobs = Callable[..., Job]
Attempt = Callable[..., Record]

CHANGES = {
    "accumulation and dropout": ("network.dropout=0.2", "training.accumulate=2", "training.batch.examples=10"),
    "batch statistics": ("network.norm=batch", "training.optimizer={kind: sgd, momentum: 0.9}"),
    "an early stop": (
        "training.steps=60", "training.optimizer.lr=0.5", "training.schedule=constant", "training.evaluate.every=2",
        "training.early_stop={patience: 3}",
    ),
    "a budget of tokens": ("training.tokens=700", "training.select=last"),
    "divergence": (
        "training.optimizer.lr=1e30", "training.clip_norm=null", "network.norm=none", "training.schedule=constant",
    ),
}  # fmt: skip


class Killed(Exception):
    pass


def numbers(record: Record) -> dict[str, object]:
    """Everything but times, speed and memory."""
    tree = records.tree(record)
    for name in ("started_at", "finished_at", "seconds", "step_seconds", "peak_memory"):
        tree.pop(name)
    tree["curves"].pop("seconds", None)
    return tree


def killed_at(step: int) -> Callable[[], str]:
    """Dies there as suddenly as a process would, with nothing saved."""
    calls = itertools.count(1)

    def asked() -> str:
        if next(calls) == step:
            raise Killed
        return ""

    return asked


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_a_run_that_is_stopped_after_every_step_gives_the_numbers_of_one_that_is_not(
    changes: tuple[str, ...], job: Jobs, attempt: Attempt, tmp_path: Path
) -> None:
    work = job(*changes)
    (tmp_path / "straight").mkdir()
    straight = attempt(tmp_path / "straight", work)
    attempts = 0
    while (record := attempt(tmp_path, work, lambda: "interrupted")).status == "interrupted":
        attempts += 1
        assert record.steps == attempts
    assert attempts >= min(straight.steps - 1, 1)
    assert numbers(record) == numbers(straight)


def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(job: Jobs, attempt: Attempt, tmp_path: Path) -> None:
    sets = ("network.dropout=0.2", "training.accumulate=2", "training.batch.examples=10")
    every = "machine.checkpoint={every_seconds: null, every_steps: 2}"
    (tmp_path / "straight").mkdir()
    straight = attempt(tmp_path / "straight", job(*sets))
    assert not (tmp_path / "straight" / "resume").exists()
    work = job(*sets, every)
    heard: list[str] = []
    for step in (4, 3, 1):
        with pytest.raises(Killed):
            attempt(tmp_path, work, killed_at(step))
    assert {file.name for file in (tmp_path / "resume").iterdir()} == {LAST, BEFORE}
    record = train(work, tmp_path, lambda news: heard.append(news["note"]), lambda: "", tmp_path / "resume")
    assert "going on from step 4" in heard
    assert numbers(record) == numbers(straight)


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_is_taken_or_the_start(
    job: Jobs, attempt: Attempt, tmp_path: Path
) -> None:
    (tmp_path / "straight").mkdir()
    work = job("machine.checkpoint={every_steps: 1}")
    straight = attempt(tmp_path / "straight", work)
    for broken in ((LAST,), (LAST, BEFORE)):
        with pytest.raises(Killed):
            attempt(tmp_path, work, killed_at(3))
        for name in broken:
            damage(tmp_path / "resume" / name)
        heard: list[str] = []
        record = train(work, tmp_path, lambda news, to=heard: to.append(news["note"]), lambda: "", tmp_path / "resume")
        assert record.notes == [
            f"the checkpoint {tmp_path / 'resume' / name} is damaged; going on from the one before it or from the start"
            for name in broken
        ]
        assert ("going on from step 1" in heard) == (broken == (LAST,))
        assert {**numbers(record), "notes": []} == numbers(straight)
        Checkpoints(tmp_path / "resume", Checkpoint(), 1).clear()


def test_a_checkpoint_cut_short_of_another_format_or_no_checkpoint_is_not_gone_on_with(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, Checkpoint(), 1)
    checkpoints.save({"step": 1})
    whole = (tmp_path / LAST).read_bytes()
    for content in (whole[:-1], b"", MARK + whole[len(MARK) + 1 :], b"something else"):
        (tmp_path / LAST).write_bytes(content)
        assert checkpoints.newest() is None
    assert "is damaged" in checkpoints.notes[0]
    checkpoints.save({"format": 99})
    assert checkpoints.newest() is None
    assert "has format 99, which this version of paribus does not know" in "".join(checkpoints.notes)


def test_a_checkpoint_of_another_number_of_devices_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, Checkpoint(), 2).save({"step": 1})
    with pytest.raises(MachineError, match=r"was made on 2 devices, this run has 1: .* --fresh"):
        Checkpoints(tmp_path, Checkpoint(), 1).newest()


def test_training_goes_on_where_no_checkpoint_can_be_written(job: Jobs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    work = job("machine.checkpoint={every_steps: 1}")
    record = train(work, tmp_path, lambda news: None, lambda: "", tmp_path / "file" / "resume")
    assert record.status == "ok"
    assert record.notes == [
        f"no checkpoint could be written to {tmp_path / 'file' / 'resume'} (Not a directory); training goes on"
    ]


def test_times_add_up_over_attempts(job: Jobs, attempt: Attempt, tmp_path: Path) -> None:
    work = job("training.steps=30")
    first = attempt(tmp_path, work, lambda: "interrupted")
    again = attempt(tmp_path, work, lambda: "interrupted")
    assert again.seconds > first.seconds
    assert again.steps == 2
