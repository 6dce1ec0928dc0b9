"""What rnn, lstm and gru have in common: one or two directions of a torch cell over padded sequences.

Axes: B batch, T time, C channels.
"""

from collections.abc import Iterator

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from paribus.parts import Misfit, Surroundings
from paribus.parts.initialisation import Draw
from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.position import Position

Cell = type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]


class RecurrentSpec(MixerSpec):
    hidden: PositiveInt | None = Field(
        None, description="units of each direction; null: width, half of it if bidirectional"
    )
    bidirectional: bool = Field(False, description="read from both ends; for the encoder side only")

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        if self.bidirectional and not around.bidirectional:
            told = "got true, but the decoder side must not see later tokens; use it under `encoder`"
            yield Misfit("bidirectional", told)
        if self.bidirectional and self.hidden is None and around.width % 2:
            told = f"needs an even width or a `hidden`, got width {around.width}"
            yield Misfit("bidirectional", told, needs=("width",))

    def units(self, width: int) -> int:
        """Of each direction."""
        return self.hidden or (width // 2 if self.bidirectional else width)


class Recurrent(Mixer):
    """`gates` names the matrices that torch stacks in one, in its order."""

    def __init__(self, cell: Cell, gates: tuple[str, ...], width: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.gates = gates
        self.forwards = cell(width, hidden, batch_first=True)
        self.backwards = cell(width, hidden, batch_first=True) if bidirectional else None
        units = 2 * hidden if bidirectional else hidden
        self.output: nn.Module = nn.Identity() if units == width else nn.Linear(units, width)

    def initialise(self, draw: Draw) -> None:
        cells: list[tuple[str, nn.RNNBase | None]] = [("forwards", self.forwards), ("backwards", self.backwards)]
        for direction, cell in cells:
            if cell is None:
                continue
            for source, stacked in (("input", cell.weight_ih_l0), ("hidden", cell.weight_hh_l0)):
                assert isinstance(stacked, Tensor)
                for gate, rows in zip(self.gates, stacked.chunk(len(self.gates)), strict=True):
                    draw.matrix(f"{direction}.{source}.{gate}.weight", rows)
            for bias in (cell.bias_ih_l0, cell.bias_hh_l0):
                assert isinstance(bias, Tensor)
                draw.constant(bias, 0.0)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        # Padding is at the right, so the forward direction meets it only after the last real token.
        read, _ = self.forwards(x_BTC)
        if self.backwards is not None:
            turn_BT1 = _turned(tokens).unsqueeze(-1)
            backwards, _ = self.backwards(x_BTC.gather(1, turn_BT1.expand_as(x_BTC)))
            read = torch.cat((read, backwards.gather(1, turn_BT1.expand_as(backwards))), dim=-1)
        return self.output(read)

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        read, state["hidden"] = self.forwards(x_B1C, state.get("hidden"))
        return self.output(read)

    def flops(self, queries: float, keys: float) -> float:
        hidden, width = self.forwards.hidden_size, self.forwards.input_size
        directions = 1 if self.backwards is None else 2
        output = 0 if isinstance(self.output, nn.Identity) else 2 * directions * hidden * width
        return queries * (directions * 2 * len(self.gates) * hidden * (width + hidden) + output)


def _turned(tokens: Tokens) -> Tensor:
    """(B or 1,T): where to look to read the real tokens backwards, padding left in place; its own inverse."""
    places_1T = torch.arange(tokens.positions_BT.shape[1], device=tokens.positions_BT.device).unsqueeze(0)
    if tokens.mask_BT is None:
        return places_1T.flip(1)
    last_B1 = tokens.mask_BT.sum(1, keepdim=True) - 1
    return torch.where(tokens.mask_BT, last_B1 - places_1T, places_1T)
