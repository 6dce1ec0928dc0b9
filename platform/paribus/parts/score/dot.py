"""Dot score, q . k, from Luong et al. 2015 (arXiv:1508.04025)."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import FusedScore, Positions


class Spec(Part):
    cost = "Q K D"

    def build(self, *, head_dim: int) -> "Dot":
        return Dot(head_dim)


class Dot(FusedScore):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return q_BHQD @ k_BHKD.transpose(-2, -1)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHQD, k_BHKD

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * keys * self.head_dim
