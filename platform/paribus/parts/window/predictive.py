"""Predictive window, weights times exp(-(j - p_i)^2 / (2 (size/2)^2)) with p_i = n_i sigmoid(v . tanh(W q_i)): local-p of Luong et al. 2015 (arXiv:1508.04025).

j counts the keys that the query may see from 1 to n_i. The weights are not normalised again, as in the paper; unlike
there, keys farther than `size` are not cut off (the bell is at 0.14 there), so gradients reach the centre from afar.
"""

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.score import Positions
from paribus.parts.window import Window


class Spec(Part):
    cost = "Q (K + D²)"

    size: PositiveInt = Field(
        8, description="two standard deviations of the bell", json_schema_extra={"range": {"choices": [2, 4, 8, 16]}}
    )

    def build(self, *, head_dim: int) -> "Predictive":
        return Predictive(head_dim, self.size)


class Predictive(Window):
    def __init__(self, head_dim: int, size: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.size = size
        self.query = nn.Linear(head_dim, head_dim, bias=False)
        self.centre = nn.Linear(head_dim, 1, bias=False)

    def factors(self, q_BHQD: Tensor, positions: Positions, visible_BHQ1: Tensor) -> Tensor:
        centre_BHQ1 = visible_BHQ1 * self.centre(self.query(q_BHQD).tanh()).sigmoid()
        number_BHQK = positions.keys_BK[:, None, None, :] + 1
        return (-2 * ((number_BHQK - centre_BHQ1) / self.size) ** 2).exp()

    def flops(self, queries: float) -> float:
        return 2 * queries * self.head_dim * (self.head_dim + 1)
