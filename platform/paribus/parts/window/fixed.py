"""Fixed window, only keys with |i - j| <= size are seen: local-m of Luong et al. 2015 (arXiv:1508.04025)."""

from pydantic import Field, PositiveInt
from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import Positions
from paribus.parts.window import Window


class Spec(Part):
    cost = "Q K"

    size: PositiveInt = Field(
        8,
        description="how far a key may be from its query, on each side",
        json_schema_extra={"range": {"choices": [2, 4, 8, 16]}},
    )

    def build(self) -> "Fixed":
        return Fixed(self.size)


class Fixed(Window):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def allows(self, positions: Positions) -> Tensor:
        offset_BQK = positions.keys_BK.unsqueeze(-2) - positions.queries_BQ.unsqueeze(-1)
        return (offset_BQK.abs() <= self.size).unsqueeze(1)
