"""Whether a process of this machine is still there."""

import os
from pathlib import Path


def alive(number: int) -> bool:
    """Also false for one that has ended and waits for its parent to notice, which in a container may be for ever."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return not Path("/proc/self/stat").exists()  # it has just ended, unless this system has no such files
    return state not in ("Z", "X")
