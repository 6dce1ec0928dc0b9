"""What schedules promise."""

from collections.abc import Iterator
from itertools import pairwise

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.schedule import ScheduleSpec
from paribus.promises.promise import DoesNotApply, promise

BUDGETS = (2, 10, 100)


def factors(spec: Part, budget: int) -> list[float]:
    assert isinstance(spec, ScheduleSpec)
    return [spec.factor(step, step + 1, budget) for step in range(budget)]


def fitting(spec: Part) -> Iterator[tuple[int, int]]:
    """Budgets that leave room for the warm-up, and how many steps that has."""
    if not isinstance(spec, ScheduleSpec):
        raise Broken("its Spec does not derive from paribus.parts.schedule.ScheduleSpec")
    found = [(budget, int(spec.rise(budget))) for budget in BUDGETS if spec.rise(budget) < budget]
    rise = int(spec.rise(0)) if not found else 0
    yield from found or [(2 * rise + 10, rise)]


@promise("the rate is above zero at every step, and never above its peak")
def positive(spec: Part, seed: int) -> None:
    for budget, _ in fitting(spec):
        for step, factor in enumerate(factors(spec, budget)):
            if not 0 < factor <= 1 + 1e-12:
                raise Broken(f"the factor at step {step + 1} is {factor:.3g}, needs 0 to 1", f"{budget} steps")


@promise("a warm-up rises from near zero to the peak")
def warms_up(spec: Part, seed: int) -> None:
    for base in (spec.model_copy(update={"warmup": share}) for share in (0.5, 8)):
        budget = 20
        assert isinstance(base, ScheduleSpec)
        rise = int(base.rise(budget))
        found = factors(base, budget)[:rise]
        if not found[0] <= 1.5 / rise:
            raise Broken(f"the first factor is {found[0]:.3g}", f"a warm-up of {rise} of {budget} steps")
        for step, (one, other) in enumerate(pairwise(found)):
            if not other > one:
                seen = f"the factor does not rise from step {step + 1} to {step + 2}: {one:.3g}, {other:.3g}"
                raise Broken(seen, f"a warm-up of {rise} of {budget} steps")
        if abs(found[-1] - 1) > 1e-9:
            raise Broken(f"the warm-up ends at {found[-1]:.3g} of the peak", f"{rise} of {budget} steps")


@promise("after the warm-up the rate never rises")
def then_falls(spec: Part, seed: int) -> None:
    for budget, rise in fitting(spec):
        for step, (one, other) in enumerate(pairwise(factors(spec, budget)[rise:]), start=rise + 1):
            if other > one + 1e-12:
                raise Broken(f"the factor rises from {one:.3g} to {other:.3g} after step {step}", f"{budget} steps")


@promise("it hangs on what is spent, not on the unit")
def unit_free(spec: Part, seed: int) -> None:
    if not isinstance(getattr(spec, "warmup", None), float) or not getattr(spec, "warmup", 0):
        raise DoesNotApply("its warm-up is counted in the unit of the budget")
    assert isinstance(spec, ScheduleSpec)
    for budget in BUDGETS:
        for step in range(budget):
            one = spec.factor(step, step + 1, budget)
            other = spec.factor(64 * step, 64 * (step + 1), 64 * budget)
            if abs(one - other) > 1e-9:
                raise Broken(
                    f"the factor is {one:.4g} in steps and {other:.4g} in tokens", f"step {step + 1} of {budget}"
                )


PROMISES = (positive, warms_up, then_falls, unit_free)
