"""AdamW, Adam with weight decay apart from the gradient, from Loshchilov and Hutter 2019 (arXiv:1711.05101)."""

import torch
from torch import nn

from paribus.parts.optimizer import AdamSpec, groups


class Spec(AdamSpec):
    def build(self, network: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            groups(network, self.weight_decay),
            lr=self.lr,
            betas=(self.betas[0], self.betas[1]),
            eps=self.eps,
            fused=fused,
        )
