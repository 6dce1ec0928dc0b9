"""Phrases: English into Chinese by a synchronous grammar, from numbers to sentences in which the order decides.

- numbers: one hundred and sixty thousand eight hundred and sixteen -> 十六万零八百一十六
- simple: mary is cleverer than the teacher -> 玛丽比老师聪明
- phrases: we found the horse that the cat chased yesterday -> 我们找到了猫昨天追的那匹马
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from paribus.parts.task import Dice, Example, GeneratedSpec, GeneratedTask, Shape
from paribus.parts.task._numerals import DIGITS, MORE_DIGITS, ONES, SCALES, TENS, UNITS, english_number, number_example
from paribus.parts.task._sentences import GRAMMARS, different

Level = Literal["numbers", "simple", "phrases"]
LEVELS: tuple[Level, ...] = ("numbers", "simple", "phrases")


def _checked(level: object) -> object:
    """The level as written, or a complaint that names what would be right."""
    known = ", ".join(LEVELS)
    if not isinstance(level, str | Mapping):
        raise _wrong(f"got {level!r}, needs one of {known}, or weights such as {{numbers: 1, phrases: 3}}")
    for name in [level] if isinstance(level, str) else level:
        if name not in LEVELS:
            raise _wrong(f"no level is called {name!r}; known: {known}")
    if isinstance(level, Mapping):
        if not level:
            raise _wrong(f"needs the weight of at least one level; known: {known}")
        for name, weight in level.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 < weight < float("inf"):
                raise _wrong(f"got the weight {weight!r} for {name}, needs a number above 0")
    return level


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("level", "{message}", {"message": message})


class Spec(GeneratedSpec):
    level: Annotated[Level | dict[Level, PositiveFloat], BeforeValidator(_checked)] = Field(
        "numbers", description="numbers, simple, phrases, or a weight for each of several"
    )
    maximum: PositiveInt = Field(9_999_999, ge=9, le=99_999_999_999, description="the greatest number of level numbers")

    shape: ClassVar[Shape] = "pairs"
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "token_accuracy", "loss")

    def space(self) -> int:
        return max(self._space(level) for level in self._weights)

    def everything(self) -> Iterator[Example]:
        assert tuple(self._weights) == ("numbers",), "sentences are too many to list"
        return (number_example(number) for number in range(self.maximum + 1))

    def draw(self, dice: Dice) -> Example:
        level = _weighted(dice, self._weights)
        return self._any_number(dice) if level == "numbers" else GRAMMARS[level].draw(dice)

    def draw_longer(self, dice: Dice) -> Example:
        """Longer than any draw of any level; hardly a number is longer than sentences, so beside them none is drawn."""
        sentences: dict[Level, float] = {level: weight for level, weight in self._weights.items() if level != "numbers"}
        if not sentences:
            return self._longer_number(dice)
        longest = max(self._longest_number, *(GRAMMARS[level].longest for level in sentences))
        return GRAMMARS[_weighted(dice, sentences)].draw_longer(dice, longest)

    def alphabets(self) -> tuple[Sequence[str], Sequence[str]]:
        both = [self._number_alphabets if level == "numbers" else GRAMMARS[level].alphabets for level in self._weights]
        sources, targets = zip(*both, strict=True)
        return different(chain(*sources)), different(chain(*targets))

    def build(self) -> "PhrasesTask":
        return PhrasesTask(self)

    @property
    def _weights(self) -> dict[Level, float]:
        """Level -> weight, in one order however they were written."""
        written = {self.level: 1.0} if isinstance(self.level, str) else self.level
        return {level: written[level] for level in LEVELS if level in written}

    def _space(self, level: Level) -> int:
        return self.maximum + 1 if level == "numbers" else GRAMMARS[level].space

    @property
    def _number_alphabets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        alone = tuple(self._weights) == ("numbers",)
        greatest = 10 ** (len(str(self.maximum)) + MORE_DIGITS) - 1 if alone else self.maximum
        scales, units = ([name for size, name in names.items() if size <= greatest] for names in (SCALES, UNITS))
        return (*ONES, *TENS, *scales, "and"), (*DIGITS, *units)

    @property
    def _longest_number(self) -> int:
        return len(english_number(10 ** len(str(self.maximum)) - 1))

    def _any_number(self, dice: Dice) -> Example:
        """Each number of digits is as likely as any other, so that short numbers do not vanish among the long."""
        digits = dice.between(1, len(str(self.maximum)))
        lowest = 10 ** (digits - 1) if digits > 1 else 0
        return number_example(dice.between(lowest, min(10**digits - 1, self.maximum)))

    def _longer_number(self, dice: Dice) -> Example:
        while True:
            digits = len(str(self.maximum)) + dice.between(1, MORE_DIGITS)
            example = number_example(dice.between(10 ** (digits - 1), 10**digits - 1))
            if len(example.source) > self._longest_number:
                return example


class PhrasesTask(GeneratedTask):
    """The examples, and Chinese written without spaces."""

    def target_text(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)


def _weighted(dice: Dice, weights: Mapping[Level, float]) -> Level:
    left = sum(weights.values())
    for level, weight in weights.items():
        if dice.chance(weight / left):
            return level
        left -= weight
    return level
