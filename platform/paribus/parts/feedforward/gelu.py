"""GELU feed-forward, W2 gelu(W1 x + b1) + b2 with gelu(u) = u Phi(u), from Hendrycks and Gimpel 2016 (arXiv:1606.08415)."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Part
from paribus.parts.feedforward import Feedforward


class Spec(Part):
    cost = "T C width"

    width: PositiveInt = Field(256, description="of the hidden layer")

    def build(self, *, width: int) -> "Gelu":
        return Gelu(width, self.width)


class Gelu(Feedforward):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.narrow(functional.gelu(self.widen(x_BTC)))

    def flops(self, tokens: float) -> float:
        return 4 * tokens * self.widen.in_features * self.widen.out_features
