"""Scaled dot score, q . k / sqrt(d) with d the width of a head, from Vaswani et al. 2017 (arXiv:1706.03762)."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import FusedScore, Positions


class Spec(Part):
    cost = "Q K D"

    same_as_if_free = {
        "dot": "the scale folds into the query's matrix, so they differ in how training starts and moves only"
    }

    def build(self, *, head_dim: int) -> "ScaledDot":
        return ScaledDot(head_dim)


class ScaledDot(FusedScore):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.scale = head_dim**-0.5

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return (q_BHQD * self.scale) @ k_BHKD.transpose(-2, -1)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHQD * self.scale, k_BHKD

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * keys * self.head_dim
