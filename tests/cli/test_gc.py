"""`paribus gc`: nothing that somebody works at or needs is removed, and all that is left over is told with its size."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from paribus.cli.gc import gc
from paribus.errors import StoreError
from paribus.planning import plan
from paribus.spec.load import load
from paribus.store import claims as claims_module
from paribus.store import record as records
from paribus.store.claims import Claims
from paribus.store.folder import Store, open_store
from paribus.store.record import Record

Write = Callable[..., Path]


@pytest.fixture
def store(write: Write, tmp_path: Path) -> Store:
    opened = open_store(str(tmp_path / "store"))
    opened.database.save_plan(plan(load(write())))
    return opened


def checkpoint_of(store: Store, run: str) -> Path:
    folder = store.runs / f"{run}.resume"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(bytes(2000))
    return folder


def test_a_run_that_a_living_driver_has_claimed_is_not_removed(store: Store) -> None:
    run = store.find("small/baseline/1").run
    with Claims(store.database) as claims:
        claims.take([run])
        with pytest.raises(
            StoreError, match=rf"run {run} is being trained: process {os.getpid()} on .*nothing was rem"
        ):
            gc(run=run, delete=True, store=str(store.folder))
    gc(run=run, delete=True, store=str(store.folder))


def test_a_claim_of_a_driver_that_is_gone_holds_nothing_back(store: Store) -> None:
    run = store.find("small/baseline/1").run
    store.database.enter("dead", claims_module._here(), 2**22 + 1)
    store.database.claim("dead", [run])
    assert gc(run=run, delete=True, store=str(store.folder)) == 0


def test_checkpoints_are_told_with_their_size_and_only_useless_ones_go(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting, done = (store.find(f"small/baseline/{seed}").run for seed in (1, 2))
    kept = checkpoint_of(store, waiting)
    useless = [checkpoint_of(store, run) for run in (done, "nobodys")]
    store.run_folder(done).mkdir()
    records.write(Record(done, "ok"), store.run_folder(done))
    store.take_in()
    with Claims(store.database) as claims:
        claims.take(["claimed"])
        claimed = checkpoint_of(store, "claimed")
        gc(store=str(store.folder))
        told = capsys.readouterr().out
        assert f"keeps {waiting}.resume  2kB: the next run goes on from there" in told
        assert f"would remove {done}.resume  2kB" in told
        assert "would remove nobodys.resume" in told
        assert "claimed" not in told
        gc(store=str(store.folder), delete=True)
    assert kept.exists()
    assert claimed.exists()
    assert [folder.exists() for folder in useless] == [False, False]
    assert store.run_folder(done).exists()
