"""MLP score, v . relu(W2 relu(W q + U k + b) + c): a perceptron with two hidden layers compares q with k."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.score import Positions, Score


class Spec(Part):
    cost = "Q K hidden²"

    hidden: PositiveInt = Field(
        32, description="width of both hidden layers", json_schema_extra={"range": {"choices": [16, 32, 64, 128]}}
    )

    def build(self, *, head_dim: int) -> "Mlp":
        return Mlp(head_dim, self.hidden)


class Mlp(Score):
    pairwise_cost = "hidden"

    def __init__(self, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.hidden = hidden
        self.query = nn.Linear(head_dim, hidden)
        self.key = nn.Linear(head_dim, hidden, bias=False)
        self.inner = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        pairs = self.query(q_BHQD).unsqueeze(-2) + self.key(k_BHKD).unsqueeze(-3)
        return self.score(self.inner(pairs.relu()).relu()).squeeze(-1)

    def flops(self, queries: float, keys: float) -> float:
        projected = self.head_dim * (queries + keys)
        return 2 * self.hidden * (projected + queries * keys * (self.hidden + 1))
