"""Stochastic gradient descent with momentum, v = m v + g, step lr v, from Sutskever et al. 2013."""

import torch
from pydantic import Field
from torch import nn

from paribus.parts.optimizer import OptimizerSpec, groups


class Spec(OptimizerSpec):
    momentum: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the last step that goes on",
        json_schema_extra={"range": {"choices": [0.0, 0.9]}},
    )

    def build(self, network: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups(network, self.weight_decay), lr=self.lr, momentum=self.momentum, fused=fused)
