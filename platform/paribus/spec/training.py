"""How every arm is trained: budget, batches, optimizer, schedule, evaluation and selection."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, PositiveFloat, PositiveInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import AnyOptimizer, AnySchedule, Strict, default


def _exactly_one(model: Strict, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        got = f"got {' and '.join(given)}" if given else "got none of them"
        message = f"needs exactly one of {', '.join(names)}; {got}"
        raise PydanticCustomError("alternatives", "{message}", {"message": message})


class Batch(Strict):
    """How much one micro-batch holds."""

    examples: PositiveInt | None = Field(None, description="examples in a batch")
    tokens: PositiveInt | None = Field(None, description="real source and target tokens in a batch, at most")

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("examples", "tokens"),)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        _exactly_one(self, ("examples", "tokens"))
        return self


def _share_or_steps(value: object) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value
    message = f"got {shown(value)}, needs a share of the budget above 0 and up to 1.0, or a whole number of steps"
    raise PydanticCustomError("share", "{message}", {"message": message})


ShareOrSteps = Annotated[
    float | int,
    PlainValidator(_share_or_steps),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {"type": "integer", "minimum": 1}]}
    ),
]


class Evaluate(Strict):
    """When validation is looked at, and on how much of it."""

    every: ShareOrSteps = Field(0.1, description="share of the budget, or steps; always at the end too")
    examples: PositiveInt = Field(500, description="of the validation split, from its start")


class EarlyStop(Strict):
    patience: PositiveInt = Field(description="evaluations without a better value before training ends")


class Match(Strict):
    """What makes arms as large, or as costly, as the baseline."""

    on: Literal["parameters", "flops"] = Field("parameters", description="what should be equal; flops: for each token")
    by: str = Field("network.feedforward.width", description="the whole number that is changed, a dotted key")
    tolerance: PositiveFloat = Field(0.02, description="how far from the baseline's, as a share, counts as equal")


class Training(Strict):
    """The recipe; the same for every arm unless the arm says otherwise."""

    steps: PositiveInt | None = Field(1000, le=10**12, description="budget in optimizer steps")
    tokens: PositiveInt | None = Field(None, le=10**18, description="budget in real source and target tokens")
    flops: PositiveFloat | None = Field(None, description="budget in FLOPs of the forward passes")
    batch: Batch = Field(Batch(examples=64), description="size of a micro-batch")
    accumulate: PositiveInt = Field(1, description="micro-batches in a step")
    optimizer: AnyOptimizer = Field(
        default_factory=default("optimizer", "adam"), description="how gradients become steps"
    )
    schedule: AnySchedule = Field(default_factory=default("schedule", "cosine"), description="how the rate moves")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="in the training loss only")
    clip_norm: PositiveFloat | None = Field(1.0, description="greatest norm of a gradient; null: no limit")
    evaluate: Evaluate = Field(Evaluate(), description="looks at validation")
    select: Literal["best", "last"] = Field("best", description="which checkpoint is tested")
    monitor: str = Field("loss", description="metric on validation that selects; the first wins a tie")
    early_stop: EarlyStop | None = Field(None, description="end before the budget is spent; equal budgets are the rule")
    match: Match | None = Field(None, description="adds arms NAME:matched, made as large as the baseline")

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("steps", "tokens", "flops"),)

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        _exactly_one(self, ("steps", "tokens", "flops"))
        return self

    def identity(self) -> dict[str, Any]:
        """Without `match`: it makes arms, and says nothing of how one is trained."""
        return {**super().identity(), "match": None}

    @property
    def unit(self) -> str:
        """Of the budget: steps, tokens or flops."""
        return next(name for name in ("steps", "tokens", "flops") if getattr(self, name) is not None)

    @property
    def budget(self) -> float:
        return float(getattr(self, self.unit))
