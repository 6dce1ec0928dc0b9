"""Unit position, x_t + t / (N - 1) from 0 to 1 on all channels: the step between neighbours hangs on the length N.

In the encoder N is the real length of each sequence; a decoder does not know its length yet, so there N is `max_length`.
"""

import torch
from torch import Tensor

from paribus.parts.position import BoundSpec, Coded, Combine, check_capacity


class Spec(BoundSpec):
    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Unit":
        places = self.max_length or max_length
        return Unit(width, places if side == "decoder" else None, self.combine)


class Unit(Coded):
    def __init__(self, width: int, places: int | None, combine: Combine) -> None:
        super().__init__(width, 1, combine)
        self.capacity = places

    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        if self.capacity is not None:
            check_capacity(int(positions_BT[0, -1]) + 1, self.capacity)
            return positions_BT.unsqueeze(-1) / max(1, self.capacity - 1)
        if mask_BT is None:
            return positions_BT.unsqueeze(-1) / max(1, positions_BT.shape[1] - 1)
        last_B1 = (mask_BT.sum(1, keepdim=True) - 1).clamp(min=1)
        return torch.minimum(positions_BT / last_B1, torch.ones_like(last_B1)).unsqueeze(-1)
