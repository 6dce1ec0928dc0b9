"""A process that has ended is gone, also while nobody has noticed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from paribus.store.process import alive


def test_a_process_that_ended_unnoticed_is_gone() -> None:
    assert alive(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not alive(child.pid)
    child.wait()
    assert not alive(child.pid)
    assert not alive(2**22 + 1)
