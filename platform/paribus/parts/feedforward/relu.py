"""ReLU feed-forward, W2 max(0, W1 x + b1) + b2, from Vaswani et al. 2017 (arXiv:1706.03762)."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.feedforward import Feedforward


class Spec(Part):
    cost = "T C width"

    width: PositiveInt = Field(256, description="of the hidden layer")

    def build(self, *, width: int) -> "Relu":
        return Relu(width, self.width)


class Relu(Feedforward):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.narrow(self.widen(x_BTC).relu())

    def flops(self, tokens: float) -> float:
        return 4 * tokens * self.widen.in_features * self.widen.out_features
