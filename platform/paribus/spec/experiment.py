"""Everything that a file can say about one experiment."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import AnyDecoding, AnyTask, AnyTracker, Strict, default
from paribus.spec.analysis import Analysis
from paribus.spec.claims import Claim
from paribus.spec.machine import Machine
from paribus.spec.network import Network
from paribus.spec.override import Leaf, Open, PartOf, Shaped, Slot
from paribus.spec.training import Training
from paribus.spec.tuning import Tuning

RESERVED = ("baseline", "source")
MOST_SEEDS = 100_000  # above are the seeds of tunings and confirmations
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"


def _name(value: object) -> str:
    if isinstance(value, str) and len(value) <= 100 and re.fullmatch(NAME, value):
        return value
    message = f"got {shown(value)}, needs 1 to 100 of a-z, A-Z, 0-9, - and _, the first a letter or a digit"
    raise PydanticCustomError("name", "{message}", {"message": message})


def _seeds(value: object) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(1, value + 1))
    if isinstance(value, list) and value:
        wrong = [
            item for item in value if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= MOST_SEEDS
        ]
        if not wrong and len(set(value)) == len(value):
            return value
    message = (
        f"got {shown(value)}, needs a number of seeds, or a list of different whole numbers from 0 to {MOST_SEEDS}"
    )
    raise PydanticCustomError("seeds", "{message}", {"message": message})


def _paths(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    message = f"got {shown(value)}, needs the path of a file, or a list of paths"
    raise PydanticCustomError("paths", "{message}", {"message": message})


_NAME_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_WHOLE_OR_LIST = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "integer"}}]}
Name = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME})]
Seeds = Annotated[list[int], PlainValidator(_seeds), WithJsonSchema(_WHOLE_OR_LIST)]
Paths = Annotated[list[str], PlainValidator(_paths), WithJsonSchema(_NAME_OR_LIST)]


class _Tasks(Shaped):
    def slot(self) -> Slot:
        return Open(PartOf("task", None))


class _Arms(Shaped):
    def slot(self) -> Slot:
        return Open(Open(Leaf()))


class Fraction(Strict):
    """The smallest regular part of a two-level grid."""

    of: dict[str, list[Any]] = Field(description="{dotted key: [one value, another]}")
    resolution: int = Field(
        4,
        ge=3,
        le=12,
        description="3: main effects clear of each other; 4: of pairs too; 5: pairs clear of each other",
    )


def _orders(value: object) -> int | str:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000):
        return value
    message = f"got {shown(value)}, needs all, or a number of orders from 1 to 10000"
    raise PydanticCustomError("orders", "{message}", {"message": message})


class PathTo(Strict):
    """Every way from one arm to another, change by change."""

    to: str = Field(description="the arm where it ends; it starts from the baseline, or `from` beside `path`")
    orders: Annotated[
        Any,
        PlainValidator(_orders),
        WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "integer", "minimum": 1, "maximum": 10_000}]}),
    ] = Field("all", description="all, up to 6 changes; or how many orders are drawn")


class Vary(Strict):
    """A generator of arms: each value alone, or every combination."""

    one_at_a_time: dict[str, list[Any]] | None = Field(None, description="{dotted key: values}: each value is an arm")
    grid: dict[str, list[Any]] | None = Field(None, description="{dotted key: values}: each combination is an arm")
    fraction: Fraction | None = Field(None, description="two-level fractional factorial")
    leave_one_out: str | None = Field(None, description="an arm: all its changes but one, for each of them")
    path: PathTo | None = Field(None, description="the changes between two arms, in all orders or some")
    start: str = Field("baseline", alias="from", description="the arm that the changes are made on")

    @model_validator(mode="after")
    def _one_generator(self) -> Self:
        names = ("one_at_a_time", "grid", "fraction", "leave_one_out", "path")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            message = f"needs exactly one of {', '.join(names)}; got {' and '.join(given) or 'none of them'}"
            raise PydanticCustomError("generator", "{message}", {"message": message})
        return self


class Headline(Strict):
    """What a report reads from a file; none of it needs a part."""

    name: Name | None = Field(None, description="names the folder under reports/; letters, digits, - and _")
    question: str = Field("", description="what the experiment asks, in one sentence")
    analysis: Analysis = Field(Analysis(), description="how results are compared")
    claims: list[Claim] = Field([], description="sentences with expected verdicts")


class Experiment(Headline):
    """One file, with `extends` and `--set` applied."""

    extends: Paths = Field([], description="files that this one changes; later ones win")
    task: AnyTask | None = Field(None, description="what is learned")
    tasks: Annotated[dict[Name, AnyTask] | None, _Tasks()] = Field(None, description="{NAME: task}: every arm on each")
    network: Network = Field(default_factory=Network, description="the baseline's network")
    training: Training = Field(default_factory=Training, description="the baseline's recipe")
    decoding: AnyDecoding = Field(default_factory=default("decoding", "greedy"), description="how outputs are written")
    arms: Annotated[dict[Name, dict[str, Any]], _Arms()] = Field({}, description="{NAME: {dotted key: value}}")
    vary: list[Vary] = Field([], description="generators of arms")
    floors: list[Literal["majority", "ngram", "uniform", "random_network"]] = Field(
        [],
        description="untrained reference rows: the commonest label, or token at each place; each token from the two "
        "before it; chance; the baseline's network as it starts",
    )
    seeds: Seeds = Field([1, 2, 3, 4, 5], description="a number n for 1..n, or a list")
    tuning: Tuning | None = Field(None, description="a search for the best settings of every arm, or over all")
    tracking: AnyTracker | None = Field(None, description="a tracker to copy results to; null: none")
    machine: Machine = Field(Machine(), description="where and how runs happen")

    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("task", "tasks"),)
