"""How results are compared: metric, split, level, correction. Read by reports without torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, PositiveInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import Strict


def _metric(value: object) -> str | dict[str, str] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and all(isinstance(name, str) for pair in value.items() for name in pair):
        return value
    message = f"got {shown(value)}, needs the name of a metric, or a mapping of task to metric"
    raise PydanticCustomError("metric", "{message}", {"message": message})


def _effect(value: object) -> Any:
    if value is None or _positive(value):
        return value
    if isinstance(value, dict) and value and all(_positive(item) for item in value.values()):
        return value
    message = f"got {shown(value)}, needs a number above 0, {{relative: 0.01}}, or a mapping of task to number"
    raise PydanticCustomError("effect", "{message}", {"message": message})


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e300


MetricChoice = Annotated[
    Any,
    PlainValidator(_metric),
    WithJsonSchema(
        {"anyOf": [{"type": ["string", "null"]}, {"type": "object", "additionalProperties": {"type": "string"}}]}
    ),
]
Effect = Annotated[
    Any,
    PlainValidator(_effect),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "null"},
                {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
            ]
        }
    ),
]


def _reference(value: object) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(value.get("source", ""), str):
        arms = [item for name, item in value.items() if name != "source"]
        if all(isinstance(arm, dict) and all(_number(number) for number in arm.values()) for arm in arms):
            return value
    message = f"got {shown(value)}, needs {{ARM: {{metric: number}}, source: text}}"
    raise PydanticCustomError("reference", "{message}", {"message": message})


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


Reference = Annotated[dict[str, Any], PlainValidator(_reference), WithJsonSchema({"type": "object"})]


class Analysis(Strict):
    """Never part of a run: changing it trains nothing."""

    metric: MetricChoice = Field(None, description="null: the task's main metric; or a name, or {TASK: name}")
    split: str = Field("test", description="test, or another split of the task such as test_longer")
    smallest_effect: Effect = Field(
        None, description="in the metric's unit; without it nothing can be called equivalent"
    )
    secondary: list[str] = Field([], description="more metrics, marked exploratory")
    alpha: float = Field(0.05, ge=1e-9, lt=0.5, description="risk of one false claim among all arms")
    correction: Literal["holm", "bh", "none"] = Field("holm", description="for the number of arms")
    comparisons: Literal["baseline", "all"] = Field("baseline", description="what is compared with what")
    pairing: Literal["seed", "none"] = Field("seed", description="what makes a pair")
    variance: Literal["per_arm", "pooled"] = Field("per_arm", description="whose spread is used")
    min_pairs: int = Field(3, ge=2, description="fewer pairs are insufficient for a verdict")
    unstable_failure_rate: float = Field(
        0.3333333, gt=0, le=1, description="share of failed runs that makes an arm unstable"
    )
    looks: PositiveInt = Field(1, le=1000, description="how often the seeds may be raised; alpha is split")
    reference: Reference = Field({}, description="published numbers to print beside rows")

    @model_validator(mode="after")
    def _pooled_by_seed(self) -> Self:
        if self.variance == "pooled" and self.pairing == "none":
            message = "`variance: pooled` takes the seed out of all arms, so it needs `pairing: seed`"
            raise PydanticCustomError("pooled", "{message}", {"message": message})
        return self

    @property
    def alpha_a_look(self) -> float:
        """What each look at the results may spend of alpha."""
        return self.alpha / self.looks

    def metric_of(self, task: str, main: str) -> str:
        """The metric that decides on a task."""
        if isinstance(self.metric, dict):
            return str(self.metric.get(task, main))
        return self.metric or main

    def effect_of(self, task: str, baseline_mean: float) -> float | None:
        """The smallest effect that matters on a task, in the metric's unit."""
        effect = self.smallest_effect
        if isinstance(effect, dict):
            if "relative" in effect:
                return abs(float(effect["relative"]) * baseline_mean)
            effect = effect.get(task)
        return None if effect is None else float(effect)
