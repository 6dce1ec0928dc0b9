"""Distance score, -|q - k|^2 / sqrt(d): the nearer, the higher; a Gaussian kernel under softmax."""

import torch
from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import FusedScore, Positions


class Spec(Part):
    cost = "Q K D"

    def build(self, *, head_dim: int) -> "Distance":
        return Distance(head_dim)


class Distance(FusedScore):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.scale = head_dim**-0.5

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        # |q|^2 + |k|^2 - 2 q.k, so that no Q * K * D numbers exist.
        squares = q_BHQD.square().sum(-1, keepdim=True) + k_BHKD.square().sum(-1).unsqueeze(-2)
        return self.scale * (2 * q_BHQD @ k_BHKD.transpose(-2, -1) - squares)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        # -|k|^2 is one more feature; |q|^2 is the same for all keys and falls out.
        one = torch.full_like(q_BHQD[..., :1], self.scale)
        q = torch.cat((2 * self.scale * q_BHQD, one), dim=-1)
        return q, torch.cat((k_BHKD, -k_BHKD.square().sum(-1, keepdim=True)), dim=-1)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * keys * self.head_dim
