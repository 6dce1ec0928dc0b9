"""Which runs a driver has taken for itself: two drivers on one store never train the same run at once.

Whether another driver is still there is never read from a clock: its process is looked for where it is on this machine,
and elsewhere its beat has to go up while we watch.
"""

import os
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from platform import node
from types import TracebackType

from paribus.errors import StoreError
from paribus.store.database import Database, Driver
from paribus.store.process import alive

BEAT = 5.0  # seconds between two signs of life
SILENT = 60.0  # seconds without one, after which a driver on another machine is taken for dead


class Claims:
    """What one driver holds, from entering to leaving."""

    def __init__(self, database: Database, *, beat: float = BEAT, silent: float = SILENT) -> None:
        self._database = database
        self._beat = beat
        self._silent = silent
        self._id = uuid.uuid4().hex
        self._over = threading.Event()
        self._seen: dict[str, tuple[int, float]] = {}  # driver -> its newest beat, and when it was first seen
        self._thread = threading.Thread(target=self._go_on_beating, daemon=True)

    def __enter__(self) -> "Claims":
        self._database.enter(self._id, _here(), os.getpid())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._database.leave(self._id)

    def take(self, runs: Sequence[str], *, fresh: bool = False) -> dict[str, str]:
        """`mine`, `theirs`, or the status of a result that is there by now."""
        found = self._database.claim(self._id, runs, fresh=fresh)
        if "theirs" in found.values() and self._bury():
            found = self._database.claim(self._id, runs, fresh=fresh)
        return found

    def release(self, *runs: str) -> None:
        self._database.release(self._id, runs)

    def _bury(self) -> bool:
        """Let go what dead drivers hold; whether there were any."""
        found = False
        for name, driver in self._database.drivers().items():
            if name != self._id and self._is_gone(name, driver):
                self._database.leave(name)
                found = True
        return found

    def _is_gone(self, name: str, driver: Driver) -> bool:
        if driver.place == _here() and not alive(driver.process):
            return True
        beat, since = self._seen.get(name, (-1, 0.0))
        if beat != driver.beat:
            self._seen[name] = (driver.beat, time.monotonic())
            return False
        return time.monotonic() - since > self._silent

    def _go_on_beating(self) -> None:
        while not self._over.wait(self._beat):
            try:
                self._database.beat(self._id)
            except StoreError:
                continue  # the driver itself meets what is wrong, and says it


def holder(database: Database, run: str) -> Driver | None:
    """The driver that has claimed a run, unless it can be seen to be gone."""
    driver = database.holder(run)
    gone = driver is not None and driver.place == _here() and not alive(driver.process)
    return None if gone else driver


def _here() -> str:
    """This machine since it was started, and this container on it: within it a process has one number."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return node()
    return f"{node()} {boot} {space}"
