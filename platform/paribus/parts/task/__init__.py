"""What is learned: a task gives examples split by split, the words they are made of, and the metrics that judge outputs.

An example is a source and a target (two sequences of tokens), or a source and a label.
"""

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field, NonNegativeInt, PositiveInt

from paribus.errors import PartError
from paribus.parts import Misfit, Part, Surroundings

Shape = Literal["pairs", "labels"]
T = TypeVar("T")

SPECIALS = ("<pad>", "<start>", "<end>", "<unknown>", "<separator>")
PAD, START, END, UNKNOWN, SEPARATOR = range(len(SPECIALS))

MOST_EXAMPLES = 10_000_000  # of a split: they are held in memory

# Spaces up to this size are listed and cut exactly; larger ones are sampled and split by regions of the hash.
LISTABLE = 200_000


class Example(NamedTuple):
    """One thing to learn; `target` is the sequence to write, or the label alone where the task has labels."""

    source: tuple[str, ...]
    target: tuple[str, ...]


class Vocabulary:
    """Token -> number, with the special tokens first; a token that it lacks becomes <unknown>."""

    def __init__(self, tokens: Sequence[str], specials: Sequence[str] = SPECIALS) -> None:
        self.tokens = (*specials, *tokens)
        self._number = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> list[int]:
        return [self._number.get(token, UNKNOWN) for token in tokens]

    def decode(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.tokens[number] for number in numbers)


class Dice:
    """Random choices that stay the same in every Python version: only `random()` is guaranteed, so all rests on it."""

    def __init__(self, *seed: object) -> None:
        self._random = random.Random(hashlib.sha256(repr(seed).encode()).digest()).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def chance(self, probability: float) -> bool:
        return self._random() < probability


class TaskSpec(Part):
    """The settings that every task has."""

    training_examples: PositiveInt = Field(20_000, le=MOST_EXAMPLES, description="examples to learn from")
    validation_examples: PositiveInt = Field(
        1_000, le=MOST_EXAMPLES, description="examples to select checkpoints and settings by"
    )
    test_examples: PositiveInt = Field(
        1_000, le=MOST_EXAMPLES, description="examples that are looked at once, at the end"
    )

    shape: ClassVar[Shape]
    metrics: ClassVar[tuple[str, ...]]  # the first one is the main metric
    splits: ClassVar[tuple[str, ...]] = ("training", "validation", "test")

    @abstractmethod
    def build(self) -> "Task": ...

    @abstractmethod
    def fingerprint(self) -> dict[str, object]:
        """What the data depend on, for the identity of a run."""


class Task(ABC):
    """A task with its data at hand."""

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary  # of the labels, where the task has labels; without specials then

    @abstractmethod
    def examples(self, split: str) -> Sequence[Example]: ...

    def source_text(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)

    def target_text(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)


class GeneratedSpec(TaskSpec):
    """A task that makes its own examples, the same on every machine; each source decides its target."""

    seed: NonNegativeInt = Field(0, description="of the data, not of the runs")

    version: ClassVar[int] = 1  # raised when the same settings would give other examples
    splits: ClassVar[tuple[str, ...]] = ("training", "validation", "test", "test_longer")

    @abstractmethod
    def space(self) -> int:
        """How many different sources there are (a lower bound will do where it is very many)."""

    @abstractmethod
    def everything(self) -> Iterator[Example]:
        """All examples; asked for only when `space()` is small enough to list."""

    @abstractmethod
    def draw(self, dice: Dice) -> Example:
        """A random example."""

    @abstractmethod
    def draw_longer(self, dice: Dice) -> Example:
        """A random example whose source is longer than any that `draw` gives."""

    @abstractmethod
    def alphabets(self) -> tuple[Sequence[str], Sequence[str]]:
        """All source tokens and all target tokens (or labels) that any split may hold, in a fixed order."""

    def fingerprint(self) -> dict[str, object]:
        return {**self.identity(), "version": self.version}

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        wanted = self.training_examples + self.validation_examples + self.test_examples
        if wanted > self.space():
            yield Misfit(
                "training_examples",
                f"the splits need {wanted:,} different sources, but these settings have only {self.space():,}",
            )

    def build(self) -> "GeneratedTask":
        return GeneratedTask(self)


class GeneratedTask(Task):
    """The examples of a generated task; made when a split is first asked for."""

    def __init__(self, spec: GeneratedSpec) -> None:
        self._spec = spec
        source, target = spec.alphabets()
        self.source_vocabulary = Vocabulary(source)
        self.target_vocabulary = Vocabulary(target, specials=() if spec.shape == "labels" else SPECIALS)

    def examples(self, split: str) -> Sequence[Example]:
        if split == "test_longer":
            return self._longer
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[str, list[Example]]:
        spec = self._spec
        sizes = {"test": spec.test_examples, "validation": spec.validation_examples, "training": spec.training_examples}
        if spec.space() <= LISTABLE:
            return _cut(list(spec.everything()), sizes, spec.seed)
        return _sample(spec.draw, sizes, spec.seed)

    @cached_property
    def _longer(self) -> list[Example]:
        dice = Dice("longer", self._spec.seed)
        return _distinct(self._spec.draw_longer, dice, {"longer": self._spec.test_examples}, lambda _: "longer")[
            "longer"
        ]


def _share(example: Example, seed: int) -> float:
    """Where a source lies between 0 and 1: a hash, so a source is always in the same split."""
    digest = hashlib.sha256(repr((seed, example.source)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _cut(examples: list[Example], sizes: dict[str, int], seed: int) -> dict[str, list[Example]]:
    """Test from the low end of the hash, then validation; training from the high end, so that smaller is a subset."""
    ordered = sorted(examples, key=lambda example: _share(example, seed))
    test, validation, training = sizes["test"], sizes["validation"], sizes["training"]
    return {
        "test": ordered[:test],
        "validation": ordered[test : test + validation],
        "training": ordered[::-1][:training],
    }


def _sample(draw: Callable[[Dice], Example], sizes: dict[str, int], seed: int) -> dict[str, list[Example]]:
    """Distinct random examples; the hash of the source says which split each belongs to."""

    def split_of(example: Example) -> str:
        share = _share(example, seed)
        return "test" if share < 0.1 else "validation" if share < 0.2 else "training"

    return _distinct(draw, Dice("examples", seed), sizes, split_of)


def _distinct(
    draw: Callable[[Dice], Example], dice: Dice, sizes: dict[str, int], split_of: Callable[[Example], str]
) -> dict[str, list[Example]]:
    splits: dict[str, list[Example]] = {split: [] for split in sizes}
    seen: set[tuple[str, ...]] = set()
    missing = sum(sizes.values())
    in_vain = 0
    while missing:
        example = draw(dice)
        split = splits[name := split_of(example)]
        if example.source in seen or len(split) >= sizes[name]:
            in_vain += 1
            if in_vain > 200_000:
                short = ", ".join(f"{name} {len(splits[name]):,} of {size:,}" for name, size in sizes.items())
                raise PartError(f"the task does not have enough different sources for its splits: found {short}")
            continue
        seen.add(example.source)
        split.append(example)
        missing -= 1
        in_vain = 0
    return splits
