"""ALiBi, score - m_h |i - j| with slopes m_h = 2^(-8h/H) for head h = 1..H, from Press et al. 2022 (arXiv:2108.12409).

For a number of heads that is no power of two the slopes between come from twice as many heads, as in the paper.
"""

import math

import torch
from torch import Tensor

from paribus.parts.position import Position, PositionSpec
from paribus.parts.score import Positions


class Spec(PositionSpec):
    acts_on = "attention"
    ignores = frozenset({"direction"})

    def build(self, *, width: int, max_length: int, heads: int, side: str) -> "Alibi":
        return Alibi()


class Alibi(Position):
    def bias(self, positions: Positions, heads: int) -> Tensor:
        distance_BQK = (positions.queries_BQ.unsqueeze(-1) - positions.keys_BK.unsqueeze(-2)).abs()
        slopes_H = torch.tensor(slopes(heads), device=distance_BQK.device)
        return -slopes_H[:, None, None] * distance_BQK.unsqueeze(1)


def slopes(heads: int) -> list[float]:
    """The slope of each head."""
    power = 2 ** math.floor(math.log2(heads))
    regular = [2 ** (-8 * head / power) for head in range(1, power + 1)]
    return regular + [2 ** (-4 * head / power) for head in range(1, 2 * (heads - power) + 1, 2)]
