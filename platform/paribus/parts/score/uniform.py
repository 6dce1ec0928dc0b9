"""Uniform score, 0 for every pair: all keys count alike, the null that any other score has to beat."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import Positions, Score


class Spec(Part):
    cost = "Q K"

    ignores = frozenset({"query", "key"})

    def build(self, *, head_dim: int) -> "Uniform":
        return Uniform()


class Uniform(Score):
    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return q_BHQD.new_zeros(*q_BHQD.shape[:-1], k_BHKD.shape[-2])

    def flops(self, queries: float, keys: float) -> float:
        return 0.0
