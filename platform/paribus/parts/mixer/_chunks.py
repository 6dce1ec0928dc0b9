"""Attention for a few queries at a time, computed again in the backward pass, so that no number for each pair outlives its chunk.

Nothing is allocated between two chunks: what torch's checkpoint keeps of each one cuts the freed memory of the one
before into holes just too small for the next, and the process grows with the square of the length after all.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

# Rows of the queries, then q, k, v and the bias for those rows; gives (B,H,Q,V).
Run = Callable[[slice, Tensor, Tensor, Tensor, Tensor | None], Tensor]


def in_chunks(
    run: Run, size: int, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, parameters: Sequence[Tensor]
) -> Tensor:
    """What `run` gives for all queries; `parameters` are what else it hangs on."""
    mixed: Tensor = _Chunks.apply(run, size, q, k, v, bias, *parameters)  # type: ignore[no-untyped-call]
    return mixed


class _Chunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, run: Run, size: int, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *parameters: Tensor
    ) -> Tensor:
        ctx.run, ctx.size = run, size
        ctx.autocast = _autocast(q.device)
        ctx.random = _random(q.device)
        ctx.save_for_backward(q, k, v, bias, *parameters)
        mixed: Tensor | None = None
        for rows in _rows(q, size):
            some = run(rows, q[:, :, rows], k, v, None if bias is None else bias[:, :, rows])
            if mixed is None:
                mixed = some.new_empty(*q.shape[:3], some.shape[3])
            mixed[:, :, rows] = some
        assert mixed is not None
        return mixed

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, *parameters = ctx.saved_tensors
        needs = ctx.needs_input_grad[2:]
        found = [torch.zeros_like(given) if need else None
                 for given, need in zip((q, k, v, bias, *parameters), needs, strict=True)]  # fmt: skip
        k, v = (given.detach().requires_grad_(need) for given, need in zip((k, v), needs[1:3], strict=True))
        devices = [q.device] if q.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.enable_grad(), ctx.autocast():
            _start(ctx.random, q.device)  # the same weights are dropped as forward
            for rows in _rows(q, ctx.size):
                some_q = q[:, :, rows].detach().requires_grad_(needs[0])
                some_bias = None if bias is None else bias[:, :, rows].detach().requires_grad_(needs[3])
                inputs = (some_q, k, v, some_bias, *parameters)
                wanted = [given for given, need in zip(inputs, needs, strict=True) if need]
                mixed = ctx.run(rows, some_q, k, v, some_bias)
                gradients = iter(torch.autograd.grad(mixed, wanted, upstream[0][:, :, rows], allow_unused=True))
                for index, total in enumerate(found):
                    gradient = next(gradients) if total is not None else None
                    if total is not None and gradient is not None:
                        (total[:, :, rows] if index in (0, 3) else total).add_(gradient)
        return (None, None, *found)


def _rows(q: Tensor, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, q.shape[2], size)]


def _autocast(device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """Makes the state that autocast is in."""
    dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
    return lambda: torch.autocast(device.type, dtype, enabled)


def _random(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _start(state: Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
