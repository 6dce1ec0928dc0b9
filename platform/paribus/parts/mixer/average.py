"""Average, W mean_j(x_j) over all tokens that may be seen: exchange without choice, from Zhang et al. 2018 (arXiv:1805.00631).

Axes: B batch, T time, C channels.
"""

import torch
from torch import Tensor, nn

from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.position import Position


class Spec(MixerSpec):
    cost = "T C + C²"

    reads_ahead = True

    def build(self, *, width: int, causal: bool, max_length: int) -> "Average":
        return Average(width, causal)


class Average(Mixer):
    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.output = nn.Linear(width, width)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        if self.causal:
            count_T1 = torch.arange(1, x_BTC.shape[1] + 1, device=x_BTC.device, dtype=x_BTC.dtype).unsqueeze(-1)
            return self.output(x_BTC.cumsum(1) / count_T1)
        if tokens.mask_BT is None:
            return self.output(x_BTC.mean(1, keepdim=True)).expand_as(x_BTC)
        real_BT1 = tokens.mask_BT.unsqueeze(-1)
        mean_B1C = (x_BTC * real_BT1).sum(1, keepdim=True) / real_BT1.sum(1, keepdim=True).clamp(min=1)
        return self.output(mean_B1C).expand_as(x_BTC)

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        state["sum"] = state.get("sum", 0.0) + x_B1C
        state["count"] = state.get("count", 0) + 1
        return self.output(state["sum"] / state["count"])

    def flops(self, queries: float, keys: float) -> float:
        # One product for each token where each has an average of its own, else one for the sequence.
        return 2 * (queries if self.causal else 1.0) * self.output.weight.numel()
