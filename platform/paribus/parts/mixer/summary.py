"""Summary, W mean_j(m_j): every token of the decoder gets the same vector of the source, as in Cho et al. 2014 (arXiv:1406.1078).

Axes: B batch, T time, S source time, C channels.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.position import Position


class Spec(MixerSpec):
    cost = "T C + C²"

    pooling: Literal["mean", "last"] = Field("mean", description="of the source: mean of its tokens, or the last one")

    places = frozenset({"cross"})

    def build(self, *, width: int, causal: bool, max_length: int) -> "Summary":
        return Summary(width, self.pooling == "last")


class Summary(Mixer):
    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.last = last
        self.output = nn.Linear(width, width)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return self._summary(memory).expand_as(x_BTC)

    def begin(self, memory: Memory | None) -> State:
        return {"summary": self._summary(memory)}

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        summary: Tensor = state["summary"]
        return summary

    def flops(self, queries: float, keys: float) -> float:
        return 2 * self.output.weight.numel()

    def _summary(self, memory: Memory | None) -> Tensor:
        assert memory is not None
        values_BSC, mask_BS = memory.values_BSC, memory.tokens.mask_BT
        if mask_BS is None:
            return self.output(values_BSC[:, -1:] if self.last else values_BSC.mean(1, keepdim=True))
        count_B1 = mask_BS.sum(1, keepdim=True).clamp(min=1)
        if self.last:
            row_B11 = (count_B1 - 1).unsqueeze(-1)
            return self.output(values_BSC.gather(1, row_B11.expand(-1, -1, values_BSC.shape[2])))
        total_B1C = (values_BSC * mask_BS.unsqueeze(-1)).sum(1, keepdim=True)
        return self.output(total_B1C / count_B1.unsqueeze(-1).to(torch.float32).to(values_BSC.dtype))
