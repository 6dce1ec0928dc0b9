"""What positions promise.

Axes: B batch, T time, H heads, Q queries, K keys, C channels, D width of a head.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from paribus.errors import Broken, ParibusError
from paribus.parts import Part
from paribus.parts.position import Position
from paribus.parts.score import Positions
from paribus.promises import any_module, in_network
from paribus.promises.building import HEAD, HEADS, PLACES, WIDTH
from paribus.promises.examples import CHANGE, EXACT, SHAPES, demand_same, drawn, gap, noise
from paribus.promises.in_network import reordering
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.score import grows, refuse
from paribus.promises.using import built, logits, places

SIDES = ("encoder", "decoder")
NEAR = 6  # tokens among which each distance is told apart


def acts_on(spec: Part) -> str:
    return str(getattr(spec, "acts_on", "embeddings"))


def modules(spec: Part, seed: int) -> Iterator[tuple[str, Position]]:
    for side in SIDES:
        position = built(spec, seed, side=side)
        if not isinstance(position, Position):
            raise Broken(f"build gives a {type(position).__name__}, needs a paribus.parts.position.Position")
        yield side, position


def only(spec: Part, where: str) -> None:
    if acts_on(spec) == "nothing":
        raise DoesNotApply("tells nothing")
    if acts_on(spec) != where:
        raise DoesNotApply(f"acts on {acts_on(spec)}")


def told(position: Position, length: int, seed: int) -> Tensor:
    """(H,Q,K): what a plain dot product of one and the same query and key becomes at each pair of places."""
    generator = drawn(seed)
    q, k = (noise(generator, 1, HEADS, 1, HEAD).expand(1, HEADS, length, HEAD) for _ in range(2))
    return logits(position, q, k, places(length))[0].detach()


@promise("it acts where it says that it does, and nowhere else")
def acts_where_it_says(spec: Part, seed: int) -> None:
    for side, position in modules(spec, seed):
        generator, at = drawn(seed), places(3)
        x = noise(generator, 2, 3, WIDTH)
        q, k = (noise(generator, 2, HEADS, 3, HEAD) for _ in range(2))
        moved = {
            "embeddings": gap(position.embed(x, at.queries_BQ, None), x) > CHANGE,
            "attention": gap(logits(position, q, k, at), q @ k.transpose(-2, -1)) > CHANGE,
        }
        for where, acts in moved.items():
            if acts != (acts_on(spec) == where):
                change = "changes" if acts else "does not change"
                raise Broken(f"declares acts_on = {acts_on(spec)!r}, but {change} {where}", f"{side} side, 3 tokens")


@promise("every place has a code of its own")
def codes_differ(spec: Part, seed: int) -> None:
    only(spec, "embeddings")
    for side, position in modules(spec, seed):
        for length in range(2, NEAR + 1):
            x = noise(drawn(seed), 1, 1, WIDTH).expand(1, length, WIDTH)
            codes = position.embed(x, torch.arange(length)[None], None)[0].detach()
            for first in range(length):
                for second in range(first + 1, length):
                    if gap(codes[first], codes[second]) <= CHANGE:
                        raise Broken(f"tokens {first} and {second} are told the same", f"{side} side, {length} tokens")


@promise("distances to earlier keys are told apart")
def distances_differ(spec: Part, seed: int) -> None:
    """All of them where the kind is fixed; a learned table may be coarse, but tells the token itself from others."""
    only(spec, "attention")
    for side, position in modules(spec, seed):
        for length in range(2, NEAR + 1):
            rows_HK = told(position, length, seed)[:, -1]
            coarse = bool(list(position.parameters()))
            for first in range(length - 1 if coarse else 0, length):
                for second in [*range(first), *range(first + 1, length)]:
                    if gap(rows_HK[:, first], rows_HK[:, second]) <= CHANGE:
                        seen = f"query {length - 1} is told the same of keys {first} and {second}"
                        raise Broken(seen, f"{side} side, {length} tokens")


@promise("in attention only the distance of key and query counts")
def distance_only(spec: Part, seed: int) -> None:
    only(spec, "attention")
    if not getattr(spec, "only_distance", True):
        raise DoesNotApply("declares that places count too")
    for side, position in modules(spec, seed):
        for length in range(2, NEAR + 1):
            found = told(position, length, seed)
            seen = "the same pair one place further on is told something else"
            demand_same(found[:, 1:, 1:], found[:, :-1, :-1], seen, f"{side} side, {length} tokens")


@promise("before and after are told apart, except as declared")
def directions_differ(spec: Part, seed: int) -> None:
    only(spec, "attention")
    position = built(spec, seed, side="encoder")
    found = told(position, 3, seed)
    differs = gap(found[:, 1, 0], found[:, 1, 2]) > CHANGE
    if differs and "direction" in spec.ignores:
        raise Broken("declares that it ignores the direction, but tells before from after", "encoder side, 3 tokens")
    if not differs and "direction" not in spec.ignores:
        raise Broken("keys as far before as after are told the same", "encoder side, 3 tokens")


@promise("a fixed bias never favours the farther key")
def fixed_bias_falls(spec: Part, seed: int) -> None:
    only(spec, "attention")
    for side, position in modules(spec, seed):
        bias = position.bias(places(4), HEADS)
        if bias is None or list(position.parameters()):
            raise DoesNotApply("has no bias" if bias is None else "learns its bias")
        row_HK = bias[0, :, -1]
        if bool((row_HK[:, 1:] < row_HK[:, :-1] - EXACT).any()):
            raise Broken("a farther key gets the higher bias", f"{side} side, 4 tokens")


@promise("each head has a bias of its own")
def heads_differ(spec: Part, seed: int) -> None:
    only(spec, "attention")
    for side, position in modules(spec, seed):
        bias = position.bias(places(3), HEADS)
        if bias is None:
            raise DoesNotApply("has no bias")
        if bias.shape[1] != HEADS or gap(bias[:, 0], bias[:, 1]) <= CHANGE:
            raise Broken("two heads share one bias", f"{side} side, 3 tokens, {HEADS} heads")


@promise("a place beyond the longest is an error, never a clamp")
def refuses_longer(spec: Part, seed: int) -> None:
    if acts_on(spec) == "nothing":
        raise DoesNotApply("tells nothing")
    for side, position in modules(spec, seed):
        if position.capacity is None and not grows(spec, seed):
            _goes_on(position, side, spec, seed)
            continue
        longest = position.capacity or PLACES
        refuse(
            lambda position=position, longest=longest: _ask(position, longest + 1),
            f"{side} side, token {longest + 1} of {longest}",
        )


def _ask(position: Position, length: int) -> Tensor:
    x = torch.ones(1, length, WIDTH, dtype=torch.float64)
    q = torch.ones(1, HEADS, length, HEAD, dtype=torch.float64)
    return position.embed(x, torch.arange(length)[None], None).sum() + logits(position, q, q, places(length)).sum()


def _goes_on(position: Position, side: str, spec: Part, seed: int) -> None:
    """A position without a limit tells later places apart too."""
    for length in (PLACES + 1, PLACES + 2):
        try:
            if acts_on(spec) == "embeddings":
                x = noise(drawn(seed), 1, 1, WIDTH).expand(1, length, WIDTH)
                last = position.embed(x, torch.arange(length)[None], None)[0, -2:].detach()
            else:
                last = told(position, length, seed)[:, -1, -2:].T
        except ParibusError:
            raise Broken("refuses a place, but says that it has no limit", f"{side} side, {length} tokens") from None
        if gap(last[0], last[1]) <= CHANGE:
            raise Broken("the last two places are told the same", f"{side} side, {length} tokens")


@promise("padding moves nothing that a real token is told")
def padding(spec: Part, seed: int) -> None:
    for side, position in modules(spec, seed):
        for shape in SHAPES:
            x = noise(drawn(seed), shape.batch, shape.longest + 3, WIDTH)
            short, long = shape.tokens(), shape.tokens(3)
            wanted = position.embed(x[:, : shape.longest], short.positions_BT, short.mask_BT)[shape.mask()]
            found = position.embed(x, long.positions_BT, long.mask_BT)[:, : shape.longest][shape.mask()]
            demand_same(found, wanted, "the code of a real token moved with the padding", f"{side} side, {shape}")


@promise("on the decoder side a token is told the same when it is written")
def step_by_step(spec: Part, seed: int) -> None:
    position = built(spec, seed, side="decoder")
    for length in (1, 2, 4):
        x = noise(drawn(seed), 1, length, WIDTH)
        whole = position.embed(x, torch.arange(length)[None], None)
        bias = position.bias(places(length), HEADS)
        for t in range(length):
            at = torch.tensor([[t]])
            found = position.embed(x[:, t : t + 1], at, None)
            demand_same(found[:, 0], whole[:, t], f"the code of token {t} alone is another", f"{length} tokens")
            row = position.bias(Positions(at, torch.arange(t + 1)[None]), HEADS)
            if bias is not None and row is not None:
                said = f"the bias of query {t} alone is another"
                demand_same(row[:, :, 0], bias[:, :, t, : t + 1], said, f"{length} tokens")


@promise("in an encoder, reordering the input only reorders the output if no order is told")
def order_matters(spec: Part, seed: int) -> None:
    moved, example = reordering("position", spec, seed)
    tells = acts_on(spec) != "nothing"
    if tells and moved <= CHANGE:
        raise Broken(
            "reordering the input of an encoder only reordered its output: no order is told", "encoder, 5 tokens"
        )
    if not tells and moved > EXACT:
        raise Broken(f"tells nothing, but the output of a reordered input differs by {moved:.3g}", example)


PROMISES = (
    acts_where_it_says,
    codes_differ,
    distances_differ,
    distance_only,
    directions_differ,
    fixed_bias_falls,
    heads_differ,
    refuses_longer,
    padding,
    step_by_step,
    order_matters,
    *any_module.promises("position"),
    *in_network.promises("position"),
)
