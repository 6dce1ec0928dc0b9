"""Copy: write the source again, letter by letter; the plainest task in which each token must be found by its place."""

from typing import ClassVar

from paribus.parts.task import Shape
from paribus.parts.task._letters import LettersSpec


class Spec(LettersSpec):
    shape: ClassVar[Shape] = "pairs"
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "token_accuracy", "loss")

    def answer(self, source: tuple[str, ...]) -> tuple[str, ...]:
        return source
