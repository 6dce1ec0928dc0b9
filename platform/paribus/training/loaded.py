"""Importing this loads what every run needs, in the process that workers are forked from and in no other."""

import contextlib
import ctypes
import signal

from paribus.training import load

PR_SET_PDEATHSIG = 1


def _load() -> None:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # while it loads it does not see that its driver is gone
    with contextlib.suppress(Exception):  # a worker that tries it again says why it fails
        load()
    prctl(PR_SET_PDEATHSIG, 0)


_load()
