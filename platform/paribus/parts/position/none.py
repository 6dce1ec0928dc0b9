"""No position: the tokens come as a bag, f(x)_t = x_t."""

from paribus.parts.position import Position, PositionSpec


class Spec(PositionSpec):
    acts_on = "nothing"

    def build(self, *, width: int, max_length: int, heads: int, side: str) -> Position:
        return Position()
