"""Modules and small networks around a part, in float64, with parameters that are nowhere special.

Initial values can hide a defect (a norm's weight of one, a table of zeros), so every parameter is stirred.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from paribus.network import Batch, Network, Sizes, build
from paribus.parts import Misfit, Part, Surroundings, spec_class
from paribus.parts.initialisation import initialise
from paribus.promises.examples import Shape, drawn
from paribus.spec.network import Architecture, ResolvedLayer, Stack, resolve
from paribus.spec.network import Network as Written

WIDTH, HEADS, HEAD, PLACES, VOCABULARY = 8, 2, 4, 12, 9
FAMILIES = ("encoder", "decoder", "encoder_decoder")
SIZES = Sizes(source_vocabulary=VOCABULARY, target_vocabulary=VOCABULARY, longest_source=PLACES, longest_target=PLACES)

# What a part may ask for by name when it is built.
KNOWN: dict[str, Any] = {
    "width": WIDTH, "heads": HEADS, "head_dim": HEAD, "max_length": PLACES, "max_queries": PLACES, "max_keys": PLACES,
    "causal": False, "side": "encoder", "memory_length": None,
}  # fmt: skip


def made(spec: Part, **known: Any) -> Any:
    """What a part builds of all that is known of its place."""
    return spec.make(**{**KNOWN, **known})


def module(spec: Part, seed: int, **known: Any) -> Any:
    """The stirred module of a part."""
    built = made(spec, **known)
    if isinstance(built, nn.Module):
        initialise(built, seed, spec_class("initialisation", "xavier")().build())
        settle(built, seed)
    return built


def settle(built: nn.Module, seed: int) -> None:
    """Stir the parameters, take dropout out, and go to float64."""
    generator = drawn(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    for inner in built.modules():
        if isinstance(inner, nn.Dropout):
            inner.p = 0.0
        if isinstance(getattr(inner, "dropout", None), float):
            inner.dropout = 0.0  # type: ignore[assignment]
    built.double()


@cache
def plain(family: str) -> Architecture:
    """A small network of plain parts."""
    written = {
        "family": family,
        "width": WIDTH,
        "depth": 1,
        "dropout": 0.0,
        "mixer": {"kind": "attention", "heads": HEADS},
        "position": "sinusoidal",
        "feedforward": {"kind": "relu", "width": WIDTH},
    }
    return resolve(Written.model_validate(written))


def architecture(role: str, spec: Part, family: str) -> Architecture | None:
    """A small network with the part wherever it fits, or None where it fits nowhere."""
    start = plain(family)
    if role == "initialisation":
        return start.model_copy(update={"initialisation": spec})
    stacks = {side: _placed(role, spec, side, stack) for side, stack in start.stacks().items()}
    if all(changed is None for changed in stacks.values()):
        return None
    return start.model_copy(update={side: changed for side, changed in stacks.items() if changed is not None})


def _placed(role: str, spec: Part, side: str, stack: Stack) -> Stack | None:
    if role == "position":
        return stack.model_copy(update={"position": spec})
    changes: dict[str, Part] = {}
    layer = stack.layers[0]
    for name, place in (("mixer", "self"), ("cross", "cross")):
        old = getattr(layer, name)
        if old is None or role not in ("mixer", "score", "weights", "window"):
            continue
        if role != "mixer":
            changes[name] = old.model_copy(update={role: spec})
        elif not list(misfits(spec, place, side)):
            changes[name] = spec
    if role in ("norm", "feedforward"):
        changes[role] = spec
    if not changes:
        return None
    changed: ResolvedLayer = layer.model_copy(update=changes)
    return stack.model_copy(update={"layers": [changed]})


def misfits(spec: Part, place: str, side: str) -> Iterator[Misfit]:
    """Why a mixer cannot stand there."""
    if place not in getattr(spec, "places", {"self"}):
        yield Misfit("", f"cannot stand in {place} position")
        return
    yield from spec.misfits(Surroundings(width=WIDTH, place=place, side=side, bidirectional=side == "encoder"))


def network(plan: Architecture, seed: int) -> Network:
    """The network with stirred parameters."""
    built = build(plan, SIZES, seed)
    settle(built, seed)
    return built


def networks(role: str, spec: Part, seed: int) -> Iterator[tuple[str, Network]]:
    """A small network of each family in which the part fits."""
    for family in FAMILIES:
        plan = architecture(role, spec, family)
        if plan is not None:
            yield family, network(plan, seed)


def ids(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(5, VOCABULARY, shape, generator=generator)


def batch(family: str, shape: Shape, seed: int, extra: int = 0) -> Batch:
    """Sources and targets of these lengths (the sources in the other order), with `extra` padding of any content."""
    generator = drawn(seed)
    source, target = ids(generator, shape.batch, shape.longest), ids(generator, shape.batch, shape.longest)
    lengths = torch.tensor(shape.lengths)
    more_source, more_target = ids(generator, shape.batch, extra), ids(generator, shape.batch, extra)
    sources = (torch.cat((source, more_source), 1), lengths.flip(0))
    targets = (torch.cat((target, more_target), 1), lengths)
    if family == "encoder":
        return Batch(*sources, None, None)
    if family == "decoder":
        return Batch(None, None, *targets)
    return Batch(*sources, *targets)


def kept(family: str, shape: Shape, logits: Tensor) -> Tensor:
    """The logits of real tokens."""
    return logits if family == "encoder" else logits[:, : shape.longest][shape.mask()]
