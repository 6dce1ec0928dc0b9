"""What a run left: plain data, written to `record.json` by a worker and read without torch."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paribus.errors import StoreError

FORMAT = 1
FILE = "record.json"
WEIGHTS = "weights.safetensors"  # beside it, of the chosen step

# Statuses of a run. Results are not trained again; the others are, by the next `paribus run`.
RESULTS = ("ok", "diverged")
BROKEN = ("crashed", "timeout", "interrupted")


@dataclass(frozen=True)
class Score:
    """One metric on one split; without a value it says why."""

    split: str
    metric: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """One run's outcome."""

    run: str
    status: str
    reason: str = ""  # why it did not end well
    fail_step: int | None = None
    started_at: str = ""
    finished_at: str = ""
    seconds: float = 0.0  # from the first step to the last, evaluations included
    step_seconds: float = 0.0  # without evaluations
    steps: int = 0
    tokens: int = 0
    chosen_step: int | None = None  # whose weights were tested
    peak_memory: int | None = None  # bytes
    cost: dict[str, float] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    curves: dict[str, list[float | None]] = field(default_factory=dict)  # columns of equal length, one row a point
    order: list[tuple[int, str]] = field(default_factory=list)  # (micro-steps, hash of all batches so far)
    initial: dict[str, str] = field(default_factory=dict)  # role path -> shape and hash of the first values
    environment: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, dict[str, float]] = field(default_factory=dict)  # at the first step and the last, by place
    notes: list[str] = field(default_factory=list)  # what a reader of the record should know besides

    @property
    def speed(self) -> float | None:
        """Tokens a second in training."""
        return self.tokens / self.step_seconds if self.step_seconds else None


@dataclass(frozen=True)
class Outcome:
    """What the store knows of a run: its record once there is one, and how often it was tried."""

    run: str
    status: str = "pending"
    record: Record | None = None
    attempts: int = 0
    error: str = ""  # of the last attempt that broke


def write(record: Record, folder: Path) -> None:
    """Write the record so that it is there as a whole or not at all."""
    text = json.dumps({"format": FORMAT, **tree(record)}, ensure_ascii=False, allow_nan=False, indent=1)
    partial = folder / f"{FILE}.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def read(folder: Path) -> Record:
    """The record of a run folder; raises StoreError where it is damaged."""
    path = folder / FILE
    try:
        return parsed(path.read_bytes(), path)
    except OSError as error:
        raise _damaged(path, error) from None


def parsed(text: bytes, path: Path | str) -> Record:
    """The record that a file holds."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it holds no record")
        if data.pop("format") != FORMAT:
            raise StoreError(f"{path} has a format that this version of paribus does not know")
        return of(data)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path | str, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be read ({type(error).__name__}: {error}); remove it to train the run again")


def of(data: dict[str, Any]) -> Record:
    """The record of its plain data."""
    scores = [Score(**score) for score in data["scores"]]
    order = [(int(step), str(digest)) for step, digest in data["order"]]
    return Record(**{**data, "scores": scores, "order": order})


def tree(record: Record) -> dict[str, Any]:
    """The plain data of a record; what it holds is shared, since copies of curves take longer than all the rest."""
    return {**vars(record), "scores": [{**vars(score)} for score in record.scores]}
