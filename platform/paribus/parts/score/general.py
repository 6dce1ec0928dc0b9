"""General score, q . W k with a square matrix W, from Luong et al. 2015 (arXiv:1508.04025); with free projections the same functions as dot."""

from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.score import FusedScore, Positions


class Spec(Part):
    cost = "Q K D + K D²"

    same_as_if_free = dict.fromkeys(
        ("dot", "scaled_dot"), "q . W k is a plain product of projections, since W folds into the key's matrix"
    )

    def build(self, *, head_dim: int) -> "General":
        return General(head_dim)


class General(FusedScore):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.key = nn.Linear(head_dim, head_dim, bias=False)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return q_BHQD @ self.key(k_BHKD).transpose(-2, -1)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHQD, self.key(k_BHKD)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * self.head_dim * (keys * self.head_dim + queries * keys)
