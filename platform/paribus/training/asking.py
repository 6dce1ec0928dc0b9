"""What a trained network says to a text of the user's, and where it looks meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from paribus.errors import ParibusError
from paribus.network import Network
from paribus.parts.task import Example, Vocabulary
from paribus.store.kept import Array
from paribus.training.data import Dataset, Split
from paribus.training.decoding import greedy
from paribus.training.evaluation import ROOM
from paribus.training.kept import attention, read_by_each_side

FIRST = np.array([0], dtype=np.int64)


@dataclass(frozen=True)
class Answer:
    """What was read and written."""

    source: tuple[str, ...]
    unknown: tuple[str, ...]  # words of the source that the network never met
    target: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Look:
    """What each side reads, and the weights (H,Q,K) of every attention by its path."""

    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    weights: dict[str, Array]


def predict(network: Network, data: Dataset, text: str) -> Answer:
    """What the network writes, or its label, for a source."""
    source = tokens(text, data.source_vocabulary)
    if not source:
        raise ParibusError("--text: got nothing to read, needs a source such as the task has")
    split = data.encoded([Example(source, _any_target(data))])
    _check(network, split, source)
    reading = split.reading(FIRST)
    with torch.inference_mode():
        if data.labels:
            numbers: tuple[int, ...] = (int(network(reading.batch).argmax(-1)[0]),)
        else:
            longest = int(data.split("training").targets.lengths.max()) + ROOM
            numbers = greedy(network, reading, split, longest)[0].tokens
    target = data.target_vocabulary.decode(numbers)
    known = set(data.source_vocabulary.tokens)
    unknown = tuple(dict.fromkeys(token for token in source if token not in known))
    return Answer(source, unknown, target, data.task.target_text(target))


def attend(network: Network, data: Dataset, source: Sequence[str], target: Sequence[str]) -> Look:
    """Where the network looks while it reads a source and the right answer, or what it wrote."""
    example = Example(tuple(source), tuple(target) or _any_target(data))
    split = data.encoded([example])
    _check(network, split, tuple(source))
    weights = attention(network, split.reading(FIRST))
    if not weights:
        raise ParibusError("this run has no attention: its mixers are of another kind")
    shown = read_by_each_side(data, split, 0)
    return Look(tuple(shown.encoder), tuple(shown.decoder), weights)


def tokens(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """A text as the words of a vocabulary: between spaces, else the longest that fit one after the other."""
    known = set(vocabulary.tokens)
    found: list[str] = []
    for word in text.split():
        form = next((form for form in (word, word.lower()) if form in known), None)
        found += _cut(word, known) if form is None else [form]
    return tuple(found)


def _cut(word: str, known: set[str]) -> list[str]:
    """The longest known words that make up one without spaces; the whole word where some letter fits nowhere."""
    longest = max(map(len, known), default=1)
    found, start = [], 0
    while start < len(word):
        ends = range(min(len(word), start + longest), start, -1)
        end = next((end for end in ends if word[start:end] in known), None)
        if end is None:
            return [word]
        found.append(word[start:end])
        start = end
    return found


def _any_target(data: Dataset) -> tuple[str, ...]:
    """A target that only fills the place of one."""
    return data.split("training").examples[0].target if data.labels else ()


def _check(network: Network, split: Split, source: tuple[str, ...]) -> None:
    for side in ("encoder", "decoder"):
        limit = network.capacity(side)
        if limit is not None and split.longest(side) > limit:
            raise ParibusError(
                f"--text: {len(source)} tokens are more than this run has places for ({limit} with all marks)"
            )
