"""How the order of the tokens is told: added to the embeddings, or used where queries meet keys.

Axes: B batch, T time, C channels.
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.errors import ParibusError
from paribus.parts import Misfit, Part, Surroundings


class CapacityError(ParibusError):
    """A sequence is longer than a part has places for."""


class Position(nn.Module):
    """Each method does nothing unless a kind says otherwise."""

    capacity: int | None = None  # how many places there are, or no limit

    def embed(self, x_BTC: Tensor, positions_BT: Tensor) -> Tensor:
        """The embeddings with the order told."""
        return x_BTC


class PositionSpec(Part):
    """Settings of kinds that act on the embeddings."""

    acts_on: ClassVar[str] = "embeddings"

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        return iter(())


class BoundSpec(PositionSpec):
    """Settings of kinds that have a limited number of places."""

    max_length: PositiveInt | None = Field(None, description="number of places; null: the longest training sequence")


def check_capacity(length: int, capacity: int) -> None:
    """Raise where a sequence needs more places than there are: a clamp would hide it."""
    if length > capacity:
        raise CapacityError(f"a sequence of {length} tokens needs more than the {capacity} places of its positions")
