"""RMS norm, x / sqrt(mean(x^2) + eps) * g over the channels of each token, from Zhang and Sennrich 2019 (arXiv:1910.07467)."""

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Part
from paribus.parts.norm import Norm


class Spec(Part):
    cost = "T C"

    eps: PositiveFloat = Field(1e-5, description="added to the mean square")

    def build(self, *, width: int, max_length: int) -> "Rms":
        return Rms(width, self.eps)


class Rms(Norm):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        return functional.rms_norm(x_BTC, self.weight.shape, self.weight, self.eps)
