"""Checkpoints of a run: the last one and the one before it, so that its process may die at any moment."""

import contextlib
import hashlib
import io
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from paribus.errors import MachineError, StoreError
from paribus.spec.machine import Checkpoint

FORMAT = 1
MARK = b"paribus checkpoint\n"
LAST, BEFORE = "last.ckpt", "before.ckpt"

ELSEWHERE = "elsewhere-*.ckpt"  # brought here from another machine

Keeper = Callable[[Path, int], None]  # copies a checkpoint file that was written at a step
State = dict[str, Any]  # tensors, numbers, strings, lists and mappings of them, so that `weights_only` loads it


class Damaged(Exception):
    """A checkpoint that cannot be gone on with; says why."""


class Checkpoints:
    """Those of one run, in a folder of their own; without a folder there are none."""

    def __init__(self, folder: Path | None, every: Checkpoint, devices: int, keeper: Keeper | None = None) -> None:
        self._folder = folder
        self._keeper = keeper
        self._every = every
        self._devices = devices
        self._saved = time.monotonic()
        self.notes: list[str] = []

    def newest(self) -> State | None:
        """The newest one that is whole; raises MachineError where it was made on another number of devices."""
        if self._folder is None:
            return None
        here = next(self._whole([self._folder / LAST, self._folder / BEFORE]), None)
        brought = sorted(self._folder.glob(ELSEWHERE), reverse=True)
        found = [one for one in (here, next(self._whole(brought), None)) if one is not None]
        if not found:
            return None
        file, state = max(found, key=lambda one: _step(one[1]))
        if state["devices"] != self._devices:
            raise MachineError(
                f"the checkpoint {file} was made on {state['devices']} devices, this run has {self._devices}: "
                f"set machine.devices to {state['devices']}, or start anew with --fresh"
            )
        for other in brought:
            other.unlink()
        return state

    def _whole(self, files: Sequence[Path]) -> Iterator[tuple[Path, State]]:
        """Those that can be gone on with, of files in the order of their age."""
        for file in files:
            if not file.exists():
                continue
            try:
                yield file, _read(file)
            except Damaged as error:
                self._note(f"the checkpoint {file} {error}; going on from the one before it or from the start")

    def exist(self) -> bool:
        return self._folder is not None and (self._folder / LAST).exists()

    def due(self, step: int) -> bool:
        """Whether it is time for another one."""
        if self._folder is None:
            return False
        seconds, steps = self._every.every_seconds, self._every.every_steps
        return (seconds is not None and time.monotonic() - self._saved >= seconds) or (
            steps is not None and step % steps == 0
        )

    def save(self, state: State) -> None:
        """Write one beside the last one, then let it take its place; without room for it training goes on."""
        if self._folder is None:
            return
        self._saved = time.monotonic()
        partial = self._folder / f"{LAST}.partial"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(partial, {"format": FORMAT, "devices": self._devices, **state})
            if (self._folder / LAST).exists():
                (self._folder / LAST).replace(self._folder / BEFORE)
            partial.replace(self._folder / LAST)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            self._note(f"no checkpoint could be written to {self._folder} ({error.strerror}); training goes on")
            return
        if self._keeper is not None:
            try:
                self._keeper(self._folder / LAST, _step(state))
            except StoreError as error:
                self._note(f"a checkpoint is kept on this machine only: {error}")

    def clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _step(state: State) -> int:
    return int(state.get("gathered", {}).get("step", 0))


def _write(file: Path, state: State) -> None:
    """The state behind a hash of it: the reader of torch does not notice a changed bit."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    with file.open("wb") as out:
        out.write(MARK + hashlib.sha256(payload).digest())
        out.write(payload)
        out.flush()
        os.fsync(out.fileno())


def _read(file: Path) -> State:
    try:
        with file.open("rb") as source:
            head, digest, payload = source.read(len(MARK)), source.read(32), source.read()
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror})") from None
    if head != MARK or hashlib.sha256(payload).digest() != digest:
        raise Damaged("is damaged")
    try:
        state: State = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise Damaged(f"cannot be loaded ({type(error).__name__})") from None
    if state.get("format") != FORMAT:
        raise Damaged(f"has format {state.get('format')}, which this version of paribus does not know")
    return state
