"""SwiGLU feed-forward, W2 (silu(W1 x + b1) * (V x + c)) + b2, from Shazeer 2020 (arXiv:2002.05202); three matrices, so 3/2 the parameters of relu."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Part
from paribus.parts.feedforward import Feedforward


class Spec(Part):
    cost = "T C width"

    width: PositiveInt = Field(256, description="of the hidden layer")

    def build(self, *, width: int) -> "Swiglu":
        return Swiglu(width, self.width)


class Swiglu(Feedforward):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.narrow(functional.silu(self.widen(x_BTC)) * self.gate(x_BTC))

    def flops(self, tokens: float) -> float:
        return 6 * tokens * self.widen.in_features * self.widen.out_features
