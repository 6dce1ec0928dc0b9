"""Batch norm over real tokens, (x - mean_c) / sqrt(variance_c + eps) * g + b, from Ioffe and Szegedy 2015 (arXiv:1502.03167).

Mean and variance of a channel are taken over all real tokens of the batch: padding is never counted. In training that
lets a token see its own future and its neighbours in the batch; in evaluation running statistics stand in.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from paribus.parts import Misfit, NotBuilt, Part, Surroundings
from paribus.parts.norm import Norm

Scope = Literal["features", "features_and_positions"]


class Spec(Part):
    scope: Annotated[Scope, NotBuilt(("features",))] = Field("features", description="what has statistics of its own")
    momentum: float = Field(0.1, gt=0, le=1, description="share of the newest batch in the running statistics")
    eps: PositiveFloat = Field(1e-5, description="added to the variance")
    sync: Annotated[bool, NotBuilt((False,))] = Field(False, description="take statistics over all devices of a run")

    leaks = frozenset({"future"})

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        if around.accumulate > 1:
            yield Misfit(
                "",
                "batch norm sees one micro-batch at a time, so `training.accumulate` must be 1 with it, "
                f"got {around.accumulate}",
                needs=("training.accumulate",),
            )

    def build(self, *, width: int, max_length: int) -> "Batch":
        return Batch(width, self.momentum, self.eps)


class Batch(Norm):
    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, width: int, momentum: float, eps: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        wide_BTC = x_BTC.float() if x_BTC.dtype.itemsize < 4 else x_BTC  # half precision is too narrow for sums
        if self.training:
            mean, variance = self._statistics(wide_BTC, mask_BT)
        else:
            mean, variance = self.running_mean, self.running_variance
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias - mean * scale, wide_BTC, scale).to(x_BTC.dtype)

    def _statistics(self, x_BTC: Tensor, mask_BT: Tensor | None) -> tuple[Tensor, Tensor]:
        if mask_BT is None:
            count = x_BTC.new_tensor(float(x_BTC.shape[0] * x_BTC.shape[1]))
            variance, mean = torch.var_mean(x_BTC, dim=(0, 1), correction=0)
        else:
            real_BT1 = mask_BT.unsqueeze(-1).to(x_BTC.dtype)
            count = real_BT1.sum().clamp(min=1.0)
            mean = (x_BTC * real_BT1).sum((0, 1)) / count
            variance = (((x_BTC - mean) * real_BT1) ** 2).sum((0, 1)) / count
        with torch.no_grad():  # the running variance is the unbiased one, as in torch
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance * count / (count - 1).clamp(min=1.0), self.momentum)
        return mean, variance
