"""Processes that are forked from one that has loaded what runs need."""

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paribus.processes import started

TELLING = """
import os, sys
def tell(connection):
    connection.send({"loaded": "lightning" in sys.modules, "word": os.environ.get("WORD"), "folder": os.getcwd()})
"""


@pytest.mark.slow
def test_a_forked_process_has_all_loaded_and_the_environment_and_folder_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "telling.py").write_text(TELLING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    from telling import tell  # type: ignore[import-not-found]

    for word in ("first", "second"):
        monkeypatch.setenv("WORD", word)
        here, there = multiprocessing.Pipe()
        process = started(tell, (there,), "telling", fork=True)
        assert here.recv() == {"loaded": True, "word": word, "folder": str(tmp_path)}
        process.join()
        assert process.exitcode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked there")
def test_what_loads_ahead_ends_with_a_driver_that_is_killed_meanwhile() -> None:
    words = "from paribus.processes import load_ahead; load_ahead(); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        deadline = time.monotonic() + 30
        while not (loading := [child for child in children(driver.pid) if loads(child)]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        driver.kill()
    deadline = time.monotonic() + 2
    while any(loads(process) for process in loading):
        assert time.monotonic() < deadline, "it goes on loading"
        time.sleep(0.02)


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def loads(process: int) -> bool:
    """Whether it has begun to load torch, and is there."""
    try:
        return "torch" in Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return False
