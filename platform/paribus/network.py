"""Architecture -> torch module: embed, stack blocks, read out; one assembly for encoder-decoder, decoder and encoder.

Axes: B batch, S source time, T target time, C channels, V vocabulary. Padding stands at the right end, always.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from paribus.parts.feedforward import Feedforward
from paribus.parts.initialisation import initialise
from paribus.parts.mixer import Memory, Mixer, State, Tokens
from paribus.parts.norm import Norm
from paribus.parts.position import Position
from paribus.spec.network import Architecture, ResolvedLayer, Stack


@dataclass(frozen=True)
class Sizes:
    """What a network must know of its task."""

    source_vocabulary: int
    target_vocabulary: int  # number of labels where the task has labels
    longest_source: int  # in training, with all marks
    longest_target: int
    labels: bool = False


@dataclass(frozen=True)
class Batch:
    """What a network reads; lengths are None where no sequence of the batch is padded."""

    source_BS: Tensor | None
    source_lengths_B: Tensor | None
    inputs_BT: Tensor | None
    input_lengths_B: Tensor | None


class Layer(nn.Module):
    """Mixer, cross-attention and feed-forward, each with norm, dropout and residual in the order of the placement."""

    def __init__(
        self, spec: ResolvedLayer, *, width: int, causal: bool, max_length: int, memory_length: int | None
    ) -> None:
        super().__init__()
        known = {"width": width, "max_length": max_length}
        self.mixer: Mixer | None = spec.mixer.make(**known, causal=causal)
        self.cross: Mixer | None = (
            None if spec.cross is None else spec.cross.make(**known, causal=False, memory_length=memory_length)
        )
        self.feedforward: Feedforward | None = spec.feedforward.make(**known)
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.residual = spec.residual
        sublayers = [name for name in ("mixer", "cross", "feedforward") if getattr(self, name) is not None]
        after = ("", "_after") if spec.norm_placement == "sandwich" else ("",)
        self.norms = nn.ModuleDict({f"{name}{end}": spec.norm.make(**known) for name in sublayers for end in after})
        self._wrap = {"post": self._post, "pre": self._pre, "sandwich": self._sandwich}[spec.norm_placement]

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        mixer, cross = self.mixer, self.cross
        if mixer is not None:
            x_BTC = self._wrap("mixer", x_BTC, tokens, lambda x: mixer(x, tokens, None, position))
        if cross is not None:
            x_BTC = self._wrap("cross", x_BTC, tokens, lambda x: cross(x, tokens, memory, position))
        if self.feedforward is not None:
            x_BTC = self._wrap("feedforward", x_BTC, tokens, lambda x: self._fed(x, tokens))
        return x_BTC

    def begin(self, memory: Memory | None) -> dict[str, State]:
        mixers = {"mixer": (self.mixer, None), "cross": (self.cross, memory)}
        return {name: mixer.begin(read) for name, (mixer, read) in mixers.items() if mixer is not None}

    def step(self, x_B1C: Tensor, tokens: Tokens, states: dict[str, State], position: Position) -> Tensor:
        mixer, cross = self.mixer, self.cross
        if mixer is not None:
            x_B1C = self._wrap("mixer", x_B1C, tokens, lambda x: mixer.step(x, tokens, states["mixer"], position))
        if cross is not None:
            x_B1C = self._wrap("cross", x_B1C, tokens, lambda x: cross.step(x, tokens, states["cross"], position))
        return x_B1C if self.feedforward is None else self._wrap("feedforward", x_B1C, tokens, self.feedforward)

    def _fed(self, x_BTC: Tensor, tokens: Tokens) -> Tensor:
        """The feed-forward of the real tokens; half of a network's work is not done for padding, which gets zeros."""
        assert self.feedforward is not None
        real_N = tokens.real()
        if real_N is None:
            return self.feedforward(x_BTC)
        flat_NC = x_BTC.flatten(0, 1)
        fed_NC = self.feedforward(flat_NC.index_select(0, real_N).unsqueeze(0)).squeeze(0)
        return fed_NC.new_zeros(flat_NC.shape).index_copy(0, real_N, fed_NC).view_as(x_BTC)

    def _post(self, name: str, x: Tensor, tokens: Tokens, run: Callable[[Tensor], Tensor]) -> Tensor:
        return self._norm(name, self._add(x, run(x)), tokens)

    def _pre(self, name: str, x: Tensor, tokens: Tokens, run: Callable[[Tensor], Tensor]) -> Tensor:
        return self._add(x, run(self._norm(name, x, tokens)))

    def _sandwich(self, name: str, x: Tensor, tokens: Tokens, run: Callable[[Tensor], Tensor]) -> Tensor:
        inner = run(self._norm(name, x, tokens))
        return self._add(x, self._norm(f"{name}_after", inner, tokens))

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        change = self.dropout(change)
        return x + change if self.residual else change

    def _norm(self, name: str, x: Tensor, tokens: Tokens) -> Tensor:
        return self.norms[name](x, tokens.mask_BT, tokens.positions_BT)


