"""Sinusoidal position, x_t + [sin(t w_i), cos(t w_i)] with w_i = 10000^(-2i/C), from Vaswani et al. 2017 (arXiv:1706.03762)."""

import math

import torch
from torch import Tensor

from paribus.parts.position import Coded, CodedSpec, Combine


class Spec(CodedSpec):
    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Sinusoidal":
        return Sinusoidal(width, max_length, self.combine)


class Sinusoidal(Coded):
    table: Tensor

    def __init__(self, width: int, max_length: int, combine: Combine) -> None:
        super().__init__(width, width, combine)
        self.width = width
        # A cache, not a limit: longer sequences are computed when they come.
        self.register_buffer("table", sinusoids(torch.arange(max_length), width), persistent=False)

    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        if int(positions_BT[0, -1]) < len(self.table):
            return self.table[positions_BT]
        return sinusoids(positions_BT, self.width)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sines at even channels and cosines at odd ones, in float32."""
    pairs = torch.arange(0, width, 2, device=positions.device, dtype=torch.float64)
    angles = positions.unsqueeze(-1).double() * torch.exp(-math.log(10_000.0) * pairs / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width].float()
