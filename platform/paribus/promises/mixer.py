"""What mixers promise, in self and in cross position.

Axes: B batch, T time, S source time, C channels.
"""

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.mixer import Memory, Mixer, Tokens
from paribus.parts.score import Positions, Score
from paribus.promises import any_module, in_network
from paribus.promises.building import HEAD, HEADS, WIDTH
from paribus.promises.examples import (
    CHANGE,
    EXACT,
    SHAPES,
    Shape,
    demand_finite,
    demand_same,
    drawn,
    gap,
    mode,
    noise,
)
from paribus.promises.fusing import fused_and_not
from paribus.promises.in_network import MODES, reordering
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.score import refuse
from paribus.promises.using import NO_POSITION, Stand, built, places, source, stands


def mixed(mixer: Mixer, stand: Stand, x: Tensor, shape: Shape, read: tuple[Tensor, Tokens], extra: int = 0) -> Tensor:
    """(B,T,C)"""
    memory = Memory(*read) if stand.place == "cross" else None
    found: Tensor = mixer(x, shape.tokens(extra), memory, NO_POSITION)
    return found


@promise("it gives the shape that it was given")
def shape_stays(spec: Part, seed: int) -> None:
    for stand in stands(spec):
        mixer = stand.build(spec, seed)
        if not isinstance(mixer, Mixer):
            raise Broken(f"build gives a {type(mixer).__name__}, needs a paribus.parts.mixer.Mixer")
        for shape in SHAPES:
            x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
            found = mixed(mixer, stand, x, shape, source(drawn(seed), shape))
            if found.shape != x.shape:
                raise Broken(f"gives {tuple(found.shape)} for {tuple(x.shape)}", f"{shape}, {stand.name}")


@promise("padding never moves a kept value")
def padding(spec: Part, seed: int) -> None:
    for stand in stands(spec):
        for training in MODES:
            mixer = stand.build(spec, seed).train(training)
            for shape in SHAPES:
                x = noise(drawn(seed), shape.batch, shape.longest + 3, WIDTH)
                read, tokens = source(drawn(seed), shape)
                real, example = shape.mask(), f"{shape}, {stand.name}, {mode(training)}"
                wanted = mixed(mixer, stand, x[:, : shape.longest], shape, (read, tokens))[real]
                assert tokens.mask_BT is not None
                noisy = torch.where(shape.mask(3).unsqueeze(-1), x, 3 * x + 1)
                longer = Shape(tuple(int(n) for n in tokens.mask_BT.sum(1)))
                more = torch.cat((read, noise(drawn(seed + 7), shape.batch, 3, WIDTH)), 1)
                more = torch.where(longer.mask(3).unsqueeze(-1), more, 3 * more + 1)
                found = mixed(mixer, stand, noisy, shape, (more, longer.tokens(3)), 3)[:, : shape.longest][real]
                demand_same(found, wanted, "a kept value moved with the padding", f"{example}, 3 more of padding")


@promise("no token sees a later one when causal, except as declared")
def no_look_ahead(spec: Part, seed: int) -> None:
    declared, leaked = "future" in spec.leaking(), False
    for stand in stands(spec, place="self", causal=True):
        for training in MODES:
            mixer = stand.build(spec, seed).train(training)
            for shape in SHAPES:
                x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
                wanted = mixed(mixer, stand, x, shape, source(drawn(seed), shape))
                for token in range(1, shape.longest):
                    changed = x.clone()
                    changed[:, token:] = noise(drawn(seed + 7), *changed[:, token:].shape)
                    found = mixed(mixer, stand, changed, shape, source(drawn(seed), shape))
                    moved = gap(found[:, :token][shape.mask()[:, :token]], wanted[:, :token][shape.mask()[:, :token]])
                    if moved > EXACT and not (declared and training):
                        seen = f"tokens before {token} moved by {moved:.3g} when it and later ones changed"
                        raise Broken(seen, f"{shape}, {mode(training)}")
                    leaked = leaked or moved > EXACT
    if declared and not leaked:
        raise Broken("declares that it leaks the future, but nothing earlier moved when a later token changed")


