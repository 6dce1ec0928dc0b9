"""Random score, r_h[i, j] from a table that is drawn once and never trained, from Tay et al. 2021 (arXiv:2005.00743): attention that neither looks nor learns where to look."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from paribus.parts import Part
from paribus.parts.initialisation import Draw
from paribus.parts.position import check_capacity
from paribus.parts.score import Positions, Score


class Spec(Part):
    cost = "Q K"

    max_length: PositiveInt | None = Field(
        None, description="places of queries and keys; null: the longest training sequences"
    )

    ignores = frozenset({"query", "key"})

    def build(self, *, heads: int, max_queries: int, max_keys: int) -> "Random":
        return Random(heads, self.max_length or max_queries, self.max_length or max_keys)


class Random(Score):
    table: Tensor

    def __init__(self, heads: int, queries: int, keys: int) -> None:
        super().__init__()
        self.query_capacity: int = queries
        self.capacity: int = keys
        self.register_buffer("table", torch.randn(heads, queries, keys))

    def initialise(self, draw: Draw) -> None:
        draw.normal("table", self.table, std=1.0)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        check_capacity(int(positions.queries_BQ[0, -1]) + 1, self.query_capacity)
        check_capacity(int(positions.keys_BK[0, -1]) + 1, self.capacity)
        table_HBQK = self.table[:, positions.queries_BQ.unsqueeze(-1), positions.keys_BK.unsqueeze(-2)]
        return table_HBQK.transpose(0, 1).to(q_BHQD.dtype).expand(*q_BHQD.shape[:-1], -1)

    def flops(self, queries: float, keys: float) -> float:
        return 0.0
