"""Relative position, score + b_h[bucket(j - i)] with learned numbers for buckets of distances, from Raffel et al. 2020 (arXiv:1910.10683).

Half of the buckets hold one distance each, the others ranges that grow up to `farthest`; beyond, all are one bucket.
"""

import math

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts.initialisation import Draw
from paribus.parts.position import Position, PositionSpec
from paribus.parts.score import Positions


class Spec(PositionSpec):
    buckets: int = Field(
        32, ge=4, multiple_of=4, description="of distances, half of them for each direction in an encoder"
    )
    farthest: PositiveInt = Field(128, description="distance from which on all are one bucket")

    acts_on = "attention"

    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Relative":
        return Relative(heads, self.buckets, self.farthest, both_ways=side == "encoder")


class Relative(Position):
    def __init__(self, heads: int, buckets: int, farthest: int, *, both_ways: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.farthest = farthest
        self.both_ways = both_ways
        self.table = nn.Embedding(buckets, heads)

    def initialise(self, draw: Draw) -> None:
        draw.normal("table.weight", self.table.weight, std=0.02)

    def bias(self, positions: Positions, heads: int) -> Tensor:
        offset_BQK = positions.keys_BK.unsqueeze(-2) - positions.queries_BQ.unsqueeze(-1)
        return self.table(self.bucket(offset_BQK)).permute(0, 3, 1, 2)

    def bucket(self, offset: Tensor) -> Tensor:
        """The bucket of key minus query; later keys have buckets of their own where both directions are seen."""
        buckets = self.buckets // 2 if self.both_ways else self.buckets
        start = (offset > 0).long() * buckets if self.both_ways else torch.zeros_like(offset)
        distance = offset.abs() if self.both_ways else (-offset).clamp(min=0)
        exact = buckets // 2
        far = torch.log(distance.clamp(min=1) / exact) / math.log(max(self.farthest, exact + 1) / exact)
        ranged = (exact + far * (buckets - exact)).long().clamp(max=buckets - 1)
        return start + torch.where(distance < exact, distance, ranged)
