"""What norms promise.

Axes: B batch, T time, C channels.
"""

import copy

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.norm import Norm
from paribus.promises import any_module, in_network
from paribus.promises.building import PLACES, WIDTH
from paribus.promises.examples import EXACT, SHAPES, Shape, demand_finite, demand_same, drawn, gap, mode, noise
from paribus.promises.in_network import MODES
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.score import grows, refuse
from paribus.promises.using import built


def normed(norm: Norm, x: Tensor, shape: Shape, extra: int, training: bool) -> Tensor:
    """(B,T,C) by a copy, so that running statistics stay as they are."""
    tokens = shape.tokens(extra)
    found: Tensor = copy.deepcopy(norm).train(training)(x, tokens.mask_BT, tokens.positions_BT)
    return found.detach()


@promise("it gives the shape that it was given")
def shape_stays(spec: Part, seed: int) -> None:
    norm = built(spec, seed)
    if not isinstance(norm, Norm):
        raise Broken(f"build gives a {type(norm).__name__}, needs a paribus.parts.norm.Norm")
    for shape in SHAPES:
        x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
        found = normed(norm, x, shape, 0, True)
        if found.shape != x.shape:
            raise Broken(f"gives {tuple(found.shape)} for {tuple(x.shape)}", str(shape))


@promise("padding never moves a kept value")
def padding(spec: Part, seed: int) -> None:
    norm = built(spec, seed)
    for training in MODES:
        for shape in SHAPES:
            x = noise(drawn(seed), shape.batch, shape.longest + 3, WIDTH)
            x[~shape.mask(3)] = 1e3
            real = shape.mask()
            wanted = normed(norm, x[:, : shape.longest], shape, 0, training)[real]
            found = normed(norm, x, shape, 3, training)[:, : shape.longest][real]
            example = f"{shape}, {mode(training)}"
            demand_same(found, wanted, "a kept value moved when padding was added", f"{example}, 3 more of padding")
            x[~shape.mask(3)] = -7.0
            other = normed(norm, x[:, : shape.longest], shape, 0, training)[real]
            demand_same(other, wanted, "a kept value moved with what stands in the padding", example)


@promise("padding never moves the running statistics")
def padding_in_statistics(spec: Part, seed: int) -> None:
    norm = built(spec, seed)
    if not list(norm.buffers()):
        raise DoesNotApply("keeps no statistics")
    for shape in SHAPES:
        x = noise(drawn(seed), shape.batch, shape.longest + 3, WIDTH)
        x[~shape.mask(3)] = 1e3
        states = []
        for extra in (0, 3):
            one, tokens = copy.deepcopy(norm).train(), shape.tokens(extra)
            one(x[:, : shape.longest + extra], tokens.mask_BT, tokens.positions_BT)
            states.append(one.state_dict())
        for name, value in states[0].items():
            demand_same(states[1][name], value, f"{name} moved when padding was added", f"{shape}, 3 more of padding")


@promise("no token sees another of its sequence, except as declared")
def each_token_by_itself(spec: Part, seed: int) -> None:
    declared, leaked = "future" in spec.leaking(), False
    norm = built(spec, seed)
    for training in MODES:
        for shape in SHAPES:
            x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
            wanted = normed(norm, x, shape, 0, training)
            for row, length in enumerate(shape.lengths):
                for token in range(length):
                    changed = x.clone()
                    changed[row] = noise(drawn(seed + 7), shape.longest, WIDTH)
                    changed[row, token] = x[row, token]
                    moved = gap(normed(norm, changed, shape, 0, training)[row, token], wanted[row, token])
                    if moved > EXACT and not (declared and training):
                        seen = f"token {token} of sequence {row} moved by {moved:.3g} with others of its sequence"
                        raise Broken(seen, f"{shape}, {mode(training)}")
                    leaked = leaked or moved > EXACT
    if declared and not leaked:
        raise Broken("declares that it leaks the future, but no token moved when others changed")


@promise("no sequence sees another, except as declared")
def neighbours(spec: Part, seed: int) -> None:
    norm = built(spec, seed)
    seen = False
    for training in MODES:
        for shape in (Shape((1, 1)), Shape((3, 2))):
            x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
            changed = x.clone()
            changed[1:] = noise(drawn(seed + 7), *x[1:].shape)
            moved = gap(normed(norm, changed, shape, 0, training)[0], normed(norm, x, shape, 0, training)[0])
            if moved > EXACT and not (norm.sees_batch and training):
                raise Broken(f"a sequence moved by {moved:.3g} with its neighbour", f"{shape}, {mode(training)}")
            seen = seen or moved > EXACT
    if norm.sees_batch and not seen:
        raise Broken("declares sees_batch, but no sequence moved with its neighbour")


@promise("equal channels and large numbers stay finite")
def extremes(spec: Part, seed: int) -> None:
    for training in MODES:
        norm = built(spec, seed)
        for value in (0.0, 1.0, 1e4):
            x = torch.full((1, 2, WIDTH), value, dtype=torch.float64).requires_grad_()
            tokens = Shape((2,)).tokens()
            found = norm.train(training)(x, tokens.mask_BT, tokens.positions_BT)
            demand_finite(found, "the output", f"every channel {value:g}, {mode(training)}")
            found.square().sum().backward()
            assert x.grad is not None
            demand_finite(x.grad, "the gradient", f"every channel {value:g}, {mode(training)}")


@promise("a place beyond the longest is an error, never a clamp")
def refuses_longer(spec: Part, seed: int) -> None:
    norm = built(spec, seed)
    if not grows(spec, seed) and getattr(norm, "capacity", None) is None:
        raise DoesNotApply("has no limited number of places")
    longest = getattr(norm, "capacity", None) or PLACES
    shape = Shape((longest + 1,))
    for training in MODES:
        x = noise(drawn(seed), 1, longest + 1, WIDTH)
        refuse(lambda x=x, training=training: normed(norm, x, shape, 0, training), f"token {longest + 1} of {longest}")


PROMISES = (
    shape_stays,
    padding,
    padding_in_statistics,
    each_token_by_itself,
    neighbours,
    extremes,
    refuses_longer,
    *any_module.promises("norm"),
    *in_network.promises("norm"),
)