@promise("no sequence sees another")
def neighbours(spec: Part, seed: int) -> None:
    for stand in stands(spec):
        for training in MODES:
            mixer = stand.build(spec, seed).train(training)
            shape = Shape((2, 2))
            x, (read, tokens) = noise(drawn(seed), 2, 2, WIDTH), source(drawn(seed), shape)
            wanted = mixed(mixer, stand, x, shape, (read, tokens))
            x_other, read_other = x.clone(), read.clone()
            x_other[1], read_other[1] = noise(drawn(seed + 7), *x[1].shape), noise(drawn(seed + 8), *read[1].shape)
            found = mixed(mixer, stand, x_other, shape, (read_other, tokens))
            demand_same(found[0], wanted[0], "a sequence moved with its neighbour", f"{shape}, {stand.name}")


@promise("tokens learn of each other")
def exchanges(spec: Part, seed: int) -> None:
    for stand in stands(spec, place="self"):
        mixer = stand.build(spec, seed)
        shape = Shape((4,))
        x = noise(drawn(seed), 1, 4, WIDTH)
        changed = x.clone()
        changed[:, :-1] = noise(drawn(seed + 7), 1, 3, WIDTH)
        read = source(drawn(seed), shape)
        if gap(mixed(mixer, stand, x, shape, read)[:, -1], mixed(mixer, stand, changed, shape, read)[:, -1]) <= CHANGE:
            raise Broken("the last token stays the same when all others change", f"{shape}, {stand.name}")


@promise("in cross position a token reads the source, and of the target itself at most")
def reads_the_source(spec: Part, seed: int) -> None:
    for stand in stands(spec, place="cross"):
        mixer = stand.build(spec, seed)
        for shape in SHAPES:
            x, (read, tokens) = noise(drawn(seed), shape.batch, shape.longest, WIDTH), source(drawn(seed), shape)
            wanted = mixed(mixer, stand, x, shape, (read, tokens))
            other = noise(drawn(seed + 7), *read.shape)
            if gap(mixed(mixer, stand, x, shape, (other, tokens))[shape.mask()], wanted[shape.mask()]) <= CHANGE:
                raise Broken("no token moved when the source changed", f"{shape}, {stand.name}")
            for token in range(shape.longest):
                changed = noise(drawn(seed + 7), *x.shape)
                changed[:, token] = x[:, token]
                found = mixed(mixer, stand, changed, shape, (read, tokens))[:, token]
                real = shape.mask()[:, token]
                seen = f"token {token} moved with other tokens of the target"
                demand_same(found[real], wanted[:, token][real], seen, f"{shape}, {stand.name}")


@promise("a sequence without tokens gives finite numbers and gradients")
def empty(spec: Part, seed: int) -> None:
    for stand in stands(spec):
        mixer = stand.build(spec, seed)
        shape, nothing = Shape((2, 0)), Shape((0, 2))
        x = noise(drawn(seed), 2, 2, WIDTH).requires_grad_()
        read = noise(drawn(seed), 2, 2, WIDTH).requires_grad_()
        found = mixed(mixer, stand, x, shape, (read, nothing.tokens()))
        demand_finite(found, "the output", f"{shape}, {stand.name}")
        found.square().sum().backward()
        for gradient in (x.grad, read.grad, *(parameter.grad for parameter in mixer.parameters())):
            if gradient is not None:
                demand_finite(gradient, "a gradient", f"{shape}, {stand.name}")


@promise("a query that sees no key gets zeros")
def empty_rows(spec: Part, seed: int) -> None:
    for stand in stands(spec, place="cross"):
        mixer = stand.build(spec, seed)
        if not isinstance(getattr(mixer, "score", None), Score):
            raise DoesNotApply("has no scores")
        shape, nothing = Shape((2, 2)), Shape((0, 2))
        read = noise(drawn(seed), 2, 2, WIDTH)
        x = noise(drawn(seed), 2, 2, WIDTH)
        found = mixed(mixer, stand, x, shape, (read, nothing.tokens()))[0]
        wanted = mixer.get_submodule("output")(torch.zeros_like(_joined(mixer, found)))
        demand_same(found, wanted, "a query that sees no key got more than the output's bias", f"{shape}, {stand.name}")


