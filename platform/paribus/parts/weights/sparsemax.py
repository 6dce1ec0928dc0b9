"""Sparsemax, the Euclidean projection of the scores onto the simplex, max(0, s_j - tau), from Martins and Astudillo 2016 (arXiv:1602.02068)."""

import torch
from torch import Tensor

from paribus.parts import Part
from paribus.parts.weights import Weights

HIDDEN = -1e4  # far below any score that is kept, and exact in half precision too


class Spec(Part):
    cost = "Q K log K"

    def build(self) -> "Sparsemax":
        return Sparsemax()


class Sparsemax(Weights):
    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
        kept = scores_BHQK if mask_BHQK is None else scores_BHQK.masked_fill(~mask_BHQK, HIDDEN)
        kept = kept - kept.amax(-1, keepdim=True).detach()  # the projection does not feel a shift
        ordered = kept.sort(-1, descending=True).values
        count = torch.arange(1, kept.shape[-1] + 1, device=kept.device, dtype=kept.dtype)
        sums = ordered.cumsum(-1)
        support = (1 + count * ordered > sums).sum(-1, keepdim=True)
        tau = (sums.gather(-1, support - 1) - 1) / support
        weights = (kept - tau).clamp(min=0)
        return weights if mask_BHQK is None else weights.masked_fill(~mask_BHQK, 0.0)
