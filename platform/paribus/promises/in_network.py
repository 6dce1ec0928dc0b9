"""What every part promises in a small network of each family, in training and in evaluation.

Axes: B batch, S source time, T target time, C channels, V vocabulary.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.network import Batch, Network
from paribus.parts import Part, spec_class
from paribus.parts.mixer import Tokens
from paribus.promises.any_module import NEAR, load, quiet, weigh
from paribus.promises.building import FAMILIES, architecture, batch, ids, kept, network, networks
from paribus.promises.examples import (
    CHANGE,
    EXACT,
    LARGEST,
    SHAPES,
    Shape,
    demand_finite,
    demand_same,
    drawn,
    gap,
    mode,
)
from paribus.promises.promise import DoesNotApply, Promise

MODES = (True, False)

# What a network without the part, or with the plainest one, holds in its place; and what stands in for these.
NULLS: dict[str, tuple[str, str]] = {
    "score": ("uniform", "scaled_dot"),
    "weights": ("softmax", "sigmoid"),
    "position": ("none", "sinusoidal"),
    "norm": ("none", "layer"),
    "mixer": ("none", "attention"),
    "feedforward": ("none", "relu"),
    "window": ("fixed", "predictive"),
}


def changes_the_output(role: str, spec: Part, seed: int) -> None:
    null, other = NULLS[role]
    rival = spec_class(role, other if spec.kind == null else null)()
    differs = False
    for family in FAMILIES:
        plans = [architecture(role, part, family) for part in (spec, rival)]
        if plans[0] is None or plans[1] is None:
            continue
        one, two = (network(plan, seed) for plan in plans if plan is not None)
        words = batch(family, LARGEST, seed)
        differs = differs or gap(one(words), two(words)) > CHANGE
        if not differs:
            told = f"networks with it and with {role} {rival.kind} give the same logits"
            raise Broken(told, f"{family} with {LARGEST}")
    if not differs:
        raise DoesNotApply("fits in no small network beside the one that it is compared with")


def padding(role: str, spec: Part, seed: int) -> None:
    """Neither more padding, nor what stands in it, nor a mask that hides nothing."""
    for family, built in networks(role, spec, seed):
        for training in MODES:
            for shape in SHAPES:
                wanted = kept(family, shape, _logits(built, batch(family, shape, seed), training))
                found = kept(family, shape, _logits(built, batch(family, shape, seed, extra=3), training))
                example = f"{family}, {shape} and 3 more of padding, {mode(training)}"
                demand_same(found, wanted, "a kept output and so the loss moved with the padding", example)
                if len(set(shape.lengths)) == 1:
                    whole = batch(family, shape, seed)
                    untold = replace(whole, source_lengths_B=None, input_lengths_B=None)
                    found = kept(family, shape, _logits(built, untold, training))
                    said = "the output hangs on whether a mask says that nothing is hidden"
                    demand_same(found, wanted, said, f"{family}, {shape}, {mode(training)}")


def _logits(built: Network, words: Batch, training: bool) -> Tensor:
    """Running statistics stay as they are."""
    kept_buffers = [(buffer, buffer.clone()) for buffer in built.buffers()] if training else []
    with torch.no_grad():
        logits: Tensor = built.train(training)(words)
        for buffer, before in kept_buffers:
            buffer.copy_(before)
    return logits


def no_look_ahead(role: str, spec: Part, seed: int) -> None:
    leaked = ""
    declared = "future" in spec.leaking()
    for family, built in networks(role, spec, seed):
        if family == "encoder":
            continue
        for training in MODES:
            for shape in SHAPES:
                for place, moved in _moves_before(family, built, shape, seed, training):
                    if moved <= EXACT:
                        continue
                    if not (declared and training):
                        raise Broken(
                            f"the logits before token {place} moved by {moved:.3g} when it was changed",
                            f"{family}, {shape}, {mode(training)}",
                        )
                    leaked = family
    if declared and not leaked:
        raise Broken("it declares that it leaks the future, but no earlier output moved when a later token was changed")


def _moves_before(family: str, built: Network, shape: Shape, seed: int, training: bool) -> Iterator[tuple[int, float]]:
    """For each place, how much earlier logits move when it and all later tokens of the target are changed."""
    words = batch(family, shape, seed)
    assert words.inputs_BT is not None
    wanted = _logits(built, words, training)
    for place in range(1, shape.longest):
        changed = words.inputs_BT.clone()
        changed[:, place:] = ids(drawn(seed + 1), *changed[:, place:].shape)
        changed[:, place] = 5 + (words.inputs_BT[:, place] - 4) % 4  # another word for sure
        found = _logits(built, replace(words, inputs_BT=changed), training)
        real = shape.mask()[:, :place]
        yield place, gap(found[:, :place][real], wanted[:, :place][real])


def neighbours(role: str, spec: Part, seed: int) -> None:
    shape = Shape((3, 2))
    for family, built in networks(role, spec, seed):
        declared = any(getattr(inner, "sees_batch", False) for inner in built.modules())
        for training in MODES:
            if declared and training:
                continue
            words = batch(family, shape, seed)
            alone = Batch(*(None if value is None else value[:1] for value in vars(words).values()))
            found = kept(family, Shape((3,)), _logits(built, alone, training))
            whole = _logits(built, words, training)
            wanted = whole[:1] if family == "encoder" else whole[:1, :3][Shape((3,)).mask()]
            said = "the output of a sequence moved when its neighbour in the batch was taken away"
            demand_same(found, wanted, said, f"{family}, {shape}, {mode(training)}")


def gradients(role: str, spec: Part, seed: int) -> None:
    for family, built in networks(role, spec, seed):
        built.train()
        weigh(kept(family, LARGEST, built(batch(family, LARGEST, seed))), seed).backward()
        blind = family == "encoder_decoder" and built.get_submodule("decoder.0").cross is None
        for name, parameter in built.named_parameters():
            if blind and name.startswith("encoder."):
                continue  # a decoder without a cross mixer reads no source
            if parameter.grad is None or not bool(parameter.grad.abs().max() > 0):
                raise Broken(f"no gradient reaches {name}", f"{family}, {LARGEST}")
            demand_finite(parameter.grad, f"the gradient of {name}", f"{family}, {LARGEST}")


def step_by_step(role: str, spec: Part, seed: int) -> None:
    for family, built in networks(role, spec, seed):
        if family == "encoder":
            continue
        built.eval()
        for shape in (Shape((1,)), Shape((2,)), Shape((4, 4))):
            words = batch(family, shape, seed)
            assert words.inputs_BT is not None
            with torch.no_grad():
                wanted, state = built(words), built.begin(words)
                for place in range(shape.longest):
                    found = built.step(words.inputs_BT[:, place], place, state)
                    example = f"{family}, {shape}, at token {place}"
                    demand_same(found, wanted[:, place], "written step by step the logits are others", example)


def saved_and_loaded(role: str, spec: Part, seed: int) -> None:
    for (family, first), (_, second) in zip(networks(role, spec, seed), networks(role, spec, seed + 1), strict=True):
        words = batch(family, LARGEST, seed)
        load(first, second)
        wanted, found = _logits(first, words, False), _logits(second, words, False)
        demand_same(found, wanted, "a network that was given the saved state of another differs from it", family)


def half_precision(role: str, spec: Part, seed: int) -> None:
    for family, built in networks(role, spec, seed):
        single = built.float().eval()
        words = batch(family, LARGEST, seed)
        wanted = kept(family, LARGEST, single(words)).detach()
        with torch.autocast("cpu", torch.bfloat16):
            found = kept(family, LARGEST, single(words))
        demand_finite(found, "the logits in bfloat16", family)
        moved = gap(found.float(), wanted)
        if moved > 3 * NEAR * (1 + float(wanted.abs().max())):
            raise Broken(f"in bfloat16 the logits differ from float32 by {moved:.3g}", family)
        found.float().square().sum().backward()
        for name, parameter in single.named_parameters():
            if parameter.grad is not None:
                demand_finite(parameter.grad, f"the gradient of {name} in bfloat16", family)


def compiled(role: str, spec: Part, seed: int, backend: str) -> None:
    """A whole network; slow, so it is asked of a few parts only."""
    for family, built in networks(role, spec, seed):
        torch._dynamo.reset()
        words = batch(family, LARGEST, seed)
        wanted = kept(family, LARGEST, copy.deepcopy(built)(words))
        with quiet():
            found = kept(family, LARGEST, torch.compile(built, backend=backend)(words))
        demand_same(found, wanted, "compiled it gives other logits", family, tolerance=1e-7)


def reordering(role: str, spec: Part, seed: int) -> tuple[float, str]:
    """How far the outputs of a reordered input are from the reordered outputs, in an encoder in evaluation."""
    plan = architecture(role, spec, "encoder")
    if plan is None:
        raise DoesNotApply("does not fit in an encoder")
    if role != "position" and plan.encoder is not None:
        without = plan.encoder.model_copy(update={"position": spec_class("position", "none")()})
        plan = plan.model_copy(update={"encoder": without})
    encoder = network(plan, seed).get_submodule("encoder").eval()
    worst, example = 0.0, ""
    for length in (2, 3, 5):
        generator = drawn(seed)
        words = ids(generator, 1, length)
        words[0, 0] = 5 + (words[0, 1] - 4) % 4
        order = torch.arange(length).roll(1)
        with torch.no_grad():
            straight = encoder(words, Tokens.of(words, None))[:, order]
            moved = gap(encoder(words[:, order], Tokens.of(words, None)), straight)
        if moved > worst:
            worst, example = moved, example or f"encoder, 1 sequence of {length} tokens"
    return worst, example


# Sentence -> function of (role, spec, seed).
SENTENCES: dict[str, Callable[[str, Part, int], None]] = {
    "it changes the output of a network": changes_the_output,
    "in a network, padding moves no kept output": padding,
    "in a network, no token sees a later one, except as declared": no_look_ahead,
    "in a network, no sequence sees another, except as declared": neighbours,
    "in a network, every parameter gets a gradient": gradients,
    "in a network, step by step equals all at once": step_by_step,
    "in a network, its state saves and loads": saved_and_loaded,
    "in a network, bfloat16 is finite and near float32": half_precision,
}


def promises(role: str) -> tuple[Promise, ...]:
    """The promises of a part in a network, asked of those of a family."""

    def bound(function: Callable[[str, Part, int], None]) -> Callable[[Part, int], None]:
        def ask(spec: Part, seed: int) -> None:
            if all(architecture(role, spec, family) is None for family in FAMILIES):
                raise DoesNotApply("fits in no small network")
            function(role, spec, seed)

        return ask

    return tuple(Promise(name, bound(function)) for name, function in SENTENCES.items())
