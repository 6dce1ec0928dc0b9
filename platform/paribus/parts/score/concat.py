"""Concat score, v . tanh(W [q; k] + b) with one matrix over both, from Luong et al. 2015 (arXiv:1508.04025); the same functions as additive."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.score import Positions, Score


class Spec(Part):
    cost = "Q K hidden"

    hidden: PositiveInt = Field(
        64,
        description="width of the layer that compares q with k",
        json_schema_extra={"range": {"choices": [16, 32, 64, 128]}},
    )

    same_as = {"additive": "W [q; k] + b is the sum of a matrix for q, one for k and a bias, as in additive"}

    def build(self, *, head_dim: int) -> "Concat":
        return Concat(head_dim, self.hidden)


class Concat(Score):
    pairwise_cost = "hidden"

    def __init__(self, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.hidden = hidden
        self.both = nn.Linear(2 * head_dim, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        # W [q; k] = W_q q + W_k k: the pairs need no concatenated copy of their own.
        of_query, of_key = self.both.weight.split(self.head_dim, dim=1)
        queries = nn.functional.linear(q_BHQD, of_query, self.both.bias)
        pairs = queries.unsqueeze(-2) + nn.functional.linear(k_BHKD, of_key).unsqueeze(-3)
        return self.score(torch.tanh(pairs)).squeeze(-1)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * self.hidden * (self.head_dim * (queries + keys) + queries * keys)
