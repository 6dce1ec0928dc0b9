"""What every module promises by itself: finite numbers, gradients, a whole state, half precision, compilation."""

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from paribus.errors import Broken
from paribus.parts import Part, spec_class
from paribus.parts.initialisation import initialise
from paribus.promises.building import made
from paribus.promises.examples import SHAPES, demand_finite, demand_same, drawn, gap, noise
from paribus.promises.promise import DoesNotApply, Promise
from paribus.promises.using import Use, uses

NEAR = 0.06  # of bfloat16, whose steps are 1/128, to float32, times one plus the largest number


def finite(family: str, spec: Part, seed: int) -> None:
    for shape in SHAPES:
        for use in uses(family, spec, seed, shape):
            inputs = _leaves(use)
            output = use.call(use.module, *inputs)
            demand_finite(output, "the output", use.example)
            if output.requires_grad:
                output.square().sum().backward()
                for value in inputs:
                    demand_finite(torch.zeros(1) if value.grad is None else value.grad, "a gradient", use.example)


def every_parameter_learns(family: str, spec: Part, seed: int) -> None:
    found = uses(family, spec, seed)
    if not any(list(use.module.parameters()) for use in found):
        raise DoesNotApply("has no parameters")
    for use in found:
        for name, parameter in use.module.named_parameters():
            if not parameter.requires_grad:
                raise Broken(f"the parameter {name} is frozen; numbers that are not learned belong in a buffer")
        output = use.call(use.module, *use.inputs)
        weigh(output, seed).backward()
        for name, parameter in use.module.named_parameters():
            if parameter.grad is None or not bool(parameter.grad.abs().max() > 0):
                raise Broken(f"no gradient reaches the parameter {name}", use.example)


def weigh(output: Tensor, seed: int) -> Tensor:
    """One number on which all of the output has an influence of its own."""
    return (output * noise(drawn(seed + 1), *output.shape, dtype=output.dtype)).sum()


def saved_and_loaded(family: str, spec: Part, seed: int) -> None:
    for first, second in zip(uses(family, spec, seed), uses(family, spec, seed + 1), strict=True):
        wanted = first.call(first.module, *first.inputs)
        load(first.module, second.module)
        found = second.call(second.module, *first.inputs)
        demand_same(found, wanted, "a module that was given the saved state of another differs from it", first.example)


def load(saved: nn.Module, into: nn.Module) -> None:
    """Through a file, as a checkpoint goes."""
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    into.load_state_dict(torch.load(file, weights_only=True))


def half_precision(family: str, spec: Part, seed: int) -> None:
    for use in uses(family, spec, seed):
        single = copy.deepcopy(use.module).float()
        inputs = [value.bfloat16().float() for value in use.inputs]
        wanted = use.call(copy.deepcopy(single), *inputs).detach()
        leaves = [value.bfloat16().requires_grad_() for value in inputs]
        with torch.autocast("cpu", torch.bfloat16):
            found = use.call(single, *(value.float() if family in ("norm", "mixer") else value for value in leaves))
        demand_finite(found, "the output in bfloat16", use.example)
        moved, allowed = gap(found.float(), wanted), NEAR * (1 + float(wanted.abs().max()))
        if moved > allowed:
            raise Broken(f"in bfloat16 the output differs from float32 by {moved:.3g}", use.example)
        if found.requires_grad:
            found.float().square().sum().backward()
            for parameter in single.parameters():
                if parameter.grad is not None:
                    demand_finite(parameter.grad, "a gradient in bfloat16", use.example)


def compiled(family: str, spec: Part, seed: int, backend: str = "aot_eager") -> None:
    """One use of each part: tracing takes most of the time that promises take."""
    for use in uses(family, spec, seed)[:1]:
        torch._dynamo.reset()
        other = copy.deepcopy(use.module)
        plain = _results(use, use.call, use.module, seed)
        with quiet():
            traced = _results(use, torch.compile(use.call, backend=backend), other, seed)
        for found, wanted in zip(traced, plain, strict=True):
            demand_same(found, wanted, "compiled it gives other numbers", use.example)


def _results(use: Use, call: Callable[..., Tensor], module: nn.Module, seed: int) -> list[Tensor]:
    """Output and gradients."""
    inputs = _leaves(use)
    output = call(module, *inputs)
    if output.requires_grad:
        weigh(output, seed).backward()
    gradients = [torch.zeros(1) if value.grad is None else value.grad for value in inputs]
    return [output.detach(), *gradients, *(p.grad for p in module.parameters() if p.grad is not None)]


@contextmanager
def quiet() -> Iterator[None]:
    """A part that looks at a number (to refuse a place) is compiled in two pieces, which torch tells at length."""
    logger = logging.getLogger("torch._dynamo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def repeatable(family: str, spec: Part, seed: int) -> None:
    for use in uses(family, spec, seed):
        use.module.eval()
        state = torch.get_rng_state()
        first = use.call(use.module, *use.inputs)
        if not torch.equal(state, torch.get_rng_state()):
            raise Broken("draws from the global random numbers in evaluation", use.example)
        demand_same(use.call(use.module, *use.inputs), first, "a second call gave other numbers", use.example)


def draws_by_its_role(family: str, spec: Part, seed: int) -> None:
    """Initial values are a function of seed and role, whatever the global random numbers are."""
    states = []
    for start in (1, 2):
        torch.manual_seed(start)
        built = made(spec)
        if not isinstance(built, nn.Module):
            raise DoesNotApply("it builds nothing")
        initialise(built, seed, spec_class("initialisation", "xavier")().build())
        states.append(built.state_dict())
    for name, value in states[0].items():
        if not torch.equal(value, states[1][name]):
            raise Broken(
                f"{name} starts from the global random numbers, not from the seed of the run; "
                "give the module `initialise(draw)`"
            )


def _leaves(use: Use) -> list[Tensor]:
    return [value.clone().requires_grad_() for value in use.inputs]


# Sentence -> function of (family, spec, seed).
SENTENCES: dict[str, Callable[[str, Part, int], None]] = {
    "outputs and gradients are finite": finite,
    "every parameter gets a gradient": every_parameter_learns,
    "the same input gives the same output in evaluation": repeatable,
    "initial values come from the seed of the run": draws_by_its_role,
    "its state saves and loads": saved_and_loaded,
    "bfloat16 is finite and near float32": half_precision,
    "compiled it gives the same": compiled,
}


def promises(family: str) -> tuple[Promise, ...]:
    """The promises of any module, asked of those of a family."""

    def bound(function: Callable[[str, Part, int], None]) -> Callable[[Part, int], None]:
        return lambda spec, seed: function(family, spec, seed)

    return tuple(Promise(name, bound(function)) for name, function in SENTENCES.items())
