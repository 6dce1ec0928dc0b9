"""Cosine score, tau cos(q, k) with a learned temperature tau, from Graves et al. 2014 (arXiv:1410.5401); without tau it could not leave [-1, 1]."""

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.score import FusedScore, Positions


class Spec(Part):
    cost = "Q K D"

    temperature: PositiveFloat = Field(
        10.0,
        description="tau at the start; it is learned",
        json_schema_extra={"range": {"low": 1.0, "high": 30.0, "log": True}},
    )

    def build(self, *, head_dim: int) -> "Cosine":
        return Cosine(head_dim, self.temperature)


class Cosine(FusedScore):
    def __init__(self, head_dim: int, temperature: float) -> None:
        super().__init__()
        self.head_dim = head_dim
        # The logarithm is learned, so that tau stays above zero.
        self.log_temperature = nn.Parameter(torch.tensor(float(temperature)).log())

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        q, k = self.fused(q_BHQD, k_BHKD)
        return q @ k.transpose(-2, -1)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHQD * (_one_over_length(q_BHQD) * self.log_temperature.exp()), k_BHKD * _one_over_length(k_BHKD)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * keys * self.head_dim


def _one_over_length(x_BHTD: Tensor) -> Tensor:
    """(B,H,T,1); a vector of zeros stays one. Quicker than torch's normalize, above all backward."""
    wide = torch.promote_types(x_BHTD.dtype, torch.float32)
    return x_BHTD.square().sum(-1, keepdim=True, dtype=wide).clamp(min=1e-24).rsqrt().to(x_BHTD.dtype)
