"""Every experiment of the project takes two steps of every arm, and each arm can learn a batch by heart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_arm_of_every_experiment_trains_and_can_learn(file: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PARIBUS_STORE": str(tmp_path / "store"), "COLUMNS": "140"}
    words = [sys.executable, "-m", "paribus", "run", str(file), "--smoke", "--quiet"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " NO " not in done.stdout
