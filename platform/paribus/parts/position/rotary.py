"""Rotary position, (R_i q_i) . (R_j k_j) with each pair of channels turned by t w_m, w_m = base^(-2m/D), from Su et al. 2021 (arXiv:2104.09864)."""

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from paribus.parts.position import Position, PositionSpec
from paribus.parts.score import Positions


class Spec(PositionSpec):
    base: PositiveFloat = Field(10_000.0, description="of the wavelengths")

    acts_on = "attention"
    rotates = True

    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Rotary":
        return Rotary(self.base)


class Rotary(Position):
    def __init__(self, base: float) -> None:
        super().__init__()
        self.base = base

    def rotate(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> tuple[Tensor, Tensor]:
        return self._turned(q_BHQD, positions.queries_BQ), self._turned(k_BHKD, positions.keys_BK)

    def _turned(self, x_BHTD: Tensor, positions_BT: Tensor) -> Tensor:
        """Neighbouring channels are the two coordinates that are turned, as in the paper."""
        pairs = torch.arange(0, x_BHTD.shape[-1], 2, device=x_BHTD.device, dtype=torch.float64)
        angles = positions_BT[:, None, :, None].double() * self.base ** (-pairs / x_BHTD.shape[-1])
        cos, sin = angles.cos().to(x_BHTD.dtype), angles.sin().to(x_BHTD.dtype)
        even, odd = x_BHTD[..., 0::2], x_BHTD[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
