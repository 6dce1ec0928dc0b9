"""How scores become weights: scores (..., K) and a mask of the keys that may be seen give the share of each key."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Weights(nn.Module, ABC):
    """Keys that may not be seen get exactly zero; a query that sees none gets zeros."""

    # Whether scaled_dot_product_attention computes the same, so that a fused kernel may stand in.
    is_softmax: ClassVar[bool] = False
    # Whether the weights of a query that sees a key are shares: none below zero, together one.
    sums_to_one: ClassVar[bool] = True

    @abstractmethod
    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor: ...


def visible(scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
    """How many keys each query may see, at least one."""
    if mask_BHQK is None:
        return scores_BHQK.new_full((1, 1, 1, 1), float(scores_BHQK.shape[-1]))
    return mask_BHQK.sum(-1, keepdim=True).clamp(min=1).to(scores_BHQK.dtype)
