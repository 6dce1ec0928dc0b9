"""Processes that are forked from one that has loaded what runs need."""

import multiprocessing
import os
import signal
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
    with subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE) as driver:
        server = loading(driver.pid)
        driver.kill()
    deadline = time.monotonic() + 2
    while loads(server):
        assert time.monotonic() < deadline, "it goes on loading"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked there")
def test_a_process_starts_even_where_what_it_would_be_forked_from_is_killed() -> None:
    words = "from paribus.processes import started; started(print, ('at work',), 'one', fork=True).join()"
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) as driver:
        os.kill(loading(driver.pid), signal.SIGKILL)
        said, _ = driver.communicate(timeout=60)
    assert said == "at work\n"


def loading(driver: int) -> int:
    """The process that loads for a driver, once it has begun to."""
    deadline = time.monotonic() + 30
    while not (found := [child for child in children(driver) if loads(child)]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found[0]


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def loads(process: int) -> bool:
    """Whether it has begun to load torch, and is there."""
    try:
        return "torch" in Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return False
