"""Adam, step m / (sqrt(v) + eps) with decaying moments m and v, from Kingma and Ba 2015 (arXiv:1412.6980)."""

import torch
from torch import nn

from paribus.parts.optimizer import AdamSpec, groups


class Spec(AdamSpec):
    def build(self, network: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            groups(network, self.weight_decay),
            lr=self.lr,
            betas=(self.betas[0], self.betas[1]),
            eps=self.eps,
            fused=fused,
        )
