"""Sentences with the verdict that their author expects. Read by reports without torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, PositiveFloat, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import Strict

Direction = Literal["max", "min", ""]

# What is stored of a run besides the metrics of its task: where it stands, and which way is good, if any.
MEASURES: dict[str, Direction] = {
    "speed": "max",
    "seconds": "min",
    "memory": "min",
    "parameters": "",
    "parameters_without_embeddings": "",
    "flops_per_token": "",
    "logit_spread": "",
    "attention_entropy": "",
    "gradient_norm": "",
    "entropy": "",
    "distance": "",
    "distance_without_first": "",
    "diagonal": "",
    "previous": "",
    "first": "",
}
PROBED = ("logit_spread", "attention_entropy", "gradient_norm")  # at the first step and the last
PROBES = ("last_step", "first_step")


def _pair(value: object) -> list[str]:
    if isinstance(value, list) and len(value) == 2 == len(set(map(str, value))):
        return [str(name) for name in value]
    message = f"got {shown(value)}, needs two different arms, such as [baseline, gru]"
    raise PydanticCustomError("series", "{message}", {"message": message})


Pair = Annotated[
    list[str],
    PlainValidator(_pair),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
]


class Crossing(Strict):
    """Where the curves of two arms over a setting meet."""

    x: str = Field(description="a dotted key with numbers, such as task.training_examples")
    series: Pair = Field(description="two arms; a series is the cells equal to that arm except in x")


class Claim(Strict):
    """What somebody expects, said before the runs."""

    arm: str | None = Field(None, description="the arm that the claim is about")
    against: str = Field("baseline", description="the arm that it is compared with")
    crossing: Crossing | None = Field(None, description="instead of an arm: two curves that should meet")
    task: str | None = Field(None, description="null: every task")
    metric: str | None = Field(
        None, description="null: that of the analysis; or a metric of the task, or another stored number such as speed"
    )
    split: str | None = Field(None, description="null: that of the analysis")
    smallest_effect: PositiveFloat | None = Field(None, description="null: that of the analysis, for its metric")
    expect: Literal["better", "worse", "equivalent", "not_worse", "different", "higher", "lower", "exists"] = Field(
        description="better, worse, equivalent, not_worse or different; higher or lower where neither way is good; "
        "exists for a crossing"
    )
    text: str = Field("", description="the claim in one sentence")

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.arm is None) == (self.crossing is None):
            raise _wrong("needs either `arm` or `crossing`")
        if (self.crossing is not None) != (self.expect == "exists"):
            raise _wrong("`expect: exists` is for a `crossing`, and the only thing that one can do")
        return self


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("claim", "{message}", {"message": message})
