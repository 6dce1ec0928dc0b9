"""Index position, x_t + t with t = 1..N: the plain number of the place on all channels, large and without bound."""

from torch import Tensor

from paribus.parts.position import Coded, CodedSpec


class Spec(CodedSpec):
    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Index":
        return Index(width, 1, self.combine)


class Index(Coded):
    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return (positions_BT + 1).unsqueeze(-1)
