"""Layer norm, (x - mean) / sqrt(variance + eps) * g + b over the channels of each token, from Ba et al. 2016 (arXiv:1607.06450)."""

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Part
from paribus.parts.norm import Norm


class Spec(Part):
    cost = "T C"

    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def build(self, *, width: int, max_length: int) -> "Layer":
        return Layer(width, self.eps)


class Layer(Norm):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        return functional.layer_norm(x_BTC, self.weight.shape, self.weight, self.bias, self.eps)
