"""Location score, w_j . q_i with one learned vector w_j for each place of a key, from Luong et al. 2015 (arXiv:1508.04025): what a key holds does not count."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.initialisation import Draw
from paribus.parts.position import check_capacity
from paribus.parts.score import Positions, Score


class Spec(Part):
    cost = "Q K D"

    max_length: PositiveInt | None = Field(None, description="places of keys; null: the longest training sequence")

    ignores = frozenset({"key"})

    def build(self, *, head_dim: int, max_keys: int) -> "Location":
        return Location(head_dim, self.max_length or max_keys)


class Location(Score):
    def __init__(self, head_dim: int, capacity: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.capacity: int = capacity
        self.places = nn.Parameter(torch.empty(capacity, head_dim).normal_(std=head_dim**-0.5))

    def initialise(self, draw: Draw) -> None:
        # Scores of unit-scale queries start with the spread that scaled dot has.
        draw.normal("places", self.places, std=self.head_dim**-0.5)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        check_capacity(int(positions.keys_BK[0, -1]) + 1, self.capacity)
        return q_BHQD @ self.places[positions.keys_BK].transpose(-2, -1).unsqueeze(1)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * keys * self.head_dim
