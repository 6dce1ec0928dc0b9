"""Offset score, 0 for the key at i + offset and -1e4 for all others: each query looks at one fixed distance."""

from pydantic import Field
from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import Positions, Score

ELSEWHERE = -1e4  # exp of it is zero in every precision; where no key stands at the offset all keys count alike


class Spec(Part):
    cost = "Q K"

    offset: int = Field(-1, description="of the key from the query; -1 is the token before")

    ignores = frozenset({"query", "key"})

    def build(self, *, head_dim: int) -> "Offset":
        return Offset(self.offset)


class Offset(Score):
    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        there_BQK = positions.keys_BK.unsqueeze(-2) - positions.queries_BQ.unsqueeze(-1) == self.offset
        shape = (*q_BHQD.shape[:-1], k_BHKD.shape[-2])
        return q_BHQD.new_full(shape, ELSEWHERE).masked_fill(there_BQK.unsqueeze(1), 0.0)

    def flops(self, queries: float, keys: float) -> float:
        return 0.0
