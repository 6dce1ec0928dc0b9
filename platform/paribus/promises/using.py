"""How a part of each family is called, so that one promise can be asked of all of them.

Axes: B batch, H heads, T time, Q queries, K keys, C channels, D width of a head, S source time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paribus.parts import Part
from paribus.parts.mixer import Memory, Mixer, Tokens
from paribus.parts.position import Position
from paribus.parts.score import Positions
from paribus.parts.window import Window
from paribus.promises.building import HEAD, HEADS, PLACES, WIDTH, misfits, module
from paribus.promises.examples import LARGEST, Shape, drawn, noise
from paribus.promises.promise import DoesNotApply

NO_POSITION = Position()
CALLED = ("score", "weights", "window", "position", "norm", "mixer", "feedforward")


@dataclass(frozen=True)
class Use:
    """One module and one way to call it; `call` gives what counts of its output, padding left out."""

    example: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    call: Callable[..., Tensor]


def uses(family: str, spec: Part, seed: int, shape: Shape = LARGEST) -> list[Use]:
    """Every way in which a part is called, at one shape."""
    return list(_USES[family](spec, seed, shape))


def built(spec: Part, seed: int, **known: Any) -> Any:
    """The module of a part that has one."""
    found = module(spec, seed, **known)
    if found is None:
        raise DoesNotApply("it builds nothing: the sublayer is left out")
    return found


def places(length: int) -> Positions:
    """Queries and keys of one sequence."""
    all_1T = torch.arange(length).unsqueeze(0)
    return Positions(all_1T, all_1T)


def _score(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    generator = drawn(seed)
    q, k = (noise(generator, shape.batch, HEADS, shape.longest, HEAD) for _ in range(2))
    yield Use(str(shape), built(spec, seed), (q, k), lambda score, q, k: score(q, k, places(q.shape[2])))


def _weights(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    scores = noise(drawn(seed), shape.batch, HEADS, shape.longest, shape.longest)
    mask = shape.mask()[:, None, None, :] & torch.ones(shape.longest, shape.longest, dtype=torch.bool).tril()
    yield Use(str(shape), built(spec, seed), (scores,), lambda weights, scores: weights(scores, mask))


def _window(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    q, at = noise(drawn(seed), shape.batch, HEADS, shape.longest, HEAD), places(shape.longest)
    seen = torch.full((1, 1, 1, 1), float(shape.longest), dtype=torch.float64)

    def call(window: Window, q: Tensor) -> Tensor:
        allowed, factors = window.allows(at), window.factors(q, at, seen.to(q.dtype))
        weights = torch.ones_like(q[..., :1]) if allowed is None else allowed.to(q.dtype)
        return weights if factors is None else weights * factors

    yield Use(str(shape), built(spec, seed), (q,), call)


def _position(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    generator, tokens = drawn(seed), shape.tokens()
    x = noise(generator, shape.batch, shape.longest, WIDTH)
    q, k = (noise(generator, shape.batch, HEADS, shape.longest, HEAD) for _ in range(2))

    def call(position: Position, x: Tensor, q: Tensor, k: Tensor) -> Tensor:
        embedded = position.embed(x, tokens.positions_BT, tokens.mask_BT)[shape.mask()]
        return torch.cat((embedded.flatten(), logits(position, q, k, places(shape.longest)).flatten()))

    for side in ("encoder", "decoder"):
        yield Use(f"{shape}, {side} side", built(spec, seed, side=side), (x, q, k), call)


def logits(position: Position, q: Tensor, k: Tensor, at: Positions) -> Tensor:
    """(B,H,Q,K) of a plain dot product that is told the positions."""
    turned_q, turned_k = position.rotate(q, k, at)
    bias = position.bias(at, HEADS)
    scores = turned_q @ turned_k.transpose(-2, -1)
    return scores if bias is None else scores + bias.to(scores.dtype)


def _norm(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    x, tokens = noise(drawn(seed), shape.batch, shape.longest, WIDTH), shape.tokens()
    for training in (True, False):
        norm = built(spec, seed).train(training)
        yield Use(
            f"{shape}, {'in training' if training else 'in evaluation'}",
            norm,
            (x,),
            lambda norm, x: norm(x, tokens.mask_BT, tokens.positions_BT)[shape.mask()],
        )


def _feedforward(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
    yield Use(str(shape), built(spec, seed), (x,), lambda feedforward, x: feedforward(x))


@dataclass(frozen=True)
class Stand:
    """Where a mixer stands, and what it is told of it."""

    name: str
    place: str
    side: str
    causal: bool

    def build(self, spec: Part, seed: int) -> Mixer:
        mixer: Mixer = built(spec, seed, causal=self.causal, memory_length=PLACES if self.place == "cross" else None)
        return mixer


STANDS = (
    Stand("in an encoder", "self", "encoder", False),
    Stand("in a causal decoder", "self", "decoder", True),
    Stand("in cross position", "cross", "decoder", False),
)


def stands(spec: Part, *, place: str = "", causal: bool | None = None) -> list[Stand]:
    """Where a mixer fits, of the places asked for."""
    asked = [s for s in STANDS if place in ("", s.place) and (causal is None or s.causal is causal)]
    reasons = {stand: [misfit.message for misfit in misfits(spec, stand.place, stand.side)] for stand in asked}
    fitting = [stand for stand in asked if not reasons[stand]]
    if not fitting:
        raise DoesNotApply("; ".join(dict.fromkeys(reason for told in reasons.values() for reason in told)))
    return fitting


def source(generator: torch.Generator, shape: Shape) -> tuple[Tensor, Tokens]:
    """Something to read from: as many sequences as the shape has, one token longer, in the other order."""
    other = Shape(tuple(length + 1 for length in shape.lengths[::-1]))
    return noise(generator, other.batch, other.longest, WIDTH), other.tokens()


def _mixer(spec: Part, seed: int, shape: Shape) -> Iterator[Use]:
    generator, tokens = drawn(seed), shape.tokens()
    x = noise(generator, shape.batch, shape.longest, WIDTH)
    read, read_tokens = source(generator, shape)
    for stand in stands(spec):
        mixer = stand.build(spec, seed)
        if stand.place == "self":
            yield Use(
                f"{shape}, {stand.name}",
                mixer,
                (x,),
                lambda mixer, x: mixer(x, tokens, None, NO_POSITION)[shape.mask()],
            )
        else:
            yield Use(
                f"{shape}, {stand.name}",
                mixer,
                (x, read),
                lambda mixer, x, read: mixer(x, tokens, Memory(read, read_tokens), NO_POSITION)[shape.mask()],
            )


_USES: dict[str, Callable[[Part, int, Shape], Iterator[Use]]] = {
    "score": _score,
    "weights": _weights,
    "window": _window,
    "position": _position,
    "norm": _norm,
    "mixer": _mixer,
    "feedforward": _feedforward,
}
