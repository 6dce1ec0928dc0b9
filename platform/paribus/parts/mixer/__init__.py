"""How tokens exchange information: x (B,T,C) gives the same shape, from its own sequence or from a memory.

Axes: B batch, T time, C channels, Q queries, K keys. Padding stands at the right end of a sequence, always.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.position import Position

# From so many places of padding, and such a share of all, it is quicker to take the real tokens out and put them back
# than to work on padding too.
PADDING_WORTH_LEAVING_OUT = (64, 0.05)


@dataclass(frozen=True)
class Tokens:
    """What is known of a batch of sequences besides its values."""

    mask_BT: Tensor | None  # True at real tokens; None: all are real
    positions_BT: Tensor  # where each token stands; the batch axis may be 1
    _seen: dict[str, Tensor | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, ids_BT: Tensor, lengths_B: Tensor | None) -> "Tokens":
        """For sequences of the given lengths, or without padding where lengths are None."""
        places_1T = torch.arange(ids_BT.shape[1], device=ids_BT.device).unsqueeze(0)
        return cls(None if lengths_B is None else places_1T < lengths_B.unsqueeze(1), places_1T)

    def keys_mask(self) -> Tensor | None:
        """(B,1,1,K): which keys any query may see, or None for all."""
        return None if self.mask_BT is None else self.mask_BT[:, None, None, :]

    def real(self) -> Tensor | None:
        """Which of the B * T places hold real tokens, where it saves time to work on those alone; else None.

        To count them would make a GPU wait and cut a compiled network in pieces.
        """
        if self.mask_BT is None or self.mask_BT.device.type != "cpu" or torch.compiler.is_compiling():
            return None
        if "real" not in self._seen:
            real_N = self.mask_BT.flatten().nonzero().flatten()
            least, share = PADDING_WORTH_LEAVING_OUT
            padding = self.mask_BT.numel() - len(real_N)
            self._seen["real"] = real_N if padding >= max(least, share * self.mask_BT.numel()) else None
        return self._seen["real"]

    def causal_mask(self) -> Tensor:
        """(1,1,Q,K): no later keys. Padding is at the right, so a real query never sees it."""
        if "causal" not in self._seen:
            length = self.positions_BT.shape[1]
            ones = torch.ones(length, length, dtype=torch.bool, device=self.positions_BT.device)
            self._seen["causal"] = ones.tril()[None, None]
        mask = self._seen["causal"]
        assert mask is not None
        return mask


@dataclass(frozen=True)
class Memory:
    """What a decoder reads from: the values of another sequence."""

    values_BSC: Tensor
    tokens: Tokens


class MixerSpec(Part):
    """Settings of a mixer; `places` says where it can stand, `reads_ahead` whether it sees later tokens if not kept."""

    places: ClassVar[frozenset[str]] = frozenset({"self"})
    reads_ahead: ClassVar[bool] = False


State = dict[str, Any]


class Mixer(nn.Module, ABC):
    """All at once in training; step by step, with a state, when a sequence is being written."""

    # How many places there are in what is read, and in what reads, or no limit.
    capacity: int | None = None
    query_capacity: int | None = None

    @abstractmethod
    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor: ...

    def begin(self, memory: Memory | None) -> State:
        """The state before the first step."""
        return {}

    @abstractmethod
    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        """The output of one more token; `tokens` holds its position, `state` all that came before and is updated."""

    @abstractmethod
    def flops(self, queries: float, keys: float) -> float:
        """Two for each multiply-add of a matrix product."""
