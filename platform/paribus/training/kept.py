"""What reports show of a run besides its scores: attention of fixed examples, how heads attend, outputs, and scores
example by example.

Axes: B batch, H heads, Q queries, K keys, V vocabulary.
"""

import hashlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paribus.network import Network
from paribus.parts.mixer.attention import Seen, watching
from paribus.store import kept as store
from paribus.store.kept import Array, Head, Kept, Sample, Shown
from paribus.training.data import Dataset, Indices, Reading, Split
from paribus.training.decoding import Output, targets_of
from paribus.training.evaluation import Evaluator

SPLIT = "test"  # whose attention and outputs are kept
SCORED = 20_000  # examples of a split whose scores are kept
SAMPLES = 48
SHOWN = 3  # examples with attention maps
LONGEST_SHOWN = 32  # tokens that each side may read of one
MOST_WEIGHTS = 400_000  # numbers in all maps of a run
WATCHED = 64  # sequences that head statistics are means over
LONGEST_WATCHED = 256
AT_ONCE = 2**22  # weights that are held at once
VISIBLE_FROM = 3  # keys that a query must see for its entropy and distance to mean something


class Listener:
    """Hears what an evaluation sees, and keeps it example by example."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.scores: dict[str, dict[str, Array]] = {}
        self.outputs: dict[int, Output] = {}
        self.samples = fixed(data.split(SPLIT), SAMPLES)

    def hear(self, name: str, reading: Reading, logits: Tensor, written: list[Output] | None) -> None:
        columns = self.scores.setdefault(name, _columns(self._data.split(name)))
        inside = reading.rows < SCORED
        rows = reading.rows[inside]
        flat, wanted = logits.flatten(0, -2).float(), reading.wanted()
        nll, hits = functional.cross_entropy(flat, wanted, reduction="none"), flat.argmax(-1) == wanted
        count = len(reading.rows)
        places_N = torch.arange(len(wanted), device=wanted.device) if reading.places_N is None else reading.places_N
        examples_N = places_N // (reading.targets.numel() // count)
        for column, values in (("loss", nll), ("asked", torch.ones_like(nll)), ("right", hits.float())):
            total = torch.zeros(count, device=nll.device).index_add(0, examples_N, values)
            columns[column][rows] = total.cpu().numpy()[inside]
        if written is None and self._data.labels:
            written = [Output((int(label),)) for label in flat.argmax(-1)]
        if written is None:
            return
        split = self._data.split(name)
        pairs = list(zip(reading.rows.tolist(), written, strict=True))
        exact = np.array([output.matches(answer(split, row)) for row, output in pairs])
        columns["exact"][rows] = exact[inside]
        if name == SPLIT:
            chosen = set(self.samples)
            self.outputs.update({row: output for row, output in pairs if row in chosen})


def _columns(split: Split) -> dict[str, Array]:
    """Empty columns; the lengths are in tokens as the user counts them."""
    size = min(len(split), SCORED)
    lengths = np.array([[len(example.source), len(example.target)] for example in split.examples[:size]])
    return {
        "loss": np.full(size, np.nan, dtype=np.float32),
        "asked": np.zeros(size, dtype=np.int32),
        "right": np.zeros(size, dtype=np.int32),
        "exact": np.full(size, -1, dtype=np.int8),
        "source_length": lengths[:, 0].astype(np.int32),
        "target_length": lengths[:, 1].astype(np.int32),
    }


def answer(split: Split, row: int) -> tuple[int, ...]:
    """The right answer as numbers, without marks."""
    if split.labels:
        return (int(split.targets.flat[split.targets.starts[row]]),)
    return targets_of(split, [row])[0]


def fixed(split: Split, count: int, rows: Sequence[int] | None = None) -> list[int]:
    """The same examples for every arm and seed, chosen by a hash of their sources before anything is trained."""
    among = range(min(len(split), SCORED)) if rows is None else rows

    def place(row: int) -> bytes:
        return hashlib.sha256(repr(("kept", split.examples[row].source)).encode()).digest()

    return sorted(among, key=place)[:count]


def keep(evaluator: Evaluator, data: Dataset, heard: Listener, folder: Path) -> None:
    """Write what is kept of a run; a failure here costs the pictures, never the run."""
    try:
        store.write(kept(evaluator, data, heard), folder)
    except Exception:
        traceback.print_exc()  # goes to the log of the run


def kept(evaluator: Evaluator, data: Dataset, heard: Listener) -> Kept:
    """What is kept of a run whose chosen weights were just tested."""
    split, training = data.split(SPLIT), data.split("training")
    heads: list[Head] = []
    maps: dict[str, Array] = {}
    shown: list[Shown] = []
    with torch.inference_mode(), evaluator.precision():
        if _fits(evaluator.network, split) and _heads_of(evaluator.network):
            heads = list(head_statistics(evaluator.network, split, evaluator.device))
            rows = _rows_to_show(evaluator.network, split)
            shown = [read_by_each_side(data, split, row) for row in rows]
            for index, row in enumerate(rows):
                reading = split.reading(np.array([row])).to(evaluator.device)
                for path, weights_HQK in attention(evaluator.network, reading).items():
                    maps[f"{index}/{path}"] = weights_HQK
    examples = training.examples[:SCORED]
    longest = {
        "source": max(len(example.source) for example in examples),
        "target": max(len(example.target) for example in examples),
    }
    return Kept(heads, list(_samples(data, heard)), shown, maps, _known(heard.scores), longest)


def _known(scores: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """Without the outputs' column where nothing was written."""
    return {
        split: {name: column for name, column in columns.items() if name != "exact" or (column >= 0).any()}
        for split, columns in scores.items()
    }


