"""No position: the tokens come as a bag, f(x)_t = x_t."""

from paribus.parts.position import Position, PositionSpec


class Spec(PositionSpec):
    def build(self, *, width: int, max_length: int) -> Position:
        return Position()
