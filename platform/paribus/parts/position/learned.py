"""Learned position, x_t + P_t with a table P of one row a place, from Gehring et al. 2017 (arXiv:1705.03122)."""

from torch import Tensor, nn

from paribus.parts.initialisation import Draw
from paribus.parts.position import BoundSpec, Position, check_capacity


class Spec(BoundSpec):
    def build(self, *, width: int, max_length: int) -> "Learned":
        return Learned(width, self.max_length or max_length)


class Learned(Position):
    def __init__(self, width: int, capacity: int) -> None:
        super().__init__()
        self.capacity: int = capacity
        self.table = nn.Embedding(capacity, width)

    def initialise(self, draw: Draw) -> None:
        # The scale of token embeddings before their factor of sqrt(width); small against them, as in GPT-2 and BERT.
        draw.normal("table.weight", self.table.weight, std=0.02)

    def embed(self, x_BTC: Tensor, positions_BT: Tensor) -> Tensor:
        check_capacity(int(positions_BT[0, -1]) + 1, self.capacity)
        return x_BTC + self.table(positions_BT)
