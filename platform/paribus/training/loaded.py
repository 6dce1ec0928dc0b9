"""Importing this loads what every run needs: done once, in the process that workers are forked from."""

import contextlib
import ctypes
import gc
import signal
import warnings

PR_SET_PDEATHSIG = 1


def _load() -> None:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # while it loads it does not see that its driver is gone
    warnings.filterwarnings("ignore")
    with contextlib.suppress(Exception):  # a worker that tries it again says why it fails
        import paribus.training.fit  # noqa: F401
    gc.freeze()  # a collection would touch, and so copy, all that is shared
    prctl(PR_SET_PDEATHSIG, 0)


_load()
