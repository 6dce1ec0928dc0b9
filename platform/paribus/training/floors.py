"""Floors: what is reached without training, by counting, by chance, or by a network as it starts.

They read every task as an encoder-decoder does (or an encoder, for labels), whatever the family of the baseline.
Axes: B batch, S source time, T target time, N places that are asked for, V vocabulary or labels.
"""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paribus.cost import cost
from paribus.network import Batch, Network, build
from paribus.planning import Job
from paribus.spec.machine import Machine
from paribus.store.record import Record, Score
from paribus.training.data import Dataset, Ragged, Split, dataset
from paribus.training.environment import environment
from paribus.training.evaluation import Evaluator
from paribus.training.settings import Settings
from paribus.training.streams import derive

ORDER = 3  # of n-grams
BESIDE = 1e-6  # noise that breaks the ties of the uniform floor, so that its hits are those of chance

Distribution = NDArray[np.float64]


class Floor(Network):
    """A reference that was not trained."""

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        if batch.inputs_BT is None:
            return self.label(batch)
        logits_BTV = self.after(batch.inputs_BT)
        return logits_BTV if places_N is None else logits_BTV.flatten(0, 1)[places_N]

    def begin(self, batch: Batch) -> list[Tensor]:
        return []

    def step(self, ids_B: Tensor, place: int, state: list[Tensor]) -> Tensor:
        state.append(ids_B)
        return self.after(torch.stack(state, 1))[:, -1]

    @abstractmethod
    def after(self, prefix_BT: Tensor) -> Tensor:
        """Logits (B,T,V) of what follows each token of a target."""

    @abstractmethod
    def label(self, batch: Batch) -> Tensor:
        """Logits (B,V) of the labels of sources."""


