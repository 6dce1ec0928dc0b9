"""Learned position, x_t + P_t with a table P of one row a place, from Gehring et al. 2017 (arXiv:1705.03122)."""

from torch import Tensor, nn

from paribus.parts.initialisation import Draw
from paribus.parts.position import BoundSpec, Coded, Combine, check_capacity


class Spec(BoundSpec):
    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Learned":
        return Learned(width, self.max_length or max_length, self.combine)


class Learned(Coded):
    def __init__(self, width: int, capacity: int, combine: Combine) -> None:
        super().__init__(width, width, combine)
        self.capacity: int = capacity
        self.table = nn.Embedding(capacity, width)

    def initialise(self, draw: Draw) -> None:
        # Small against token embeddings that are scaled to unit variance, as in GPT-2 and BERT.
        draw.normal("table.weight", self.table.weight, std=0.02)

    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        check_capacity(int(positions_BT[0, -1]) + 1, self.capacity)
        return self.table(positions_BT)
