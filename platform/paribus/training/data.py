"""Examples as numbers: encoded once, batched by index, bucketed by length, in an order that only the seed decides.

Axes: B batch, S source time, T target time.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paribus.cost import Cost, Lengths, cost
from paribus.network import Batch, Sizes, laid_out
from paribus.parts import Part, Swappable
from paribus.parts.task import END, PAD, SEPARATOR, SPECIALS, START, Example, Task, TaskSpec, Vocabulary
from paribus.spec.network import Architecture
from paribus.spec.training import Batch as BatchSpec
from paribus.training.streams import derive

IGNORED = -100  # as cross_entropy has it
POOL = 32  # batches whose examples are sorted by length together

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Sequences of different lengths in one array."""

    flat: Indices
    starts: Indices
    lengths: Indices

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        return cls.cut(list(chain.from_iterable(rows)), [len(row) for row in rows])

    @classmethod
    def cut(cls, numbers: Sequence[int], lengths: Sequence[int]) -> "Ragged":
        """Numbers one after the other as rows of these lengths."""
        ends = np.cumsum(np.array(lengths, dtype=np.int64))
        return cls(np.array(numbers, dtype=np.int64), ends - lengths, np.array(lengths, dtype=np.int64))

    @classmethod
    def beside(cls, *pieces: "Ragged | int") -> "Ragged":
        """Row by row the pieces side by side; a number stands in every row."""
        rows = [piece for piece in pieces if isinstance(piece, Ragged)]
        lengths = sum((piece.lengths for piece in rows), np.zeros_like(rows[0].lengths)) + len(pieces) - len(rows)
        starts = np.cumsum(lengths) - lengths
        flat, at = np.empty(int(lengths.sum()), dtype=np.int64), starts.copy()
        for piece in pieces:
            if isinstance(piece, Ragged):
                flat[np.arange(len(piece.flat)) + np.repeat(at - piece.starts, piece.lengths)] = piece.flat
                at += piece.lengths
            else:
                flat[at] = piece
                at += 1
        return cls(flat, starts, lengths)

    def all(self, number: int) -> "Ragged":
        """Rows as long as these that hold nothing but a number."""
        return replace(self, flat=np.full_like(self.flat, number))

    def padded(self, rows: Indices, filling: int) -> tuple[Tensor, Tensor | None]:
        """The rows side by side with padding at the right, and their lengths unless all are equal."""
        lengths = self.lengths[rows]
        places = np.arange(int(lengths.max()))
        real = places < lengths[:, None]
        values = np.full(real.shape, filling, dtype=np.int64)
        values[real] = self.flat[(self.starts[rows, None] + places)[real]]
        ragged = bool((lengths != lengths[0]).any())
        return torch.from_numpy(values), torch.from_numpy(lengths) if ragged else None


@dataclass(frozen=True)
class Reading:
    """A batch with what should come out of it."""

    batch: Batch
    targets: Tensor  # (B,T) with IGNORED where nothing is asked, or (B,) labels
    asked: int  # targets that count
    rows: Indices
    places_N: Tensor | None = None  # where of all B * T places something is asked; None: everywhere

    @classmethod
    def of(cls, batch: Batch, targets: Tensor, rows: Indices) -> "Reading":
        places_N = (targets.flatten() != IGNORED).nonzero().flatten()
        return cls(batch, targets, len(places_N), rows, None if len(places_N) == targets.numel() else places_N)

    def wanted(self) -> Tensor:
        """The targets that count, one after the other."""
        targets = self.targets.flatten()
        return targets if self.places_N is None else targets[self.places_N]

    def unasked(self) -> "Reading":
        """The same batch with nothing asked of it."""
        return Reading.of(self.batch, torch.full_like(self.targets, IGNORED), self.rows)

    def to(self, device: torch.device) -> "Reading":
        if device.type == "cpu":
            return self
        moved = {
            name: None if value is None else value.to(device, non_blocking=True)
            for name, value in vars(self.batch).items()
        }
        places_N = None if self.places_N is None else self.places_N.to(device, non_blocking=True)
        targets = self.targets.to(device, non_blocking=True)
        return replace(self, batch=Batch(**moved), targets=targets, places_N=places_N)


