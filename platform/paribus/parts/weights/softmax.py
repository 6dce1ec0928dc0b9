"""Softmax, exp(s_j) / sum_k exp(s_k) over the keys, from Bridle 1990; the weights of Vaswani et al. 2017."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.weights import Weights


class Spec(Part):
    cost = "Q K"

    def build(self) -> "Softmax":
        return Softmax()


class Softmax(Weights):
    is_softmax = True

    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
        if mask_BHQK is None:
            return scores_BHQK.softmax(-1)
        # The second filling turns a row that sees no key from NaN into zeros, in the gradient too: its own NaNs
        # come from -inf minus -inf, so the row is given a finite maximum first.
        hidden = ~mask_BHQK
        lowest = scores_BHQK.new_tensor(-1e30 if scores_BHQK.dtype.itemsize > 2 else -6e4)
        return scores_BHQK.masked_fill(hidden, lowest).softmax(-1).masked_fill(hidden, 0.0)
