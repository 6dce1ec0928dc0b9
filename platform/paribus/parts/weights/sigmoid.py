"""Sigmoid weights, sigmoid(s_j - ln n) with n the keys that the query may see, from Ramapuram et al. 2024 (arXiv:2409.04431); they need not sum to one."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.weights import Weights, visible


class Spec(Part):
    cost = "Q K"

    def build(self) -> "Sigmoid":
        return Sigmoid()


class Sigmoid(Weights):
    sums_to_one = False

    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
        count = visible(scores_BHQK, mask_BHQK)
        weights = (scores_BHQK - count.log()).sigmoid()
        return weights if mask_BHQK is None else weights.masked_fill(~mask_BHQK, 0.0)
