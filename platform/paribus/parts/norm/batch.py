"""Batch norm over real tokens, (x - mean_c) / sqrt(variance_c + eps) * g + b, from Ioffe and Szegedy 2015 (arXiv:1502.03167).

Mean and variance of a channel are taken over all real tokens of the batch, or over those at the same position: padding
is never counted. In training that lets a token see its neighbours in the batch, and over all positions its own future;
in evaluation running statistics stand in.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, distributed, nn

from paribus.parts import Misfit, Part, Surroundings
from paribus.parts.norm import Norm
from paribus.parts.position import check_capacity

Scope = Literal["features", "features_and_positions"]


class Spec(Part):
    cost = "T C"

    scope: Scope = Field(
        "features",
        description="what has statistics of its own: a channel, or a channel at a position (as many as the longest "
        "training sequence has)",
    )
    momentum: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of the newest batch in the running statistics",
        json_schema_extra={"range": {"choices": [0.01, 0.1]}},
    )
    eps: PositiveFloat = Field(1e-5, description="added to the variance")
    sync: bool = Field(False, description="take statistics over all devices of a run")

    leaks = frozenset({"future"})

    def leaking(self) -> frozenset[str]:
        """At one position stand tokens of other examples only: nothing of the future."""
        return self.leaks if self.scope == "features" else frozenset()

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        if around.accumulate > 1:
            yield Misfit(
                "",
                "batch norm sees one micro-batch at a time, so `training.accumulate` must be 1 with it, "
                f"got {around.accumulate}",
                needs=("training.accumulate",),
            )
        if around.devices > 1 and not self.sync:
            told = "batch norm would see the share of one device only, so with several it needs `sync: true`, got false"
            yield Misfit("", told, needs=("machine.devices",))

    def build(self, *, width: int, max_length: int) -> "Batch":
        places = max_length if self.scope == "features_and_positions" else None
        return Batch(width, self.momentum, self.eps, places=places, sync=self.sync)


class Batch(Norm):
    sees_batch = True
    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self, width: int, momentum: float, eps: float, *, places: int | None = None, sync: bool = False
    ) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.capacity = places
        self.sync = sync
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        shape = (width,) if places is None else (places, width)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_variance", torch.ones(shape))

    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        rows: Tensor | slice = slice(None)
        if self.capacity is not None:  # all sequences of a batch stand at the same positions
            check_capacity(int(positions_BT[0, -1]) + 1, self.capacity)
            rows = positions_BT[0]
        wide_BTC = x_BTC.float() if x_BTC.dtype.itemsize < 4 else x_BTC  # half precision is too narrow for sums
        if self.training:
            mean, variance = self._statistics(wide_BTC, mask_BT, rows)
        else:
            mean, variance = self.running_mean[rows], self.running_variance[rows]
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias - mean * scale, wide_BTC, scale).to(x_BTC.dtype)

    def _statistics(self, x_BTC: Tensor, mask_BT: Tensor | None, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        over = (0, 1) if self.capacity is None else (0,)
        here: Tensor | slice = slice(None)  # which of the statistics are those of `rows`
        if self._together():
            here, rows = rows, slice(None)
        if mask_BT is None and not self._together():
            total = x_BTC.shape[0] * (x_BTC.shape[1] if self.capacity is None else 1)
            count = x_BTC.new_tensor(float(total))
            variance, mean = torch.var_mean(x_BTC, dim=over, correction=0)
        else:
            real_BT1 = (torch.ones_like(x_BTC[..., 0]) if mask_BT is None else mask_BT.to(x_BTC.dtype)).unsqueeze(-1)
            count = self._everywhere(real_BT1.sum(over), here)
            mean = self._everywhere((x_BTC * real_BT1).sum(over), here) / count.clamp(min=1.0)
            squares_BTC = ((x_BTC - mean[here]) * real_BT1) ** 2
            variance = self._everywhere(squares_BTC.sum(over), here) / count.clamp(min=1.0)
        with torch.no_grad():
            self._remember(mean, variance, count, rows)
        return mean[here], variance[here]

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor, rows: Tensor | slice) -> None:
        """The running variance is the unbiased one, as in torch: one token has none, and no token has no mean."""
        unbiased = variance * count / (count - 1).clamp(min=1.0)
        for running, newest, enough in ((self.running_mean, mean, 0), (self.running_variance, unbiased, 1)):
            old = running[rows]
            running[rows] = torch.where(count > enough, old.lerp(newest, self.momentum), old)

    def _together(self) -> bool:
        return self.sync and distributed.is_available() and distributed.is_initialized()

    def _everywhere(self, total: Tensor, here: Tensor | slice) -> Tensor:
        """A sum over all devices of the run, through which gradients pass.

        The sequences of other devices may be longer or shorter than those `here`, so it is over all places.
        """
        if not self._together():
            return total
        if isinstance(here, Tensor) and self.capacity is not None:
            total = total.new_zeros(self.capacity, total.shape[-1]).index_copy(0, here, total)
        summed: Tensor = _Everywhere.apply(total)  # type: ignore[no-untyped-call]
        return summed


class _Everywhere(torch.autograd.Function):
    """The sum over all devices; what flows back to it from all of them is summed as well."""

    @staticmethod
    def forward(ctx: Any, total: Tensor) -> Tensor:
        summed = total.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone()
        distributed.all_reduce(summed)
        return summed