def _samples(data: Dataset, heard: Listener) -> Iterator[Sample]:
    split = data.split(SPLIT)
    for row in heard.samples:
        if row in heard.outputs:
            example, output = split.examples[row], heard.outputs[row]
            text = data.task.target_text(data.target_vocabulary.decode(output.tokens))
            text += "" if output.ended else " …"
            right = output.matches(answer(split, row))
            yield Sample(row, data.task.source_text(example.source), data.task.target_text(example.target), text, right)


def read_by_each_side(data: Dataset, split: Split, row: int) -> Shown:
    """The tokens of an example as encoder and decoder read them, marks included."""

    def tokens(side: str) -> list[str]:
        ragged = split.source if side == "encoder" else split.inputs
        if ragged is None:
            return []
        vocabulary = data.source_vocabulary if side == "encoder" or data.labels else data.target_vocabulary
        start = int(ragged.starts[row])
        return list(
            vocabulary.decode([int(number) for number in ragged.flat[start : start + int(ragged.lengths[row])]])
        )

    return Shown(row, tokens("encoder"), tokens("decoder"))


def attention(network: Network, reading: Reading) -> dict[str, Array]:
    """The weights (H,Q,K) of every attention for one example, by the path of the attention."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), watching(network) as seen:
            network(reading.batch)
    finally:
        network.train(was_training)
    return {path: found[0].weights_BHQK[0].float().cpu().numpy() for path, found in seen.items() if found}


def _fits(network: Network, split: Split) -> bool:
    limits = {side: network.capacity(side) for side in ("encoder", "decoder")}
    return all(limit is None or split.longest(side) <= limit for side, limit in limits.items())


def _heads_of(network: Network) -> int:
    """How many heads there are in all."""
    with watching(network) as seen:
        return sum(int(getattr(network.get_submodule(path), "heads", 0)) for path in seen)


def _lengths(split: Split) -> Indices:
    """The longest sequence that any side reads of each example."""
    sides = [ragged.lengths for ragged in (split.source, split.inputs) if ragged is not None]
    found: Indices = np.max(np.stack(sides), axis=0)
    return found


def _rows_to_show(network: Network, split: Split) -> list[int]:
    """The first few fixed examples that are short enough, and no more numbers than are allowed."""
    lengths = _lengths(split)
    short = [row for row in fixed(split, SCORED) if lengths[row] <= LONGEST_SHOWN][:SHOWN]
    heads = _heads_of(network)
    most = MOST_WEIGHTS // max(1, heads)
    total, chosen = 0, []
    for row in short:
        total += int(lengths[row]) ** 2
        if total <= most:
            chosen.append(row)
    return chosen


def head_statistics(network: Network, split: Split, device: torch.device) -> Iterator[Head]:
    """How every head attends, over fixed examples of a split."""
    lengths = _lengths(split)
    rows = np.array([row for row in fixed(split, SCORED) if 1 < lengths[row] <= LONGEST_WATCHED][:WATCHED], dtype=int)
    if not len(rows):
        return
    at_once = max(1, AT_ONCE // (int(lengths[rows].max()) ** 2 * _heads_of(network)))
    total: dict[str, Tensor] = {}
    was_training = network.training
    network.eval()
    for start in range(0, len(rows), at_once):
        reading = split.reading(rows[start : start + at_once]).to(device)
        with watching(network) as seen:
            network(reading.batch)
        for path, found in seen.items():
            for one in found:
                queries_B, keys_B = _real(reading, path)
                found_sums = sums(one, queries_B, keys_B)
                total[path] = total[path] + found_sums if path in total else found_sums
    network.train(was_training)
    for path, table in total.items():
        side, layer, name = path.split(".")[:3]
        place = "cross" if name == "cross" else "self"
        for head, row in enumerate(table.cpu().double().tolist()):
            yield Head(side, int(layer), place, head, *_means(row))


def _real(reading: Reading, path: str) -> tuple[Tensor, Tensor]:
    """How many real queries and keys each example has at an attention."""
    batch = reading.batch

    def lengths(ids: Tensor | None, known: Tensor | None) -> Tensor:
        assert ids is not None
        return torch.full((len(ids),), ids.shape[1], device=ids.device) if known is None else known

    reads_source = path.startswith("encoder")
    source = lengths(batch.source_BS, batch.source_lengths_B) if reads_source or path.endswith(".cross") else None
    inputs = None if reads_source else lengths(batch.inputs_BT, batch.input_lengths_B)
    queries, keys = inputs if inputs is not None else source, source if source is not None else inputs
    assert queries is not None and keys is not None
    return queries, keys


MEASURES = ("entropy", "distance", "distance_without_first", "diagonal", "previous", "first")


def sums(seen: Seen, queries_B: Tensor, keys_B: Tensor) -> Tensor:
    """(H, 2 * measures): each measure summed over real queries, and the number of queries that have it."""
    a = seen.weights_BHQK.float()
    _, _, q, k = a.shape
    device = a.device
    i, j = torch.arange(q, device=device), torch.arange(k, device=device)
    real = (i < queries_B[:, None])[:, None, :, None] & (j < keys_B[:, None])[:, None, None, :]
    sees = real if seen.mask_BHQK is None else real & seen.mask_BHQK
    sees = sees.expand(a.shape[0], 1, q, k) if sees.shape[1] == 1 else sees
    a = torch.where(sees, a, 0.0)
    total = a.sum(-1, keepdim=True)
    # Weights that are no shares, as of a sigmoid, are made so; negative ones cannot be.
    shares = ((a >= 0).all(-1, keepdim=True) & (total > 1e-6)) & sees.any(-1, keepdim=True)
    a = torch.where(shares, a / total.clamp_min(1e-6), 0.0)
    visible = sees.sum(-1)
    enough = shares[..., 0] & (visible >= VISIBLE_FROM)
    # Where a query stands among the keys: its own place, or in proportion where the sequences differ.
    scale = (keys_B - 1).float() / (queries_B - 1).clamp_min(1).float()
    at = i[None, :] * scale[:, None]
    away = (at[:, None, :, None] - j).abs()
    entropy = -(a * a.clamp_min(1e-12).log()).sum(-1) / visible.clamp_min(2).float().log()
    uniform = torch.where(sees, away, 0.0).sum(-1) / visible.clamp_min(1)
    distance = (a * away).sum(-1) / uniform.clamp_min(1e-6)
    rest = torch.where(j > 0, a, 0.0)
    away_rest = torch.where(sees & (j > 0), away, 0.0).sum(-1) / (visible - 1).clamp_min(1)
    without = (rest * away).sum(-1) / rest.sum(-1).clamp_min(1e-6) / away_rest.clamp_min(1e-6)
    near = away <= 0.5
    diagonal, previous = (a * near).sum(-1), (a * ((at[:, None, :, None] - j - 1).abs() <= 0.5)).sum(-1)
    has_previous = shares[..., 0] & (i > 0)
    found = (
        (entropy, enough),
        (distance, enough),
        (without, enough & (rest.sum(-1) > 0.01)),
        (diagonal, enough),
        (previous, has_previous & enough),
        (a[..., 0], enough),
    )
    columns = [torch.where(has, value, 0.0).sum((0, 2)) for value, has in found]
    counts = [has.expand_as(value).sum((0, 2)).float() for value, has in found]
    return torch.stack([*columns, *counts], -1)


def _means(row: list[float]) -> list[float | None]:
    half = len(MEASURES)
    return [round(value / count, 6) if count else None for value, count in zip(row[:half], row[half:], strict=True)]
