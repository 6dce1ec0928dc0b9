"""ReLU weights, max(0, s_j) / n with n the keys that the query may see, from Wortsman et al. 2023 (arXiv:2309.08586); they need not sum to one."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.weights import Weights, visible


class Spec(Part):
    cost = "Q K"

    def build(self) -> "Relu":
        return Relu()


class Relu(Weights):
    sums_to_one = False

    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
        count = visible(scores_BHQK, mask_BHQK)
        weights = scores_BHQK.relu() / count
        return weights if mask_BHQK is None else weights.masked_fill(~mask_BHQK, 0.0)
