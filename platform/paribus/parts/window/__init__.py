"""How far a query sees: keys that it may not see at all, or that count less the farther they are.

Axes: B batch, H heads, Q queries, K keys, D width of a head. The batch axis may be 1.
"""

from torch import Tensor, nn

from paribus.parts.score import Positions


class Window(nn.Module):
    """Each method does nothing unless a kind says otherwise."""

    def allows(self, positions: Positions) -> Tensor | None:
        """(B,1,Q,K): which keys a query may see for their distance, or None for all."""
        return None

    def factors(self, q_BHQD: Tensor, positions: Positions, visible_BHQ1: Tensor) -> Tensor | None:
        """(B,H,Q,K) to be multiplied to the weights, or None; `visible` counts the keys that a query may see."""
        return None

    def flops(self, queries: float) -> float:
        """Of one head: two for each multiply-add of a matrix product."""
        return 0.0
