"""Sequences of random letters, of which copy, reverse and parity are made."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Self

from pydantic import Field, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from paribus.parts.task import Dice, Example, GeneratedSpec

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class LettersSpec(GeneratedSpec):
    """Sources of random letters, from `shortest` to `longest`; the longer test split goes to twice `longest`."""

    letters: PositiveInt = Field(12, le=len(LETTERS), description="how many different letters there are")
    shortest: PositiveInt = Field(3, le=1000, description="of the sources, in letters")
    longest: PositiveInt = Field(10, le=1000, description="of the sources, in letters")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shortest > self.longest:
            message = f"shortest ({self.shortest}) must not be above longest ({self.longest})"
            raise PydanticCustomError("lengths", "{message}", {"message": message})
        return self

    @abstractmethod
    def answer(self, source: tuple[str, ...]) -> tuple[str, ...]:
        """The target, or the label alone, of a source."""

    def space(self) -> int:
        return sum(self.letters**length for length in range(self.shortest, self.longest + 1))

    def everything(self) -> Iterator[Example]:
        for length in range(self.shortest, self.longest + 1):
            for source in product(self.alphabet, repeat=length):
                yield Example(source, self.answer(source))

    def draw(self, dice: Dice) -> Example:
        return self._drawn(dice, self.shortest, self.longest)

    def draw_longer(self, dice: Dice) -> Example:
        return self._drawn(dice, self.longest + 1, 2 * self.longest)

    def alphabets(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.alphabet, self.alphabet

    @property
    def alphabet(self) -> Sequence[str]:
        return LETTERS[: self.letters]

    def _drawn(self, dice: Dice, shortest: int, longest: int) -> Example:
        source = tuple(dice.pick(self.alphabet) for _ in range(dice.between(shortest, longest)))
        return Example(source, self.answer(source))
