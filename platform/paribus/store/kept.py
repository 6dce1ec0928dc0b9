"""What a worker keeps of a finished run for reports, beside its record: plain arrays and texts, read without torch.

Axes: H heads, Q queries, K keys.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
TEXTS, ARRAYS = "kept.json", "kept.npz"

Array = NDArray[Any]


@dataclass(frozen=True)
class Head:
    """How one head attends, as means over some sequences of the test split; None where that is not defined.

    `entropy` and `distance` are shares of what uniform attention has; the others are shares of the weight.
    """

    side: str
    layer: int
    place: str  # self or cross
    head: int
    entropy: float | None
    distance: float | None
    distance_without_first: float | None
    diagonal: float | None
    previous: float | None
    first: float | None


@dataclass(frozen=True)
class Sample:
    """One example with what the run wrote for it."""

    row: int
    source: str
    target: str
    output: str
    right: bool


@dataclass(frozen=True)
class Shown:
    """An example whose attention is kept: what each side of the network reads, token by token."""

    row: int
    encoder: list[str] = field(default_factory=list)
    decoder: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    heads: list[Head] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    maps: Mapping[str, Array] = field(default_factory=dict)  # "0/decoder.1.cross" -> (H,Q,K) of the first one shown
    scores: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)  # split -> column -> one value an example
    longest: Mapping[str, int] = field(default_factory=dict)  # source and target in training, in tokens


def write(kept: Kept, folder: Path) -> None:
    """Write both files."""
    texts = {
        "format": FORMAT,
        "longest": dict(kept.longest),
        "heads": [asdict(head) for head in kept.heads],
        "samples": [asdict(sample) for sample in kept.samples],
        "shown": [asdict(shown) for shown in kept.shown],
    }
    text = json.dumps(texts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / TEXTS).write_text(text, encoding="utf-8")
    arrays = {f"map/{name}": array.astype(np.float16) for name, array in kept.maps.items()}
    for split, columns in kept.scores.items():
        arrays |= {f"score/{split}/{name}": column for name, column in columns.items()}
    named: dict[str, Any] = arrays
    np.savez_compressed(folder / ARRAYS, **named)


def read(folder: Path) -> Kept | None:
    """What a run folder keeps; None where there is nothing that this version can read, as in older runs."""
    try:
        texts = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
        if texts["format"] != FORMAT:
            return None
        with np.load(io.BytesIO((folder / ARRAYS).read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Kept(
            [Head(**head) for head in texts["heads"]],
            [Sample(**sample) for sample in texts["samples"]],
            [Shown(**shown) for shown in texts["shown"]],
            {name.removeprefix("map/"): array for name, array in arrays.items() if name.startswith("map/")},
            _scores(arrays),
            texts["longest"],
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _scores(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        if name.startswith("score/"):
            _, split, column = name.split("/", 2)
            found.setdefault(split, {})[column] = array
    return found
