"""Attention by the fused kernel and by the reference path: output and gradients have to be equal."""

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.mixer import Memory, Mixer
from paribus.parts.score import Score
from paribus.promises.any_module import weigh
from paribus.promises.building import WIDTH
from paribus.promises.examples import SHAPES, Shape, drawn, gap, noise
from paribus.promises.promise import DoesNotApply
from paribus.promises.using import NO_POSITION, Stand, source, stands

# Absolute in float64; in float32 for each unit of one plus the largest score.
ALLOWED = {torch.float64: 1e-10, torch.float32: 1e-5}


def fused_and_not(spec: Part, seed: int) -> None:
    fuses = [stand for stand in stands(spec) if getattr(stand.build(spec, seed), "fuses", False)]
    if not fuses:
        raise DoesNotApply("no fused form with these scores and weights")
    for stand in fuses:
        for dtype, allowed in ALLOWED.items():
            for shape in SHAPES:
                mixer = stand.build(spec, seed).to(dtype)
                largest: list[float] = []
                seen = getattr(mixer, "score", None)
                if isinstance(seen, Score):
                    seen.register_forward_hook(
                        lambda _m, _i, scores, to=largest: to.append(float(scores.detach().abs().max()))
                    )
                fused, plain = (_results(mixer, stand, shape, seed, dtype, fuses=way) for way in (True, False))
                room = allowed if dtype is torch.float64 else allowed * (1 + max(largest, default=0.0))
                for name, one in fused.items():
                    moved = gap(one, plain[name])
                    if moved > room * (1 if dtype is torch.float64 else max(1.0, float(plain[name].abs().max()))):
                        raise Broken(
                            f"the {name} differs by {moved:.3g} fused and not", f"{shape}, {stand.name}, {dtype}"
                        )


def _results(
    mixer: Mixer, stand: Stand, shape: Shape, seed: int, dtype: torch.dtype, *, fuses: bool
) -> dict[str, Tensor]:
    """Output and gradients of real tokens."""
    mixer.fuses = fuses  # type: ignore[assignment]
    generator = drawn(seed)
    x = noise(generator, shape.batch, shape.longest, WIDTH, dtype=dtype).requires_grad_()
    read, tokens = source(generator, shape)
    memory = Memory(read.to(dtype).requires_grad_(), tokens) if stand.place == "cross" else None
    mixer.zero_grad()
    output = mixer(x, shape.tokens(), memory, NO_POSITION)[shape.mask()]
    weigh(output, seed).backward()
    assert x.grad is not None
    found = {"output": output.detach(), "gradient of the input": x.grad}
    if memory is not None and memory.values_BSC.grad is not None:
        found["gradient of the memory"] = memory.values_BSC.grad
    gradients = {name: p.grad.clone() for name, p in mixer.named_parameters() if p.grad is not None}
    return found | {f"gradient of {name}": gradient for name, gradient in gradients.items()}
