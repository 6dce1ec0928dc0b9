"""Importing this loads what every run needs: in the process that workers are forked from, or in each of them."""

import contextlib
import ctypes
import gc
import signal
import sys
import warnings

PR_SET_PDEATHSIG = 1


def _load() -> None:
    _end_with_driver(signal.SIGKILL)  # while it loads it does not see it go
    warnings.filterwarnings("ignore")
    gc.disable()  # while all is new, a third of the time would go into looking for what is not needed any more
    with contextlib.suppress(Exception):  # whoever needs it tries again, and says why it fails
        import paribus.training.fit  # noqa: F401
    gc.enable()
    gc.freeze()  # a collection would touch, and so copy, all that is shared
    _end_with_driver(0)


def _end_with_driver(number: int) -> None:
    """Have this process get a signal when the one that started it is gone, where the system knows of such a thing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


_load()
