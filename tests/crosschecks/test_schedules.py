"""Schedules against the schedulers of torch and the formula of the paper."""

import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler

from paribus.parts import spec_class

STEPS = 40
SCHEDULERS = {
    "constant": lambda optimizer, steps: ConstantLR(optimizer, 1.0),
    "cosine": lambda optimizer, steps: CosineAnnealingLR(optimizer, steps),
    "linear": lambda optimizer, steps: LinearLR(optimizer, 1.0, 0.0, steps),
}


def rates(kind: str, steps: int) -> list[float]:
    """The rate of each step by torch, from a peak of one."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler: LRScheduler = SCHEDULERS[kind](optimizer, steps)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is stepped but the rate
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return found


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_falls_are_those_of_torch_once_the_warm_up_is_over(kind: str, warmup: int) -> None:
    schedule = spec_class("schedule", kind)(warmup=warmup)
    found = [schedule.factor(step, step + 1, STEPS) for step in range(STEPS)]
    rise = LinearLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), 1 / max(1, warmup), 1.0, max(1, warmup - 1))
    wanted = rates(kind, STEPS - warmup)
    assert found[warmup:] == pytest.approx(wanted, abs=1e-12)
    assert rise.get_last_lr()[0] == pytest.approx(found[0])
    assert found[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])


@pytest.mark.parametrize("width", [64, 512])
@pytest.mark.parametrize("warmup", [1, 40, 4000])
def test_inverse_sqrt_is_equation_3_of_the_paper_up_to_its_peak(warmup: int, width: int) -> None:
    schedule = spec_class("schedule", "inverse_sqrt")(warmup=warmup)

    def paper(step: int) -> float:
        return float(width**-0.5 * min(step**-0.5, step * warmup**-1.5))

    for step in (1, 2, 20, 40, 41, 400, 3999, 4000, 4001, 90_000):
        assert schedule.factor(step - 1, step, 100_000) == pytest.approx(paper(step) / paper(warmup))
