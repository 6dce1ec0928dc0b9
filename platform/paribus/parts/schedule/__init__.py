"""How the learning rate moves: how much of the budget is spent gives a factor on the peak rate."""

from abc import abstractmethod
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import Part


def _share_or_count(value: object) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**18:
        return value
    if isinstance(value, float) and 0 <= value < 1:
        return value
    message = f"got {shown(value)}, needs a share of the budget from 0 to below 1, or a whole number in its unit"
    raise PydanticCustomError("share", "{message}", {"message": message})


ShareOrCount = Annotated[
    float | int,
    PlainValidator(_share_or_count),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"type": "integer", "minimum": 0}]}
    ),
]


class ScheduleSpec(Part):
    warmup: ShareOrCount = Field(
        0.1, description="linear rise at the start: a share of the budget, or a whole number in its unit"
    )

    def rise(self, budget: float) -> float:
        """The warm-up in the unit of the budget."""
        return self.warmup * budget if isinstance(self.warmup, float) else float(self.warmup)

    def factor(self, before: float, after: float, budget: float) -> float:
        """Of the peak rate, for a step that takes what is spent of the budget from `before` to `after`.

        The rise looks at `after` and a fall at `before`, so that neither the first nor the last step is lost to a zero.
        """
        rise = self.rise(budget)
        return after / rise if after < rise else self.later(before, after, rise, budget)

    @abstractmethod
    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        """The factor once the warm-up is over."""