@dataclass(frozen=True)
class Split:
    """The examples of one split, encoded for one family of networks."""

    source: Ragged | None
    inputs: Ragged | None
    targets: Ragged
    labels: bool
    tokens: Indices  # real source and target tokens of each example, whatever the family
    order: Indices  # lengths that batches are composed by, whatever the family
    prompts: Indices  # how many inputs are given before writing starts
    examples: Sequence[Example]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def asked(self) -> Indices:
        """Targets of each example that count."""
        asked: Indices = np.add.reduceat((self.targets.flat != IGNORED).astype(np.int64), self.targets.starts)
        return asked

    def reading(self, rows: Indices) -> Reading:
        source, source_lengths = (None, None) if self.source is None else self.source.padded(rows, PAD)
        inputs, input_lengths = (None, None) if self.inputs is None else self.inputs.padded(rows, PAD)
        targets, _ = self.targets.padded(rows, IGNORED)
        if self.labels:
            targets = targets[:, 0]
        batch = Batch(source, source_lengths, inputs, input_lengths)
        return Reading.of(batch, targets, rows)

    def longest(self, side: str) -> int:
        """The longest sequence that a side of the network reads."""
        rows = self.source if side == "encoder" else self.inputs
        return 0 if rows is None else int(rows.lengths.max())

    def batches(self, size: int) -> Iterator[Indices]:
        """All examples, those of like length together."""
        ordered = np.argsort(self.order, kind="stable")
        for start in range(0, len(ordered), size):
            yield ordered[start : start + size]


class Dataset:
    """A task as one family of networks reads it."""

    def __init__(self, spec: TaskSpec, family: str, shared: bool = False) -> None:
        self.task: Task = spec.build()
        self.family = family
        self.labels = spec.shape == "labels"
        self.source_vocabulary = self.task.source_vocabulary
        self.target_vocabulary = self.task.target_vocabulary
        if (family == "decoder" or shared) and not self.labels:
            self.source_vocabulary = self.target_vocabulary = _joint(self.source_vocabulary, self.target_vocabulary)
        self._splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        if name not in self._splits:
            self._splits[name] = self.encoded(self.task.examples(name))
        return self._splits[name]

    def sizes(self) -> Sizes:
        training = self.split("training")
        return Sizes(
            source_vocabulary=len(self.source_vocabulary),
            target_vocabulary=len(self.target_vocabulary),
            longest_source=training.longest("encoder"),
            longest_target=training.longest("decoder"),
            labels=self.labels,
        )

    def lengths(self) -> Lengths:
        """Means over the training split."""
        training = self.split("training")
        encoder = 0.0 if training.source is None else float(training.source.lengths.mean())
        decoder = 0.0 if training.inputs is None else float(training.inputs.lengths.mean())
        return Lengths(encoder, decoder, float(training.tokens.mean()))

    def encoded(self, examples: Sequence[Example]) -> Split:
        """Examples as one family of networks reads them."""
        sources = _encoded(self.source_vocabulary, [example.source for example in examples])
        targets = _encoded(self.target_vocabulary, [example.target for example in examples])
        tokens = sources.lengths if self.labels else sources.lengths + targets.lengths
        source, inputs, prompts = None, None, np.zeros(len(examples), dtype=np.int64)
        if self.labels:
            source, inputs = (sources, None) if self.family == "encoder" else (None, sources)
            wanted = targets
        elif self.family == "encoder_decoder":
            source = Ragged.beside(sources, END)
            inputs = Ragged.beside(START, targets)
            wanted = Ragged.beside(targets, END)
            prompts += 1
        else:
            inputs = Ragged.beside(sources, SEPARATOR, targets)
            wanted = Ragged.beside(sources.all(IGNORED), targets, END)
            prompts += sources.lengths + 1
        order = sources.lengths * (int(targets.lengths.max()) + 1) + targets.lengths
        return Split(source, inputs, wanted, self.labels, tokens, order, prompts, examples)


