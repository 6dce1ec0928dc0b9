"""Metrics that came after a run: computed from its weights, as they would have been, with nothing trained."""

import json
import sqlite3
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paribus.api import Silent, prepared
from paribus.cli.run import run
from paribus.errors import MachineError
from paribus.running import Summary, complete, execute
from paribus.running.local import Pool
from paribus.store import record as records
from paribus.store.folder import Store, open_store
from paribus.training.completing import completed

Write = Callable[..., Path]


def without(store: Store, metric: str, folder: Path) -> None:
    """As if the version that trained a run had not known a metric yet."""

    def stripped(tree: dict[str, Any]) -> str:
        return json.dumps({**tree, "scores": [s for s in tree["scores"] if s["metric"] != metric]})

    (folder / records.FILE).write_text(stripped(json.loads((folder / records.FILE).read_text())))
    store.database.close()
    with sqlite3.connect(store.folder / "store.db") as connection:
        rows = connection.execute("SELECT id, record FROM attempt WHERE run = ?", (folder.name,)).fetchall()
        for key, packed in rows:
            text = stripped(json.loads(zlib.decompress(packed))).encode()
            connection.execute("UPDATE attempt SET record = ? WHERE id = ?", (zlib.compress(text), key))
        connection.execute("DELETE FROM score WHERE run = ? AND metric = ?", (folder.name, metric))
    connection.close()


def scores(record: records.Record | None) -> dict[tuple[str, str], float | None]:
    assert record is not None
    return {(score.split, score.metric): score.value for score in record.scores}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_metric_that_came_later_is_computed_from_the_weights_and_nothing_is_trained(
    precision: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, place = write(f"machine: {{precision: {precision}}}\n"), str(tmp_path / "store")
    assert run(file, store=place, seeds=[2], workers=1, quiet=True) == 0
    store = open_store(place)
    one, other = (member.run for member in store.database.members("small"))
    before = store.database.outcomes([one, other])
    without(store, "exact_match", store.run_folder(one))
    weights = (store.run_folder(one) / "weights.safetensors").read_bytes()
    assert ("test", "exact_match") not in scores(store.database.outcomes([one])[one].record)
    assert run(file, store=place, seeds=[2], workers=1, quiet=True, complete=True) == 0
    assert "1 run completed, nothing was trained" in capsys.readouterr().err
    after = store.database.outcomes([one, other])
    assert after[other] == before[other]
    assert scores(after[one].record) == scores(before[one].record)
    assert records.read(store.run_folder(one)) == after[one].record
    assert after[one].attempts == 1
    assert after[one].record is not None
    assert [note.partition(": ")[0] for note in after[one].record.notes] == [
        "exact_match on validation, exact_match on test, exact_match on test_longer"
    ]
    assert (store.run_folder(one) / "weights.safetensors").read_bytes() == weights
    assert store.database.main_scores([store.find("small/baseline/1")])[one]["value"] is not None
    # Without weights it is told.
    without(store, "exact_match", store.run_folder(one))
    (store.run_folder(one) / "weights.safetensors").unlink()
    assert run(file, store=place, seeds=[2], workers=1, quiet=True, complete=True) == 1
    assert f"the run {one} has no weights" in capsys.readouterr().err


@pytest.mark.slow
def test_two_drivers_share_what_is_to_be_completed(write: Write, tmp_path: Path) -> None:
    _, planned = prepared(write(), seeds=[1, 2, 3, 4, 5, 6])
    store = open_store(str(tmp_path / "store"))

    def pool(work: Store) -> Pool:
        return Pool(work.runs, workers=1, threads=1, retries=0)

    execute(planned, store, pool(store), Silent(), workers=1)
    for trained in planned.runs:
        without(store, "loss", store.run_folder(trained.id))

    def finish() -> Summary:
        own = open_store(str(tmp_path / "store"))
        return complete(planned, own, pool(own), Silent(), workers=1)

    with ThreadPoolExecutor(2) as threads:
        both = [future.result(200) for future in [threads.submit(finish) for _ in range(2)]]
    assert sum(summary.completed for summary in both) == 6
    assert all(not summary.broken for summary in both)
    assert all(len(records.read(store.run_folder(each.id)).notes) == 1 for each in planned.runs)
    assert finish() == Summary()
    assert store.database.drivers() == {}


def test_what_another_device_would_round_otherwise_is_not_completed_here(write: Write, tmp_path: Path) -> None:
    _, planned = prepared(write("machine: {precision: bf16, accelerator: cpu}\n"), seeds=[1])
    job = planned.job(planned.runs[0])
    (tmp_path / "weights.safetensors").touch()
    trained = records.Record(job.id, "ok", environment={"device": "cuda"})
    with pytest.raises(MachineError, match=rf"{job.id} was trained on cuda in precision bf16, .* complete it on cuda"):
        completed(job, trained, tmp_path)
