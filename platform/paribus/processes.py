"""How processes of this machine start: out of reach of Ctrl-C, and forked from one that has loaded what runs need."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

LOADED = ["paribus.training.loaded", "paribus.running.worker"]
NVIDIA = Path("/dev/nvidiactl")  # is there where its GPUs are


def load_ahead() -> None:
    """Begin to load what workers need while this process still reads and plans; where they use a GPU they do it."""
    if _forking() and not NVIDIA.exists():
        _serve()


def started(target: Callable[..., None], arguments: tuple[Any, ...], name: str, *, fork: bool) -> BaseProcess:
    """A process at work on a function; with `fork` one that has loaded what runs need, and no driver of a GPU."""
    if fork and _forking():
        _serve()
        own = (dict(os.environ), target, arguments)
        forked = multiprocessing.get_context("forkserver").Process(target=_called, args=own, name=name, daemon=True)
        with suppress(EOFError, ConnectionError):  # what it would be forked from was killed, as where memory is short
            forked.start()  # waits until all is loaded, and Ctrl-C may end the wait
            return forked
    spawned = multiprocessing.get_context("spawn").Process(target=target, args=arguments, name=name, daemon=True)
    with uninterrupted():
        spawned.start()
    return spawned


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back, for this process and those it starts: a worker has not yet said that it does not care."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it comes with the first process, and its start would let Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forking() -> bool:
    """Whether processes may be forked: what macOS lends to Python does not survive it, Windows has no such thing."""
    return sys.platform == "linux"


def _serve() -> None:
    """See that there is a process to fork from; what it holds back of signals, its children hold back too."""
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(LOADED)
    with uninterrupted():
        forkserver.ensure_running()


def _called(environment: Mapping[str, str], target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """In the child: what it was forked from has the environment of an earlier moment."""
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)
