"""Two drivers on one store and one experiment at once: every run is trained exactly once, and both end well."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paribus.store.folder import open_store

Write = Callable[..., Path]


def begin(folder: Path, file: Path, store: str, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "paribus", "run", str(file), "--store", store, "--workers", "1", *words]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def trained_together(folder: Path, file: Path, store: str) -> list[int]:
    """How often each run was trained, once both drivers are done."""
    drivers = [begin(folder, file, store) for _ in range(2)]
    said = [driver.communicate(timeout=280) for driver in drivers]
    for driver, (_, progress) in zip(drivers, said, strict=True):
        assert driver.returncode == 0, progress
        assert "Traceback" not in progress
    database = open_store(store).database
    assert database.drivers() == {}
    members = database.members()
    assert {member.status for member in members} == {"ok"}
    return [len(database.attempts(member.run)) for member in members]


@pytest.mark.slow
def test_on_one_file_each_run_is_trained_once(write: Write, tmp_path: Path) -> None:
    file = write("arms: {one_head: {network.mixer.heads: 1}}\n")
    assert trained_together(tmp_path, file, str(tmp_path / "store")) == [1] * 4


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_on_one_server_each_run_is_trained_once(write: Write, tmp_path: Path, postgresql: Any) -> None:
    file = write("arms: {one_head: {network.mixer.heads: 1}}\n")
    assert trained_together(tmp_path, file, postgresql.database()) == [1] * 4
