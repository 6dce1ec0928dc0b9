"""How the order of the tokens is told: added to the embeddings, or used where queries meet keys in self-attention.

Axes: B batch, T time, C channels, H heads, Q queries, K keys, D width of a head, P width of a code.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.errors import ParibusError
from paribus.parts import Part
from paribus.parts.score import Positions

Combine = Literal["add", "concat"]


class CapacityError(ParibusError):
    """A sequence is longer than a part has places for."""


class Position(nn.Module):
    """Each method does nothing unless a kind says otherwise."""

    capacity: int | None = None  # how many places there are, or no limit

    def embed(self, x_BTC: Tensor, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        """The embeddings with the order told."""
        return x_BTC

    def rotate(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> tuple[Tensor, Tensor]:
        """Queries and keys with the order told."""
        return q_BHQD, k_BHKD

    def bias(self, positions: Positions, heads: int) -> Tensor | None:
        """(B or 1,H,Q,K) to be added to the scores, or nothing."""
        return None

    def flops(self, tokens: float) -> float:
        """Two for each multiply-add of a matrix product."""
        return 0.0


class PositionSpec(Part):
    """Settings of a position; `acts_on` says where it tells the order, `only_distance` what counts in attention."""

    acts_on: ClassVar[Literal["embeddings", "attention", "nothing"]] = "embeddings"
    only_distance: ClassVar[bool] = True
    rotates: ClassVar[bool] = False  # whether it turns queries and keys


class CodedSpec(PositionSpec):
    """Settings of kinds that give each place a code of its own."""

    combine: Combine = Field(
        "add",
        description="add the code to the embedding, or concat both and project, W [x; p]",
        json_schema_extra={"neutral": "add"},
    )


class BoundSpec(CodedSpec):
    """Settings of kinds that have a limited number of places."""

    max_length: PositiveInt | None = Field(None, description="number of places; null: the longest training sequence")


class Coded(Position):
    """Adds a code to each embedding, or concatenates it and projects."""

    def __init__(self, width: int, code_width: int, combine: Combine) -> None:
        super().__init__()
        self.combine = nn.Linear(width + code_width, width) if combine == "concat" else None

    @abstractmethod
    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B or 1,T,P), or (B or 1,T,1) for one number on all channels."""

    def embed(self, x_BTC: Tensor, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        codes = self.codes(positions_BT, mask_BT).to(x_BTC.dtype)
        if self.combine is None:
            return x_BTC + codes
        return self.combine(torch.cat((x_BTC, codes.expand(*x_BTC.shape[:2], -1)), dim=-1))

    def flops(self, tokens: float) -> float:
        return 0.0 if self.combine is None else 2 * tokens * self.combine.weight.numel()


def check_capacity(length: int, capacity: int) -> None:
    """Raise where a sequence needs more places than there are: a clamp would hide it."""
    if length > capacity:
        raise CapacityError(f"a sequence of {length} tokens needs more than the {capacity} places of its positions")
