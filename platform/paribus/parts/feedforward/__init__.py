"""What happens to each token by itself: x (..., C) gives the same shape."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Feedforward(nn.Module, ABC):
    @abstractmethod
    def forward(self, x_BTC: Tensor) -> Tensor: ...

    @abstractmethod
    def flops(self, tokens: float) -> float:
        """Two for each multiply-add of a matrix product."""
