"""Multi-head attention, concat_h(weights(score(q_h, k_h)) v_h) W_o, from Vaswani et al. 2017 (arXiv:1706.03762).

Axes: B batch, T and Q queries, S and K keys, C channels, H heads, D width of a head, V width of its values.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import AnyScore, AnyWeights, AnyWindow, Misfit, Surroundings, default
from paribus.parts.initialisation import Draw
from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.mixer._chunks import in_chunks
from paribus.parts.position import Position
from paribus.parts.score import FusedScore, Positions, Score
from paribus.parts.weights import Weights, visible
from paribus.parts.window import Window

# Numbers that a pairwise score may hold at once; above that the mixer turns to chunks of queries, recomputed backward,
# that are small enough to stay near the processor.
WHOLE = 2**23
CHUNK = 2**19

Projections = Literal["full", "shared_qk", "none"]

# Which matrices stand in the joint projection; a key without one of its own is made by the query's.
ROLES: dict[Projections, tuple[str, ...]] = {
    "full": ("query", "key", "value"),
    "shared_qk": ("query", "value"),
    "none": (),
}


class Spec(MixerSpec):
    cost = "T² C + T C²"

    heads: PositiveInt = Field(4, description="how many attend side by side")
    head_width: PositiveInt | None = Field(None, description="of queries and keys; null: width / heads")
    value_width: PositiveInt | None = Field(None, description="of values; null: as head_width")
    key_heads: PositiveInt | None = Field(
        None, description="heads of keys and values, shared by groups of query heads; null: as heads"
    )
    score: AnyScore = Field(default_factory=default("score", "scaled_dot"), description="how well a query fits a key")
    weights: AnyWeights = Field(default_factory=default("weights", "softmax"), description="how scores become weights")
    projections: Projections = Field(
        "full",
        description="full: query, key, value and output have a matrix each; shared_qk: query and key have one "
        "together; none: heads are slices of the input, and their values its output",
    )
    window: AnyWindow | None = Field(None, description="how far a query sees; null: all")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="share of weights that are dropped in training")

    places = frozenset({"self", "cross"})
    reads_ahead = True

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        heads, width = self.heads, around.width
        if self.head_width is None and width % heads:
            yield Misfit(
                "heads", f"got {heads}, needs a divisor of the width {width} ({_divisors(width)}) or a `head_width`",
                needs=("width",),
            )  # fmt: skip
        if self.key_heads is not None and heads % self.key_heads:
            yield Misfit(
                "key_heads", f"got {self.key_heads}, needs a divisor of the {heads} heads ({_divisors(heads)})"
            )
        if self.projections == "full":
            return
        if self.key_heads not in (None, heads):
            yield Misfit(
                "key_heads", f"got {self.key_heads}, but `projections: {self.projections}` needs as many as heads"
            )
        if self.head_width is not None and heads * self.head_width != width:
            told = f"got {self.head_width}, but `projections: {self.projections}` needs heads * head_width = {width}"
            yield Misfit("head_width", told, needs=("width",))
        if self.projections == "none" and self.value_width not in (None, self.head_width or width // heads):
            yield Misfit("value_width", f"got {self.value_width}, but `projections: none` takes values as they are")

    def build(self, *, width: int, causal: bool, max_length: int, memory_length: int | None = None) -> "Attention":
        head_width = self.head_width or width // self.heads
        known = {
            "head_dim": head_width,
            "heads": self.heads,
            "max_queries": max_length,
            "max_keys": max_length if memory_length is None else memory_length,
        }
        return Attention(
            width,
            heads=self.heads,
            key_heads=self.key_heads or self.heads,
            head_width=head_width,
            value_width=self.value_width or head_width,
            score=self.score.make(**known),
            weights=self.weights.make(**known),
            window=None if self.window is None else self.window.make(**known),
            projections=self.projections,
            causal=causal,
            crosses=memory_length is not None,
            dropout=self.attention_dropout,
        )


def _divisors(number: int) -> str:
    return ", ".join(str(divisor) for divisor in range(1, number + 1) if number % divisor == 0)


@dataclass(frozen=True)
class Seen:
    """What one attention did in one forward pass."""

    scores_BHQK: Tensor
    weights_BHQK: Tensor
    mask_BHQK: Tensor | None


class Attention(Mixer):
    watched: list[Seen] | None = None  # filled while `watching`, which takes the reference path

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        key_heads: int,
        head_width: int,
        value_width: int,
        score: Score,
        weights: Weights,
        window: Window | None = None,
        projections: Projections = "full",
        causal: bool = False,
        crosses: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.groups = heads // key_heads  # query heads that share one head of keys and values
        self.head_width = head_width
        self.value_width = value_width
        self.causal = causal
        self.crosses = crosses
        self.dropout = dropout
        self.capacity = score.capacity
        self.query_capacity = score.query_capacity
        # One matrix for query, key and value: in self-attention that is one product instead of three.
        sizes = {"query": heads * head_width, "key": key_heads * head_width, "value": key_heads * value_width}
        self.roles = ROLES[projections]
        self.sizes = [sizes[role] for role in self.roles]
        self.project = nn.Linear(width, sum(self.sizes)) if self.roles else nn.Identity()
        self.output = nn.Linear(heads * value_width, width) if self.roles else nn.Identity()
        self.score = score
        self.weights = weights
        self.window = window
        self.fuses = isinstance(score, FusedScore) and weights.is_softmax and not _reweighs(window)

    def initialise(self, draw: Draw) -> None:
        if isinstance(self.project, nn.Linear):
            for role, rows in zip(self.roles, self.project.weight.split(self.sizes), strict=True):
                draw.matrix(f"{role}.weight", rows)
            draw.constant(self.project.bias, 0.0)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        if memory is None:
            q, k, v = self._queries_keys_and_values(x_BTC)
            positions = Positions(tokens.positions_BT, tokens.positions_BT)
            q, k = position.rotate(q, k, positions)
            bias = position.bias(positions, self.heads)
            mask = tokens.causal_mask() if self.causal else tokens.keys_mask()
        else:
            q = self._queries(x_BTC)
            k, v = self._keys_and_values(memory.values_BSC)
            positions = Positions(tokens.positions_BT, memory.tokens.positions_BT)
            mask, bias = memory.tokens.keys_mask(), None
        return self._join(self._attend(q, k, v, mask, bias, positions, causal=self.causal and memory is None))

    def begin(self, memory: Memory | None) -> State:
        if memory is None:
            return {}
        k, v = self._keys_and_values(memory.values_BSC)
        return {"k": k, "v": v, "memory": memory.tokens}

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        if "memory" in state:
            q, k, v = self._queries(x_B1C), state["k"], state["v"]
            positions = Positions(tokens.positions_BT, state["memory"].positions_BT)
            mask, bias = state["memory"].keys_mask(), None
        else:
            q, k, v = self._queries_keys_and_values(x_B1C)
            q, k = position.rotate(q, k, Positions(tokens.positions_BT, tokens.positions_BT))
            if "k" in state:
                k, v = torch.cat((state["k"], k), 2), torch.cat((state["v"], v), 2)
            state["k"], state["v"] = k, v
            positions = Positions(tokens.positions_BT, torch.arange(k.shape[2], device=k.device).unsqueeze(0))
            mask, bias = None, position.bias(positions, self.heads)
        return self._join(self._attend(q, k, v, mask, bias, positions, causal=False))

    def flops(self, queries: float, keys: float) -> float:
        total = self.heads * self.score.flops(queries, keys) + 2 * self.heads * queries * keys * self.value_width
        if self.window is not None:
            total += self.heads * self.window.flops(queries)
        if not isinstance(self.project, nn.Linear):
            return total
        sizes = dict(zip(self.roles, self.sizes, strict=True))
        shared = sizes["query"] if self.crosses else 0  # one product serves queries and keys of the same sequence
        width = self.project.in_features
        of_queries = sizes["query"] + self.heads * self.value_width
        return total + 2 * width * (queries * of_queries + keys * (sizes.get("key", shared) + sizes["value"]))

    def _attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        positions: Positions,
        causal: bool,
    ) -> Tensor:
        if self.groups > 1:
            k, v = k.repeat_interleave(self.groups, 1), v.repeat_interleave(self.groups, 1)
        near = None if self.window is None else self.window.allows(positions)
        if near is not None:
            mask, causal = near if mask is None else near & mask, False
        dropout = self.dropout if self.training else 0.0
        if self.fuses and self.watched is None:
            assert isinstance(self.score, FusedScore)
            q, k = self.score.fused(q, k)
            extra = q.shape[-1] - v.shape[-1]
            if extra > 0:  # the fused kernel is quick with equal widths only
                v = functional.pad(v, (0, extra))
            if bias is not None:
                mask, causal = _hidden(bias.to(q.dtype), mask), False
            elif causal:
                mask = None
            mixed = functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal, scale=1.0)
            return mixed[..., : self.value_width] if extra > 0 else mixed
        chunk = self._chunk(q, k)
        if chunk >= q.shape[2] or self.watched is not None:
            return self._reference(q, k, v, mask, bias, positions, dropout)

        def run(rows: slice, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
            seen = mask if mask is None or mask.shape[2] == 1 else mask[:, :, rows]
            places = Positions(positions.queries_BQ[:, rows], positions.keys_BK)
            return self._reference(q, k, v, seen, bias, places, dropout)

        inner = (self.score, self.weights, self.window)
        parameters = [p for module in inner if module is not None for p in module.parameters()]
        return in_chunks(run, chunk, q, k, v, bias, parameters)

    def _reference(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        positions: Positions,
        dropout: float,
    ) -> Tensor:
        scores = self.score(q, k, positions)
        scores = scores if bias is None else scores + bias.to(scores.dtype)
        weights = self.weights(scores, mask)
        factors = None if self.window is None else self.window.factors(q, positions, visible(scores, mask))
        weights = weights if factors is None else weights * factors.to(weights.dtype)
        if self.watched is not None:
            self.watched.append(Seen(scores, weights, mask))
        return functional.dropout(weights, dropout) @ v if dropout else weights @ v

    def _chunk(self, q: Tensor, k: Tensor) -> int:
        """How many queries to score at once."""
        if self.score.pairwise_cost is None:
            return q.shape[2]
        row = q.shape[0] * q.shape[1] * k.shape[2] * int(getattr(self.score, self.score.pairwise_cost))
        return q.shape[2] if row * q.shape[2] <= WHOLE else max(1, CHUNK // row)

    def _queries_keys_and_values(self, x_BTC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not isinstance(self.project, nn.Linear):
            x_BHTD = self._heads(x_BTC, self.head_width)
            return x_BHTD, x_BHTD, x_BHTD
        return self._parts(self.project(x_BTC))

    def _queries(self, x_BTC: Tensor) -> Tensor:
        if not isinstance(self.project, nn.Linear):
            return self._heads(x_BTC, self.head_width)
        size = self.sizes[0]
        q = functional.linear(x_BTC, self.project.weight[:size], self.project.bias[:size])
        return self._heads(q, self.head_width)

    def _keys_and_values(self, x_BSC: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(self.project, nn.Linear):
            x_BHSD = self._heads(x_BSC, self.head_width)
            return x_BHSD, x_BHSD
        if "key" not in self.roles:
            _, k, v = self._parts(self.project(x_BSC))
            return k, v
        size = self.sizes[0]
        both = functional.linear(x_BSC, self.project.weight[size:], self.project.bias[size:])
        k, v = both.split(self.sizes[1:], dim=-1)
        return self._heads(k, self.head_width), self._heads(v, self.value_width)

    def _parts(self, joined_BTE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of a joint projection; the query stands in for a key that has no matrix."""
        pieces = dict(zip(self.roles, joined_BTE.split(self.sizes, dim=-1), strict=True))
        q = self._heads(pieces["query"], self.head_width)
        k = self._heads(pieces["key"], self.head_width) if "key" in pieces else q
        return q, k, self._heads(pieces["value"], self.value_width)

    @staticmethod
    def _heads(x_BTE: Tensor, width: int) -> Tensor:
        return x_BTE.unflatten(-1, (-1, width)).transpose(1, 2)

    def _join(self, mixed_BHTV: Tensor) -> Tensor:
        return self.output(mixed_BHTV.transpose(1, 2).flatten(2))


@contextmanager
def watching(network: nn.Module) -> Iterator[dict[str, list[Seen]]]:
    """What every attention of a network does meanwhile, by its path, through the reference path."""
    found = {path: module for path, module in network.named_modules() if isinstance(module, Attention)}
    seen: dict[str, list[Seen]] = {path: [] for path in found}
    for path, attention in found.items():
        attention.watched = seen[path]
    try:
        yield seen
    finally:
        for attention in found.values():
            attention.watched = None


def _reweighs(window: Window | None) -> bool:
    """Whether a window changes weights after they are made, which no fused kernel does."""
    return window is not None and type(window).factors is not Window.factors


def _hidden(bias: Tensor, mask: Tensor | None) -> Tensor:
    """A bias that also hides what the mask hides."""
    return bias if mask is None else bias.masked_fill(~mask, float("-inf"))
