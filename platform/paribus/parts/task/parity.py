"""Parity: is the number of a's in the source even or odd? One wrong token turns the answer, so no summary by majority helps."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, PositiveInt

from paribus.parts.task import Shape
from paribus.parts.task._letters import LETTERS, LettersSpec


class Spec(LettersSpec):
    letters: PositiveInt = Field(2, le=len(LETTERS), description="how many different letters there are")
    longest: PositiveInt = Field(16, le=1000, description="of the sources, in letters")

    shape: ClassVar[Shape] = "labels"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "loss")

    def answer(self, source: tuple[str, ...]) -> tuple[str, ...]:
        return ("odd",) if source.count("a") % 2 else ("even",)

    def alphabets(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.alphabet, ("even", "odd")
