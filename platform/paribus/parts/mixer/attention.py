"""Multi-head attention, concat_h(weights(score(q_h, k_h)) v_h) W_o, from Vaswani et al. 2017 (arXiv:1706.03762).

Axes: B batch, T and Q queries, S and K keys, C channels, H heads, D width of a head, V width of its values.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from paribus.parts import AnyScore, AnyWeights, Misfit, NotBuilt, Surroundings, default
from paribus.parts.initialisation import Draw
from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.position import Position
from paribus.parts.score import FusedScore, Positions, Score
from paribus.parts.weights import Weights

# Numbers that a pairwise score may hold at once before the mixer turns to chunks of queries, recomputed backward.
CHUNK = 2**23


class Spec(MixerSpec):
    heads: PositiveInt = Field(4, description="how many attend side by side")
    head_width: PositiveInt | None = Field(None, description="of queries and keys; null: width / heads")
    value_width: PositiveInt | None = Field(None, description="of values; null: as head_width")
    key_heads: Annotated[PositiveInt | None, NotBuilt()] = Field(
        None, description="heads of keys and values, shared by groups of query heads; null: as heads"
    )
    score: AnyScore = Field(default_factory=default("score", "scaled_dot"), description="how well a query fits a key")
    weights: AnyWeights = Field(default_factory=default("weights", "softmax"), description="how scores become weights")
    projections: Annotated[Literal["full", "shared_qk", "none"], NotBuilt(("full",))] = Field(
        "full", description="which of query, key and value have a matrix of their own"
    )
    window: Annotated[dict[str, object] | None, NotBuilt()] = Field(None, description="how far a query sees; null: all")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="share of weights that are dropped in training")

    places = frozenset({"self", "cross"})

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        if self.head_width is None and around.width % self.heads:
            fits = [str(heads) for heads in range(1, around.width + 1) if around.width % heads == 0]
            yield Misfit(
                "heads",
                f"got {self.heads}, needs a divisor of the width {around.width} ({', '.join(fits)}) or a `head_width`",
                needs=("width",),
            )

    def build(self, *, width: int, causal: bool, max_length: int) -> "Attention":
        head_width = self.head_width or width // self.heads
        return Attention(
            width,
            heads=self.heads,
            head_width=head_width,
            value_width=self.value_width or head_width,
            score=self.score.build(head_dim=head_width),
            weights=self.weights.build(),
            causal=causal,
            dropout=self.attention_dropout,
        )


class Attention(Mixer):
    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_width: int,
        value_width: int,
        score: Score,
        weights: Weights,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = head_width
        self.value_width = value_width
        self.causal = causal
        self.dropout = dropout
        # One matrix for query, key and value: in self-attention that is one product instead of three.
        self.sizes = (heads * head_width, heads * head_width, heads * value_width)
        self.project = nn.Linear(width, sum(self.sizes))
        self.output = nn.Linear(heads * value_width, width)
        self.score = score
        self.weights = weights
        self.fuses = isinstance(score, FusedScore) and weights.is_softmax

    def initialise(self, draw: Draw) -> None:
        parts = zip(("query", "key", "value"), self.project.weight.split(self.sizes), strict=True)
        for role, rows in parts:
            draw.matrix(f"{role}.weight", rows)
        draw.constant(self.project.bias, 0.0)

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        if memory is None:
            q, k, v = self._split(self.project(x_BTC), self.sizes)
            mask = tokens.causal_mask() if self.causal else tokens.keys_mask()
            positions = Positions(tokens.positions_BT, tokens.positions_BT)
            q, k = position.rotate(q, k, positions)
            bias = position.bias(positions, self.heads)
        else:
            q = self._query(x_BTC)
            k, v = self._keys_and_values(memory.values_BSC)
            mask, bias = memory.tokens.keys_mask(), None
            positions = Positions(tokens.positions_BT, memory.tokens.positions_BT)
        return self._join(self._attend(q, k, v, mask, bias, positions, causal=self.causal and memory is None))

    def begin(self, memory: Memory | None) -> State:
        if memory is None:
            return {}
        k, v = self._keys_and_values(memory.values_BSC)
        return {"k": k, "v": v, "memory": memory.tokens}

    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        if "memory" in state:
            q, k, v = self._query(x_B1C), state["k"], state["v"]
            mask, bias = state["memory"].keys_mask(), None
            positions = Positions(tokens.positions_BT, state["memory"].positions_BT)
        else:
            q, k, v = self._split(self.project(x_B1C), self.sizes)
            q, k = position.rotate(q, k, Positions(tokens.positions_BT, tokens.positions_BT))
            if "k" in state:
                k, v = torch.cat((state["k"], k), 2), torch.cat((state["v"], v), 2)
            state["k"], state["v"] = k, v
            positions = Positions(tokens.positions_BT, torch.arange(k.shape[2], device=k.device).unsqueeze(0))
            mask, bias = None, position.bias(positions, self.heads)
        return self._join(self._attend(q, k, v, mask, bias, positions, causal=False))

    def flops(self, queries: float, keys: float) -> float:
        width, (q, k, v) = self.output.out_features, self.sizes
        projections = 2 * width * (queries * (q + v) + keys * (k + v))
        scores = self.heads * self.score.flops(queries, keys)
        return projections + scores + 2 * self.heads * queries * keys * self.value_width

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
        dropout = self.dropout if self.training else 0.0
        if self.fuses:
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
        if chunk >= q.shape[2]:
            return self._reference(q, k, v, mask, bias, positions, dropout)
        return torch.cat(
            [
                checkpoint(self._reference, *piece, dropout, use_reentrant=False)
                for piece in _pieces(q, k, v, mask, bias, positions, chunk)
            ],
            dim=2,
        )

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
        weights = self.weights(scores if bias is None else scores + bias.to(scores.dtype), mask)
        return functional.dropout(weights, dropout) @ v if dropout else weights @ v

    def _chunk(self, q: Tensor, k: Tensor) -> int:
        """How many queries to score at once."""
        if self.score.pairwise_cost is None:
            return q.shape[2]
        row = q.shape[0] * q.shape[1] * k.shape[2] * int(getattr(self.score, self.score.pairwise_cost))
        return max(1, CHUNK // row)

    def _query(self, x_BTC: Tensor) -> Tensor:
        size = self.sizes[0]
        return self._heads(functional.linear(x_BTC, self.project.weight[:size], self.project.bias[:size]))

    def _keys_and_values(self, x_BSC: Tensor) -> tuple[Tensor, Tensor]:
        size = self.sizes[0]
        both = functional.linear(x_BSC, self.project.weight[size:], self.project.bias[size:])
        k, v = self._split(both, self.sizes[1:])
        return k, v

    def _split(self, joined: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
        return tuple(self._heads(piece) for piece in joined.split(sizes, dim=-1))

    def _heads(self, x_BTC: Tensor) -> Tensor:
        return x_BTC.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _join(self, mixed_BHTV: Tensor) -> Tensor:
        return self.output(mixed_BHTV.transpose(1, 2).flatten(2))


def _hidden(bias: Tensor, mask: Tensor | None) -> Tensor:
    """A bias that also hides what the mask hides."""
    return bias if mask is None else bias.masked_fill(~mask, float("-inf"))


def _pieces(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, positions: Positions, size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Positions]]:
    """The same attention for `size` queries at a time."""
    for start in range(0, q.shape[2], size):
        rows = slice(start, start + size)
        seen = mask if mask is None or mask.shape[2] == 1 else mask[:, :, rows]
        added = None if bias is None else bias[:, :, rows]
        yield q[:, :, rows], k, v, seen, added, Positions(positions.queries_BQ[:, rows], positions.keys_BK)
