"""How activations are normalised: x (B,T,C) with a mask of the real tokens (B,T) gives the same shape."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Norm(nn.Module, ABC):
    """Padding never moves the value of a real token."""

    capacity: int | None = None  # how many places there are, or no limit
    sees_batch: ClassVar[bool] = False  # whether in training a token sees other sequences of the batch

    @abstractmethod
    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor: ...