class Side(nn.Module):
    """Encoder or decoder: embeddings with positions, then the layers, named by their numbers."""

    def __init__(
        self,
        name: str,
        spec: Stack,
        *,
        width: int,
        tokens: nn.Embedding,
        max_length: int,
        memory_length: int | None,
        scale: float,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.tokens = tokens
        heads = max((getattr(layer.mixer, "heads", 1) for layer in spec.layers), default=1)
        self.position: Position = spec.position.make(width=width, max_length=max_length, heads=heads, side=name)
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.depth = len(spec.layers)
        for index, layer in enumerate(spec.layers):
            built = Layer(layer, width=width, causal=spec.causal, max_length=max_length, memory_length=memory_length)
            self.add_module(str(index), built)
        self.final_norm: Norm | None = (
            None if spec.final_norm is None else spec.final_norm.make(width=width, max_length=max_length)
        )

    @property
    def layers(self) -> list[Layer]:
        return [self.get_submodule(str(index)) for index in range(self.depth)]  # type: ignore[misc]

    def capacity(self) -> int | None:
        """The longest sequence that there are places for, or no limit."""
        limits = [self.position.capacity]
        limits += [norm.capacity for norm in self.modules() if isinstance(norm, Norm)]
        for layer in self.layers:
            limits += [layer.mixer.capacity, layer.mixer.query_capacity] if layer.mixer is not None else []
            limits += [layer.cross.query_capacity] if layer.cross is not None else []
        return _least(limits)

    def memory_capacity(self) -> int | None:
        """The longest sequence to read from that there are places for, or no limit."""
        return _least([layer.cross.capacity for layer in self.layers if layer.cross is not None])

    def forward(self, ids_BT: Tensor, tokens: Tokens, memory: Memory | None = None) -> Tensor:
        x_BTC = self._embed(ids_BT, tokens)
        for layer in self.layers:
            x_BTC = layer(x_BTC, tokens, memory, self.position)
        return self._finish(x_BTC, tokens)

    def begin(self, memory: Memory | None) -> list[dict[str, State]]:
        return [layer.begin(memory) for layer in self.layers]

    def step(self, ids_B: Tensor, place: int, states: list[dict[str, State]]) -> Tensor:
        """The output (B,C) for one more token, which stands at `place`."""
        ids_B1 = ids_B.unsqueeze(1)
        tokens = Tokens(None, torch.full((1, 1), place, device=ids_B.device))
        x_B1C = self._embed(ids_B1, tokens)
        for layer, state in zip(self.layers, states, strict=True):
            x_B1C = layer.step(x_B1C, tokens, state, self.position)
        return self._finish(x_B1C, tokens).squeeze(1)

    def _embed(self, ids_BT: Tensor, tokens: Tokens) -> Tensor:
        x_BTC = self.tokens(ids_BT)
        if self.scale != 1.0:
            x_BTC = x_BTC * self.scale
        return self.dropout(self.position.embed(x_BTC, tokens.positions_BT, tokens.mask_BT))

    def _finish(self, x_BTC: Tensor, tokens: Tokens) -> Tensor:
        if self.final_norm is None:
            return x_BTC
        return self.final_norm(x_BTC, tokens.mask_BT, tokens.positions_BT)


def _least(limits: list[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


class Network(nn.Module, ABC):
    """A trained model: logits for all targets at once, or step by step."""

    @abstractmethod
    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """Logits (B,T,V), or (N,V) of some of the B * T places only; (B,V) for labels."""

    def begin(self, batch: Batch) -> Any:
        """The state before the first token is written."""
        raise TypeError("this network writes nothing")

    def step(self, ids_B: Tensor, place: int, state: Any) -> Tensor:
        """Logits (B,V) of the token after `ids_B`, which stands at `place`."""
        raise TypeError("this network writes nothing")

    def capacity(self, side: str) -> int | None:
        """The longest sequence that a side can read, or no limit."""
        stack, reader = getattr(self, side, None), getattr(self, "decoder", None)
        own = stack.capacity() if isinstance(stack, Side) else None
        return _least([own, reader.memory_capacity() if side == "encoder" and isinstance(reader, Side) else None])


def _side(name: str, spec: Architecture, sizes: Sizes, tokens: nn.Embedding | None = None) -> Side:
    """The encoder or the decoder of an architecture; a decoder alone reads the source too, in one vocabulary."""
    reads_source = name == "encoder" or spec.family == "decoder"
    vocabulary = sizes.source_vocabulary if reads_source else sizes.target_vocabulary
    return Side(
        name,
        spec.stacks()[name],
        width=spec.width,
        tokens=tokens or nn.Embedding(vocabulary, spec.width),
        max_length=sizes.longest_source if name == "encoder" else sizes.longest_target,
        memory_length=sizes.longest_source if spec.family == "encoder_decoder" else None,
        scale=spec.width**0.5 if spec.embeddings.scale == "sqrt_width" else 1.0,
    )


def _readout(spec: Architecture, sizes: Sizes, tokens: nn.Embedding) -> nn.Linear:
    """From channels to logits; tied, each logit is a product with the embedding of its token."""
    readout = nn.Linear(spec.width, sizes.target_vocabulary)
    if spec.embeddings.tied:
        readout.weight = tokens.weight
    return readout


class EncoderDecoder(Network):
    def __init__(self, spec: Architecture, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = _side("encoder", spec, sizes)
        shared = self.encoder.tokens if spec.embeddings.shared_vocabulary else None
        self.decoder = _side("decoder", spec, sizes, shared)
        self.readout = _readout(spec, sizes, self.decoder.tokens)

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        assert batch.inputs_BT is not None
        tokens = Tokens.of(batch.inputs_BT, batch.input_lengths_B)
        decoded_BTC = self.decoder(batch.inputs_BT, tokens, self._memory(batch))
        return self.readout(_at(decoded_BTC, places_N))

    def begin(self, batch: Batch) -> Any:
        return self.decoder.begin(self._memory(batch))

    def step(self, ids_B: Tensor, place: int, state: Any) -> Tensor:
        return self.readout(self.decoder.step(ids_B, place, state))

    def _memory(self, batch: Batch) -> Memory:
        assert batch.source_BS is not None
        tokens = Tokens.of(batch.source_BS, batch.source_lengths_B)
        return Memory(self.encoder(batch.source_BS, tokens), tokens)


class Decoder(Network):
    """One stack that reads source and target as one sequence; for labels it reads out the last token."""

    def __init__(self, spec: Architecture, sizes: Sizes) -> None:
        super().__init__()
        self.labels = sizes.labels
        self.decoder = _side("decoder", spec, sizes)
        self.readout = _readout(spec, sizes, self.decoder.tokens)

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        assert batch.inputs_BT is not None
        decoded_BTC = self.decoder(batch.inputs_BT, Tokens.of(batch.inputs_BT, batch.input_lengths_B))
        if self.labels:
            return self.readout(_last(decoded_BTC, batch.input_lengths_B))
        return self.readout(_at(decoded_BTC, places_N))

    def begin(self, batch: Batch) -> Any:
        return self.decoder.begin(None)

    def step(self, ids_B: Tensor, place: int, state: Any) -> Tensor:
        return self.readout(self.decoder.step(ids_B, place, state))


class Encoder(Network):
    """One stack that reads the source and pools it into one vector for a label."""

    def __init__(self, spec: Architecture, sizes: Sizes) -> None:
        super().__init__()
        assert spec.readout is not None
        self.encoder = _side("encoder", spec, sizes)
        self.pool = {"mean": _mean, "first": _first, "last": _last}[spec.readout.pooling]
        self.readout = nn.Linear(spec.width, sizes.target_vocabulary)

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        assert batch.source_BS is not None
        encoded_BSC = self.encoder(batch.source_BS, Tokens.of(batch.source_BS, batch.source_lengths_B))
        return self.readout(self.pool(encoded_BSC, batch.source_lengths_B))


def _at(x_BTC: Tensor, places_N: Tensor | None) -> Tensor:
    """Some places of all: what nobody asks for is not read out, which saves most where vocabularies are large."""
    return x_BTC if places_N is None else x_BTC.flatten(0, 1).index_select(0, places_N)


def _mean(x_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
    if lengths_B is None:
        return x_BTC.mean(1)
    real_BT = torch.arange(x_BTC.shape[1], device=x_BTC.device) < lengths_B.unsqueeze(1)
    return (x_BTC * real_BT.unsqueeze(-1)).sum(1) / lengths_B.unsqueeze(1)


def _first(x_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
    return x_BTC[:, 0]


def _last(x_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
    if lengths_B is None:
        return x_BTC[:, -1]
    return x_BTC[torch.arange(len(x_BTC), device=x_BTC.device), lengths_B - 1]


FAMILIES: dict[str, type[EncoderDecoder] | type[Decoder] | type[Encoder]] = {
    "encoder_decoder": EncoderDecoder,
    "decoder": Decoder,
    "encoder": Encoder,
}


def assemble(spec: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture, with values that nobody has chosen yet."""
    return FAMILIES[spec.family](spec, sizes)


class _Undrawn(TorchFunctionMode):
    """Leaves values undrawn; memory that nobody writes to takes no room.

    The meta device would do as well, but torch loads its whole compiler for it, which takes over a second.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def laid_out(spec: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture without values, for who only looks at its shapes."""
    with _Undrawn():
        return assemble(spec, sizes)


def build(spec: Architecture, sizes: Sizes, seed: int) -> Network:
    """The network of an architecture as it starts for a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for what a module of the user's draws in its constructor
        network = assemble(spec, sizes)
    initialise(network, seed, spec.initialisation.build())
    return network
