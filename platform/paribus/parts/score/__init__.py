"""How well a query fits a key: q (B,H,Q,D) and k (B,H,K,D) give one raw number for each pair.

Axes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class Positions:
    """Where queries and keys stand in their own sequences; the batch axis may be 1."""

    queries_BQ: Tensor
    keys_BK: Tensor


class Score(nn.Module, ABC):
    """Entry (i, j) of the result depends on query i and key j only."""

    # Name of the size that multiplies Q * K in memory; the mixer then works on a few queries at a time.
    pairwise_cost: ClassVar[str | None] = None
    # How many places of keys and of queries there are, or no limit.
    capacity: int | None = None
    query_capacity: int | None = None

    @abstractmethod
    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor: ...

    @abstractmethod
    def flops(self, queries: float, keys: float) -> float:
        """Of one head: two for each multiply-add of a matrix product."""


class FusedScore(Score):
    """A score that is a plain product of transformed vectors, so that one fused kernel can do scores, softmax and sum."""

    @abstractmethod
    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        """q' and k' with q'.k' equal to the score, up to a term that is the same for all keys."""
