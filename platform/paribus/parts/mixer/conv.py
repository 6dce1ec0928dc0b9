"""Convolution, glu(W * x) over a window of `kernel` tokens, `dilation` apart, from Gehring et al. 2017 (arXiv:1705.03122).

A token of a causal side sees itself and earlier ones; elsewhere the window is centred. Padding counts as zeros.
Axes: B batch, T time, C channels.
"""

from collections.abc import Iterator

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Misfit, Surroundings
from paribus.parts.initialisation import Draw
from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.position import Position


class Spec(MixerSpec):
    cost = "T kernel C²"

    kernel: PositiveInt = Field(3, description="tokens in a window")
    dilation: PositiveInt = Field(1, description="distance between the tokens of a window")

    reads_ahead = True

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        if around.bidirectional and self.kernel % 2 == 0:
            yield Misfit("kernel", f"got {self.kernel}, needs an odd number: a centred window has a middle")

    def build(self, *, width: int, causal: bool, max_length: int) -> "Conv":
        return Conv(width, self.kernel, self.dilation, causal)


class Conv(Mixer):
    def __init__(self, width: int, kernel: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.causal = causal
        self.conv = nn.Conv1d(width, 2 * width, kernel, dilation=dilation)

    def initialise(self, draw: Draw) -> None:
        draw.matrix("conv.weight", self.conv.weight.flatten(1))
        assert self.conv.bias is not None
        draw.constant(self.conv.bias, 0.0)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        if tokens.mask_BT is not None:  # a centred window would read what stands in padding
            x_BTC = x_BTC * tokens.mask_BT.unsqueeze(-1)
        left = self.reach if self.causal else self.reach // 2
        return self._convolved(functional.pad(x_BTC, (0, 0, left, self.reach - left)))

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        before = state.get("before", x_B1C.new_zeros(x_B1C.shape[0], self.reach, x_B1C.shape[2]))
        window = torch.cat((before, x_B1C), dim=1)
        state["before"] = window[:, 1:]
        return self._convolved(window)

    def flops(self, queries: float, keys: float) -> float:
        return 2 * queries * self.conv.weight.numel()

    def _convolved(self, x_BTC: Tensor) -> Tensor:
        return functional.glu(self.conv(x_BTC.transpose(1, 2)), dim=1).transpose(1, 2)