@lru_cache(maxsize=4)
def dataset(task: str, family: str, shared: bool = False) -> Dataset:
    """The data set of a task given as JSON; kept, since a worker meets the same one again and again.

    With `shared` source and target have one vocabulary; a decoder alone always has.
    """
    spec = Swappable("task").validate(json.loads(task))
    assert isinstance(spec, TaskSpec)
    return Dataset(spec, family, shared)


def cost_of(network: Architecture, task: Part) -> Cost:
    """What a network costs on a task."""
    text = json.dumps(task.model_dump(), sort_keys=True)
    data = dataset(text, network.family, network.embeddings.shared_vocabulary)
    return cost(network, data.sizes(), data.lengths())


def short_of_room(network: Architecture, task: Part) -> str:
    """Where the training sequences are longer than a side has places for; empty where they fit."""
    data = dataset(json.dumps(task.model_dump(), sort_keys=True), network.family, network.embeddings.shared_vocabulary)
    built = laid_out(network, data.sizes())
    for side in ("encoder", "decoder"):
        capacity, longest = built.capacity(side), data.split("training").longest(side)
        if capacity is not None and longest > capacity:
            return f"the {side} has {capacity} places, but training has sequences of {longest} tokens"
    return ""


def _encoded(vocabulary: Vocabulary, rows: Sequence[Sequence[str]]) -> Ragged:
    return Ragged.cut(vocabulary.encode(list(chain.from_iterable(rows))), [len(row) for row in rows])


def _joint(source: Vocabulary, target: Vocabulary) -> Vocabulary:
    """One vocabulary for both sides."""
    words = (*source.tokens[len(SPECIALS) :], *target.tokens[len(SPECIALS) :])
    return Vocabulary(list(dict.fromkeys(words)))


class Order:
    """Which examples make up each micro-step: a pure function of the seed, whatever trains on them."""

    def __init__(self, split: Split, batch: BatchSpec, seed: int) -> None:
        self._split = split
        self._batch = batch
        self._seed = seed
        self._cached: tuple[int, list[Indices]] = (-1, [])

    def epoch(self, number: int) -> list[Indices]:
        """The batches of one pass over the data; what does not fill a batch is left for the next pass."""
        if self._cached[0] != number:
            self._cached = (number, self._shuffled(number))
        return self._cached[1]

    def __iter__(self) -> Iterator[Indices]:
        number = 0
        while True:
            yield from self.epoch(number)
            number += 1

    def _shuffled(self, number: int) -> list[Indices]:
        # RandomState, since its streams never change between versions of numpy.
        words = hashlib.sha256(str(derive(self._seed, "order", number)).encode()).digest()
        generator = np.random.RandomState(np.frombuffer(words, dtype=np.uint32))
        shuffled = generator.permutation(len(self._split))
        batches: list[Indices] = []
        pool = self._pool_size()
        for start in range(0, len(shuffled), pool):
            rows = shuffled[start : start + pool]
            batches += self._cut(rows[np.argsort(self._split.order[rows], kind="stable")])
        return [batches[index] for index in generator.permutation(len(batches))]

    def _pool_size(self) -> int:
        if self._batch.examples is not None:
            return POOL * self._batch.examples
        assert self._batch.tokens is not None
        return max(1, int(POOL * self._batch.tokens / float(self._split.tokens.mean())))

    def _cut(self, rows: Indices) -> list[Indices]:
        if self._batch.examples is not None:
            size = self._batch.examples
            return [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
        batches, start, total = [], 0, 0
        assert self._batch.tokens is not None
        for index, tokens in enumerate(self._split.tokens[rows]):
            if total + tokens > self._batch.tokens and index > start:
                batches.append(rows[start:index])
                start, total = index, 0
            total += int(tokens)
        return [*batches, rows[start:]] if len(rows) > start else batches
