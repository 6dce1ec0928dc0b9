"""Trackers get what the store has, in a process of their own, and their trouble is told once and costs no run."""

import csv
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paribus.__main__ import main
from paribus.planning import Job
from paribus.running.tracking import Uploads, history, story
from paribus.store.folder import open_store
from paribus.store.record import Record, Score

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RECORD = Record(
    "a1b2c3",
    "ok",
    steps=4,
    tokens=80,
    seconds=1.5,
    chosen_step=4,
    cost={"parameters": 10.0},
    scores=[Score("test", "loss", 0.5), Score("test", "accuracy", None, "capacity")],
    curves={"step": [2.0, 4.0], "train_loss": [1.0, 0.75], "validation_loss": [0.9, None]},
)
JOB = Job("a1b2c3", 3, {"network": {"width": 16}}, {})


def one() -> dict[str, Any]:
    return story(JOB, RECORD, "baseline/s3", "train", "small")


def test_a_story_holds_what_the_store_holds() -> None:
    told = one()
    assert told["history"] == [
        {"step": 2.0, "training/loss": 1.0, "validation/loss": 0.9},
        {"step": 4.0, "training/loss": 0.75},
    ]
    assert told["summary"]["test/loss"] == 0.5
    assert "test/accuracy" not in told["summary"]
    assert told["config"]["network"] == {"width": 16}
    assert told["id"] == "a1b2c3"


def test_csv_files_hold_history_and_summary(tmp_path: Path) -> None:
    said: list[str] = []
    uploads = Uploads({"kind": "csv"}, tmp_path, said.append, "small")
    uploads.run(one())
    uploads.close()
    assert uploads.sent == ["a1b2c3"]
    with (tmp_path / "csv" / "small" / "a1b2c3.csv").open() as file:
        assert [row["training/loss"] for row in csv.DictReader(file)] == ["1.0", "0.75"]
    assert said == []


def test_a_run_that_was_trained_again_stands_in_the_csv_summary_once(tmp_path: Path) -> None:
    uploads = Uploads({"kind": "csv"}, tmp_path, lambda text: None, "small")
    other = {**one(), "id": "d4e5f6"}
    for told in (one(), other, {**one(), "summary": {"test/loss": 0.25}}):
        uploads.run(told)
    uploads.close()
    with (tmp_path / "csv" / "small" / "runs.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[2] for row in rows if row[:2] == ["a1b2c3", "test/loss"]] == ["0.25"]
    assert [row[2] for row in rows if row[:2] == ["d4e5f6", "test/loss"]] == ["0.5"]


@pytest.mark.slow
def test_tensorboard_files_are_written(tmp_path: Path) -> None:
    uploads = Uploads({"kind": "tensorboard"}, tmp_path, lambda text: None, "small")
    uploads.run(one())
    uploads.close()
    assert uploads.sent == ["a1b2c3"]
    assert list(tmp_path.glob("tensorboard/small/baseline-s3/a1b2c3/events.*"))


def test_trouble_is_told_once_and_ends_tracking(tmp_path: Path) -> None:
    (tmp_path / "csv").write_text("a file where a folder should be")
    said: list[str] = []
    uploads = Uploads({"kind": "csv"}, tmp_path, said.append, "small")
    for _ in range(3):
        uploads.run(one())
    uploads.close()
    uploads.run(one())
    assert uploads.sent == []
    assert len(said) == 1
    assert said[0].startswith("tracking by csv was lost (")


@pytest.mark.slow
def test_without_a_network_tracking_is_lost_within_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    said: list[str] = []
    uploads = Uploads({"kind": "wandb", "mode": "online"}, tmp_path, said.append, "small")
    began = time.monotonic()
    uploads.run(one())
    uploads.run(one())
    uploads.close()
    assert time.monotonic() - began < 45
    assert len(said) == 1
    assert "`paribus wandb push small` sends it later" in said[0]


def kept(file: Path) -> Iterator[Any]:
    """The records of an offline run: blocks of 32 KiB, each piece with checksum, length and kind."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if room < 7 or not kind:
            at += room
            continue
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole one, or the last piece
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def items(rows: Any) -> dict[str, Any]:
    return {"/".join([*([row.key] if row.key else []), *row.nested_key]): json.loads(row.value_json) for row in rows}


def read_back(file: Path) -> dict[str, Any]:
    """Name, config, history, summary and artifacts of an offline run."""
    found: dict[str, Any] = {"config": {}, "history": [], "summary": {}, "artifacts": []}
    for record in kept(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"id": record.run.run_id, "name": record.run.display_name, "group": record.run.run_group}
            found["job_type"] = record.run.job_type
            found["config"] |= {row.key: json.loads(row.value_json) for row in record.run.config.update}
        elif kind == "history":
            row = items(record.history.item)
            found["history"].append({key: value for key, value in row.items() if not key.startswith("_")})
        elif kind == "summary":
            found["summary"] |= items(record.summary.update)
        elif kind == "artifact":
            found["artifacts"].append(
                (record.artifact.type, [entry.path for entry in record.artifact.manifest.contents])
            )
    return found


@pytest.mark.slow
def test_wandb_offline_equals_the_store_for_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARIBUS_STORE", raising=False)
    text = (EXPERIMENTS / "copy-smoke.yaml").read_text() + "tracking: {kind: wandb, mode: offline, tags: [mine]}\n"
    (tmp_path / "copy-smoke.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", "copy-smoke.yaml", "--store", "store", "--quiet"])
    assert ended.value.code in (0, None)
    store = open_store("store")
    plan = store.database.plan("copy-smoke")
    assert plan is not None
    files = list((tmp_path / "store" / "wandb").glob("offline-run-*/*.wandb"))
    runs = {found["id"]: found for found in map(read_back, files)}
    assert len(runs) == len(plan.runs) + 1
    outcomes = store.database.outcomes(run.id for run in plan.runs)
    for run in plan.runs:
        record, found = outcomes[run.id].record, runs[run.id]
        assert record is not None
        assert (found["name"], found["group"], found["job_type"]) == (f"{run.arm}/s{run.seed}", "copy-smoke", "train")
        job = plan.job(run)
        expected = json.loads(json.dumps({**job.settings, "seed": run.seed, "environment": record.environment}))
        assert {key: value for key, value in found["config"].items() if key != "_wandb"} == expected
        assert found["history"] == history(record)
        for score in record.scores:
            assert found["summary"].get(f"{score.split}/{score.metric}") == score.value
        assert found["summary"]["status"] == record.status
        assert found["summary"]["cost/parameters"] == record.cost["parameters"]
    report = next(found for found in runs.values() if found["job_type"] == "report")
    assert ("report", ["index.html"]) in report["artifacts"]
    assert any(kind == "run_table" for kind, _ in report["artifacts"])