class Majority(Floor):
    """The commonest label, or the commonest token at each place of a target; beyond the longest, all alike."""

    def __init__(self, split: Split, vocabulary: int) -> None:
        super().__init__()
        longest = int(split.targets.lengths.max())
        counts = np.zeros((longest + 1, vocabulary))
        for row in _rows(split):
            counts[np.arange(len(row)), row] += 1
        self.table_TV = torch.from_numpy(_smoothed(counts)).log().float()

    def after(self, prefix_BT: Tensor) -> Tensor:
        places_T = torch.arange(prefix_BT.shape[1]).clamp(max=len(self.table_TV) - 1)
        return self.table_TV[places_T].expand(len(prefix_BT), -1, -1)

    def label(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        return self.table_TV[0].expand(len(batch.source_BS), -1)


class Ngram(Floor):
    """Each token from the two before it, by Witten and Bell, blind to the source; a label from pairs of tokens."""

    def __init__(self, split: Split, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.counts: dict[tuple[int, ...], Counter[int]] = {}
        self.distribution = cache(self._distribution)
        if split.labels:
            self._count_labels(split)
        else:
            assert split.inputs is not None
            for given, wanted in zip(_rows_of(split.inputs), _rows(split), strict=True):
                for place, token in enumerate(wanted):
                    for length in range(ORDER):
                        if length <= place + 1:
                            history = tuple(given[place + 1 - length : place + 1])
                            self.counts.setdefault(history, Counter())[token] += 1

    def after(self, prefix_BT: Tensor) -> Tensor:
        rows = [
            [self.distribution(tuple(row[max(0, end - ORDER + 1) : end])) for end in range(1, len(row) + 1)]
            for row in prefix_BT.tolist()
        ]
        return torch.from_numpy(np.array(rows)).log().float()

    def _distribution(self, history: tuple[int, ...]) -> Distribution:
        shorter = self.distribution(history[1:]) if history else np.full(self.vocabulary, 1 / self.vocabulary)
        found = self.counts.get(history)
        if not found:
            return shorter
        counts = np.zeros(self.vocabulary)
        counts[list(found)] = list(found.values())
        return (counts + len(found) * shorter) / (counts.sum() + len(found))

    def _count_labels(self, split: Split) -> None:
        assert split.source is not None
        pairs: list[Counter[tuple[int, int]]] = [Counter() for _ in range(self.vocabulary)]
        labels = np.zeros(self.vocabulary)
        for source, wanted in zip(_rows_of(split.source), _rows(split), strict=True):
            labels[wanted[0]] += 1
            pairs[wanted[0]].update(_pairs(source))
        self.prior = np.log(_smoothed(labels[None])[0])
        self.pairs = pairs
        self.seen = len(set().union(*pairs))

    def label(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        lengths = batch.source_lengths_B
        ends = [batch.source_BS.shape[1]] * len(batch.source_BS) if lengths is None else lengths.tolist()
        rows = [row[:end] for row, end in zip(batch.source_BS.tolist(), ends, strict=True)]
        return torch.tensor(np.array([self._posterior(row) for row in rows])).float()

    def _posterior(self, source: Sequence[int]) -> Distribution:
        """Naive Bayes over pairs of neighbouring tokens, with one more of each counted."""
        totals = [sum(counter.values()) + self.seen + 1 for counter in self.pairs]
        return np.array(
            [
                prior + sum(np.log((counter[pair] + 1) / total) for pair in _pairs(source))
                for prior, counter, total in zip(self.prior, self.pairs, totals, strict=True)
            ]
        )


class Uniform(Floor):
    """All tokens, or labels, alike."""

    def __init__(self, vocabulary: int, seed: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.generator = torch.Generator().manual_seed(derive(seed, "floor"))

    def after(self, prefix_BT: Tensor) -> Tensor:
        return BESIDE * torch.rand(*prefix_BT.shape, self.vocabulary, generator=self.generator)

    def label(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        return BESIDE * torch.rand(len(batch.source_BS), self.vocabulary, generator=self.generator)


def measure(run: Job) -> Record:
    """The record of one floor: scores of all splits but training."""
    started = datetime.now(UTC)
    settings = Settings.of(run)
    kind = run.settings["floor"]
    data = settings.data
    if kind != "random_network":
        data = dataset(json.dumps(run.settings["task"], sort_keys=True), *_read_as(settings))
    device = torch.device("cpu")
    evaluator = Evaluator(FLOORS[kind](data, settings).eval(), settings.decoding, device, nullcontext)
    scores: list[Score] = []
    for split in settings.task.splits:
        if split != "training":
            scores += evaluator.scores(split, data.split(split), settings.task.metrics)
    costs: dict[str, Any] = {}
    if kind == "random_network":
        costs = cost(settings.network, data.sizes(), data.lengths()).tree()
    return Record(
        run=run.id,
        status="ok",
        started_at=started.isoformat(timespec="seconds"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cost=costs,
        scores=scores,
        environment=environment(device, Machine(accelerator="cpu")),
    )


def _read_as(settings: Settings) -> tuple[str, bool]:
    """The family that a floor reads a task as, and whether with one vocabulary: as the network's, so losses compare."""
    if settings.data.labels:
        return "encoder", False
    return "encoder_decoder", settings.network.family == "decoder" or settings.network.embeddings.shared_vocabulary


def _majority(data: Dataset, settings: Settings) -> Network:
    return Majority(data.split("training"), len(data.target_vocabulary))


def _ngram(data: Dataset, settings: Settings) -> Network:
    return Ngram(data.split("training"), len(data.target_vocabulary))


def _uniform(data: Dataset, settings: Settings) -> Network:
    return Uniform(len(data.target_vocabulary), settings.seed)


def _random_network(data: Dataset, settings: Settings) -> Network:
    return build(settings.network, data.sizes(), settings.seed)


FLOORS: dict[str, Callable[[Dataset, Settings], Network]] = {
    "majority": _majority,
    "ngram": _ngram,
    "uniform": _uniform,
    "random_network": _random_network,
}


def _rows_of(ragged: Ragged) -> list[list[int]]:
    ends = ragged.starts + ragged.lengths
    return [ragged.flat[start:end].tolist() for start, end in zip(ragged.starts, ends, strict=True)]


def _rows(split: Split) -> list[list[int]]:
    return _rows_of(split.targets)


def _pairs(row: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(row))


def _smoothed(counts: Distribution) -> Distribution:
    """Shares with a tenth of a count on everything, so that nothing is impossible."""
    found: Distribution = (counts + 0.1) / (counts + 0.1).sum(-1, keepdims=True)
    return found
