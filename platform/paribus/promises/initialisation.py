"""What initialisations promise."""

import torch

from paribus.errors import Broken
from paribus.network import build
from paribus.parts import Part, spec_class
from paribus.parts.initialisation import Draw, Initialisation
from paribus.promises.building import SIZES, architecture, made
from paribus.promises.examples import drawn
from paribus.promises.promise import promise

SHAPES = ((1, 1), (4, 4), (64, 16), (16, 64), (128, 128))  # (out, in) of a matrix


def scheme(spec: Part) -> Initialisation:
    found = made(spec)
    if not isinstance(found, Initialisation):
        raise Broken(f"build gives a {type(found).__name__}, needs a paribus.parts.initialisation.Initialisation")
    return found


@promise("the same seed and role give the same values, others give others")
def by_seed_and_role(spec: Part, seed: int) -> None:
    def values(number: int, role: str) -> torch.Tensor:
        matrix = torch.empty(3, 2)
        Draw(number, role, scheme(spec)).matrix("weight", matrix)
        return matrix

    if not torch.equal(values(seed, "a"), values(seed, "a")):
        raise Broken("the same seed and role gave other values", "a 3 by 2 matrix")
    for other in (values(seed + 1, "a"), values(seed, "b")):
        if torch.equal(values(seed, "a"), other):
            raise Broken("another seed or role gave the same values", "a 3 by 2 matrix")


@promise("it draws from the generator that it is given and from nothing else")
def own_generator(spec: Part, seed: int) -> None:
    state = torch.get_rng_state()
    for shape in SHAPES:
        filled = scheme(spec).fill(shape, drawn(seed))
        if tuple(filled.shape) != shape or filled.dtype != torch.float32:
            raise Broken(f"gives {tuple(filled.shape)} {filled.dtype}, needs {shape} in float32", str(shape))
    if not torch.equal(state, torch.get_rng_state()):
        raise Broken("draws from the global random numbers")


@promise("values have mean zero and the spread that it says")
def spread(spec: Part, seed: int) -> None:
    for out, into in ((64, 64), (128, 32), (32, 128)):
        found, wanted = scheme(spec).fill((out, into), drawn(seed)), scheme(spec).std(out, into)
        size = wanted / (out * into) ** 0.5
        if not abs(float(found.mean())) <= 5 * size:
            raise Broken(f"the mean is {float(found.mean()):.3g}, needs 0", f"a {out} by {into} matrix")
        if not abs(float(found.std()) - wanted) <= 5 * size:
            raise Broken(
                f"the spread is {float(found.std()):.4g}, but std says {wanted:.4g}", f"a {out} by {into} matrix"
            )


@promise("it changes how a network starts")
def changes_the_start(spec: Part, seed: int) -> None:
    rival = spec_class("initialisation", "kaiming" if spec.kind == "xavier" else "xavier")()
    starts = []
    for part in (spec, rival):
        plan = architecture("initialisation", part, "encoder")
        assert plan is not None
        starts.append(build(plan, SIZES, seed).state_dict())
    if all(torch.equal(value, starts[1][name]) for name, value in starts[0].items()):
        raise Broken(f"a network starts as with {rival.kind}", "encoder")
    for name, value in starts[0].items():
        if not bool(value.isfinite().all()):
            raise Broken(f"{name} starts with numbers that are not finite", "encoder")


PROMISES = (by_seed_and_role, own_generator, spread, changes_the_start)
