"""How good a network is on a split: one pass with the right answers given, one of writing where a metric asks."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paribus.network import Network
from paribus.parts import Part, spec_class
from paribus.store.record import Score
from paribus.training.data import Indices, Reading, Split
from paribus.training.decoding import Output, greedy, targets_of

# Told of every batch: the split, what was read, the logits of what was asked, and what was written if anything was.
Hear = Callable[[str, Reading, Tensor, list[Output] | None], None]

BATCH = 256
ROOM = 10  # tokens that a written output may be longer than the longest right answer


@dataclass(frozen=True)
class Evaluator:
    """Evaluates in the state that training leaves things: same device, same precision, dropout off."""

    network: Network
    decoding: Part
    device: torch.device
    precision: Callable[[], AbstractContextManager[object]]

    def scores(
        self,
        name: str,
        split: Split,
        metrics: Sequence[str],
        rows: Indices | None = None,
        hear: Hear | None = None,
    ) -> list[Score]:
        """Each metric on the split, or the reason why there is none."""
        for side in ("encoder", "decoder"):
            capacity = self.network.capacity(side)
            if capacity is not None and split.longest(side) > capacity:
                return [Score(name, metric, None, "capacity") for metric in metrics]
        values = self._values(split, metrics, rows, partial(hear, name) if hear else None)
        return [
            Score(name, metric, values[metric])
            if np.isfinite(values[metric])
            else Score(name, metric, None, "not finite")
            for metric in metrics
        ]

    def _values(
        self, split: Split, metrics: Sequence[str], rows: Indices | None, hear: Callable[..., None] | None
    ) -> dict[str, float]:
        was_training = self.network.training
        self.network.eval()
        loss, right, asked, exact = 0.0, 0, 0, 0
        writes = any(getattr(spec_class("metric", metric), "needs_writing", False) for metric in metrics)
        count = len(split) if rows is None else len(rows)
        try:
            with torch.inference_mode(), self.precision():
                for piece in _pieces(split, rows):
                    reading = split.reading(piece).to(self.device)
                    logits = self.network(reading.batch, reading.places_N)
                    nll, hits = judged(logits, reading)
                    loss, right, asked = loss + nll, right + hits, asked + reading.asked
                    written = self._written(reading, split) if writes else None
                    if written is not None:
                        answers = targets_of(split, reading.rows.tolist())
                        exact += sum(one.matches(other) for one, other in zip(written, answers, strict=True))
                    if hear is not None:
                        hear(reading, logits, written)
        finally:
            self.network.train(was_training)
        share = right / asked
        return {"loss": loss / asked, "token_accuracy": share, "accuracy": share, "exact_match": exact / count}

    def _written(self, reading: Reading, split: Split) -> list[Output]:
        limit = getattr(self.decoding, "max_length", None) or int(split.targets.lengths.max()) + ROOM
        return greedy(self.network, reading, split, limit)


def _pieces(split: Split, rows: Indices | None) -> list[Indices]:
    if rows is None:
        return list(split.batches(BATCH))
    ordered = rows[np.argsort(split.order[rows], kind="stable")]
    return [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]


def judged(logits: Tensor, reading: Reading) -> tuple[float, int]:
    """Sum of the negative log-likelihood, and how many targets were the likeliest."""
    flat, targets = logits.flatten(0, -2).float(), reading.wanted()
    nll = functional.cross_entropy(flat, targets, reduction="sum")
    return float(nll), int((flat.argmax(-1) == targets).sum())
