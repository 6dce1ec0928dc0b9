"""Additive score, v . tanh(W q + U k), from Bahdanau et al. 2015 (arXiv:1409.0473)."""

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

    def build(self, *, head_dim: int) -> "Additive":
        return Additive(head_dim, self.hidden)


class Additive(Score):
    pairwise_cost = "hidden"  # the mixer chunks queries: Q * K * hidden numbers never exist at once

    def __init__(self, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.hidden = hidden
        self.query = nn.Linear(head_dim, hidden)
        self.key = nn.Linear(head_dim, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        # No fused form: tanh sits between q and k.
        pairs = self.query(q_BHQD).unsqueeze(-2) + self.key(k_BHKD).unsqueeze(-3)
        return self.score(torch.tanh(pairs)).squeeze(-1)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * self.hidden * (self.head_dim * (queries + keys) + queries * keys)