def _joined(mixer: Mixer, found: Tensor) -> Tensor:
    output = mixer.get_submodule("output")
    width = getattr(output, "in_features", found.shape[-1])
    return found.new_zeros(*found.shape[:-1], width)


@promise("step by step equals all at once")
def step_by_step(spec: Part, seed: int) -> None:
    fitting = [stand for stand in stands(spec) if stand.side == "decoder"]
    if not fitting:
        raise DoesNotApply("fits in no decoder")
    for stand in fitting:
        mixer = stand.build(spec, seed).eval()
        for shape in (Shape((1,)), Shape((2,)), Shape((5, 5))):
            x, (read, tokens) = noise(drawn(seed), shape.batch, shape.longest, WIDTH), source(drawn(seed), shape)
            wanted = mixed(mixer, stand, x, shape, (read, tokens))
            state = mixer.begin(Memory(read, tokens) if stand.place == "cross" else None)
            for token in range(shape.longest):
                at = Tokens(None, torch.tensor([[token]]))
                found = mixer.step(x[:, token : token + 1], at, state, NO_POSITION)
                seen = f"token {token} written by itself is another"
                demand_same(found[:, 0], wanted[:, token], seen, f"{shape}, {stand.name}")


@promise("output and gradients are the same fused and not")
def fused(spec: Part, seed: int) -> None:
    built(spec, seed)
    fused_and_not(spec, seed)


@promise("in an encoder, reordering the input reorders the output where it looks at contents only")
def reorders(spec: Part, seed: int) -> None:
    stand = next((stand for stand in stands(spec, place="self", causal=False)), None)
    if spec.kind not in ("attention", "average"):
        raise DoesNotApply("reads its tokens in order" if stand else "fits in no encoder")
    if getattr(spec, "window", None) is not None:
        raise DoesNotApply("its window looks at places")
    mixer = stand.build(spec, seed) if stand else None
    score = getattr(mixer, "score", None)
    if isinstance(score, Score) and _looks_at_places(score, getattr(mixer, "heads", HEADS), seed):
        raise DoesNotApply("its score looks at places")
    moved, example = reordering("mixer", spec, seed)
    if moved > EXACT:
        raise Broken(f"the output of a reordered input differs by {moved:.3g} from the reordered output", example)


def _looks_at_places(score: Score, heads: int, seed: int) -> bool:
    q = noise(drawn(seed), 1, heads, 3, getattr(score, "head_dim", HEAD))
    straight = places(3)
    turned = Positions(straight.queries_BQ, straight.keys_BK.flip(1))
    return gap(score(q, q, straight), score(q, q, turned)) > CHANGE


@promise("a place beyond the longest is an error, never a clamp")
def refuses_longer(spec: Part, seed: int) -> None:
    limited = False
    for stand in stands(spec):
        mixer = stand.build(spec, seed)
        limit = getattr(mixer, "capacity", None)
        if limit is None:
            continue
        limited = True
        shape = Shape((limit + 1,))
        x, read = noise(drawn(seed), 1, limit + 1, WIDTH), source(drawn(seed), shape)
        refuse(lambda m=mixer, s=stand, x=x, shape=shape, r=read: mixed(m, s, x, shape, r), f"{shape}, {stand.name}")
    if not limited:
        raise DoesNotApply("has no limited number of places")


PROMISES = (
    shape_stays,
    padding,
    no_look_ahead,
    neighbours,
    exchanges,
    reads_the_source,
    empty,
    empty_rows,
    step_by_step,
    fused,
    reorders,
    refuses_longer,
    *any_module.promises("mixer"),
    *in_network.promises("mixer"),
)
