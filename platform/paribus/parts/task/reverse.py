"""Reverse: write the source backwards; the place to look moves against the place to write."""

from typing import ClassVar

from paribus.parts.task import Shape
from paribus.parts.task._letters import LettersSpec


class Spec(LettersSpec):
    shape: ClassVar[Shape] = "pairs"
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "token_accuracy", "loss")

    def answer(self, source: tuple[str, ...]) -> tuple[str, ...]:
        return source[::-1]
