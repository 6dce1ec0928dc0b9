"""How settings are searched for: the same trials, pruning and space for every arm, or one search over all."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PlainValidator, PositiveInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import Strict
from paribus.spec.machine import Duration
from paribus.spec.override import Group, Open, Shaped, Slot

TRIALS = 20
FIRST_SEED = 1_000_001  # of trials
COSTS = {"parameters": "parameters", "flops": "FLOPs per token", "seconds": "seconds"}  # and what pages call them
MAIN = "metric"  # stands for the metric that the analysis compares


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("range", "{message}", {"message": message})


def _number(value: object) -> float | int | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")):
        return value
    raise _wrong(f"got {shown(value)}, needs a number")


Number = Annotated[
    float | int | None,
    PlainValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]}),
]


class Range(Strict):
    """The values that a search may give to one key."""

    low: Number = Field(None, description="smallest value; two whole numbers make a whole-number range")
    high: Number = Field(None, description="largest value")
    log: bool = Field(False, description="search on a logarithmic scale")
    step: Number = Field(None, description="distance between values; left out: any value")
    choices: list[Any] | None = Field(None, description="values or parts to choose from")
    when: dict[str, Any] = Field({}, description="{key of the space: value or values}: asked for with these only")

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("low", "choices"), ("high", "choices"))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.choices is not None:
            self._check_choices(self.choices)
        else:
            self._check_bounds()
        return self

    def _check_choices(self, choices: list[Any]) -> None:
        beside = [name for name in ("low", "high", "step") if getattr(self, name) is not None]
        if beside or self.log:
            raise _wrong(f"has choices and {' and '.join(beside or ['log'])}; needs either choices or low and high")
        if len(choices) < 2:
            raise _wrong(
                f"got {'one choice' if choices else 'no choice'}, needs at least two; a single value is no search: "
                "write it where it belongs, or in an arm"
            )
        texts = [shown(choice) for choice in choices]
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise _wrong(f"names the choice {twice} twice; needs different ones")

    def _check_bounds(self) -> None:
        if self.low is None or self.high is None:
            lacking = [name for name in ("low", "high") if getattr(self, name) is None]
            raise _wrong(f"lacks {' and '.join(lacking)}; needs low and high, or choices")
        if not self.low < self.high:
            raise _wrong(f"got low {shown(self.low)} and high {shown(self.high)}, needs low below high")
        if self.log and not self.low > 0:
            raise _wrong(f"got low {shown(self.low)} with log: true, needs low above 0, or log: false")
        if self.step is not None and self.log:
            raise _wrong("has step and log; needs one of them")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise _wrong(
                f"got step {shown(self.step)}, needs a number above 0 and at most {shown(self.high - self.low)}"
            )
        if self.whole and self.step is not None and not isinstance(self.step, int):
            raise _wrong(f"got step {shown(self.step)} between whole numbers, needs a whole number")

    @property
    def whole(self) -> bool:
        """Whether the range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def points(self) -> list[Any] | None:
        """All values, or None where they cannot be counted."""
        if self.choices is not None:
            return list(self.choices)
        assert self.low is not None and self.high is not None
        if self.whole and not self.log:
            return list(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            return None
        count = int((self.high - self.low) / self.step + 1e-9)
        return [self.low + index * self.step for index in range(count + 1)]

    def ends(self) -> list[Any]:
        """The values that a check looks at: all choices, or both bounds."""
        return [self.low, self.high] if self.choices is None else list(self.choices)


class _Space(Shaped):
    def slot(self) -> Slot:
        return Open(Group(Range))


def _validation_only(value: object) -> str:
    if value == "validation":
        return "validation"
    raise _wrong(
        f"got {shown(value)}, but a search may look at validation only, since the comparison is made on test; leave "
        "this key out"
    )


class Tuning(Strict):
    """A search by Optuna, before the runs of the comparison."""

    scope: Literal["arm", "experiment"] = Field(
        "arm", description="arm: every arm gets a search of its own, baseline included; experiment: one search over all"
    )
    trials: PositiveInt | None = Field(
        None, le=100_000, description=f"for every arm; left out: {TRIALS}, or all points of a grid"
    )
    seeds: PositiveInt = Field(1, le=1000, description="runs per trial, of which the mean counts")
    sampler: Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"] = Field("tpe", description="who proposes trials")
    seed: NonNegativeInt = Field(0, description="of the sampler; each arm and each trial has its own derived from it")
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = Field(
        "none", description="what breaks off trials early; median and hyperband need seeds: 1, wilcoxon at least 2"
    )
    order: Literal["free", "fixed"] = Field(
        "free", description="fixed: trials go in batches, so that any number of workers gives the same ones"
    )
    batch: PositiveInt = Field(4, description="trials that are proposed together with order: fixed")
    objectives: list[str] | None = Field(
        None, description="scope experiment: a metric (`metric` is the main one), and parameters, flops or seconds"
    )
    confirm: PositiveInt = Field(3, description="scope experiment: how many of the best run again on fresh seeds")
    part_ranges: bool = Field(
        False, description="add the ranges that parts carry; arms may then differ, and it is told"
    )
    space: Annotated[dict[str, Range], _Space()] = Field({}, description="{dotted key: range}")
    split: Annotated[str, PlainValidator(_validation_only), WithJsonSchema({"const": "validation"})] = Field(
        "validation", description="what trials are judged on"
    )
    time_limit: Duration = Field(
        None, description="for the search of one arm; gives slow arms fewer trials, so it needs unequal: true"
    )
    unequal: bool = Field(False, description="allow a time limit, which the report then flags")

    @property
    def wanted(self) -> int:
        return self.trials or TRIALS


def holds(when: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    """Whether the conditions of a range are met by what was chosen so far."""
    for key, wanted in when.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if key not in chosen or shown(chosen[key]) not in [shown(value) for value in values]:
            return False
    return True
