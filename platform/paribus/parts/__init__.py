"""Everything an arm can swap: a family is a folder, a kind is a file in it, a part is its Spec with settings.

The file name is the kind. A kind with a dot (`mylab.scores.tilted`) is an import path: a part can live in any package.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from paribus.errors import PartError, shown, suggestion

FAMILIES: dict[str, str] = {
    "score": "how well a query fits a key",
    "weights": "how scores become weights",
    "window": "how far a query sees",
    "position": "how the order of the tokens is told",
    "norm": "how activations are normalised",
    "mixer": "how tokens exchange information",
    "feedforward": "what happens to each token by itself",
    "initialisation": "how weight matrices start",
    "task": "what is learned",
    "decoding": "how outputs are written",
    "optimizer": "how gradients become steps",
    "schedule": "how the learning rate moves",
    "metric": "how outputs are judged",
    "tracker": "where results are copied to",
}


# Stands for a reference in the JSON Schema of a model; pydantic would look for its definition too early.
REFERENCE = "x-reference"


class Strict(BaseModel):
    """Settings that refuse unknown keys, silent conversions, NaN and change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    # Groups of fields of which one at most may be set; setting one by an override clears the others.
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()
    # Fields that follow others until they are set, so changes of them come last.
    late: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> dict[str, Any]:
        """What a run's id hashes: every field, but one that stands at the value that it is `neutral` at.

        A field added to a released part carries `Field(..., json_schema_extra={"neutral": value})`, so old ids stay.
        """
        found: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            extra = field.json_schema_extra
            if isinstance(extra, dict) and "neutral" in extra and extra["neutral"] == value:
                continue
            found[name] = _identity(value)
        return found

    @classmethod
    def settle(cls, tree: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
        """The tree as it must stand before `key` is changed to `value`."""
        return tree


def _identity(value: Any) -> Any:
    if isinstance(value, Strict):
        return value.identity()
    if isinstance(value, list):
        return [_identity(item) for item in value]
    return value


def default(family: str, kind: str) -> "Callable[[], Part]":
    """Makes the part with all its defaults when it is first needed, so that naming it imports nothing."""
    return lambda: spec_class(family, kind)()


@dataclass(frozen=True)
class Surroundings:
    """What a part may need to know of its place to say whether it fits there."""

    width: int
    place: str  # "self" or "cross" for a mixer, else the name of the field
    side: str  # "encoder" or "decoder"
    bidirectional: bool = False  # whether a mixer may read from both ends
    accumulate: int = 1
    devices: int = 1


@dataclass(frozen=True)
class Misfit:
    """One reason why a part does not fit; `needs` names the other keys of the network that the reason rests on."""

    field: str
    message: str
    needs: tuple[str, ...] = ()


class Part(Strict):
    """The settings of one swappable piece; `build` turns them into the thing itself."""

    # What the kind may let through that it should not ("future"), and what of its input it does not use.
    leaks: ClassVar[frozenset[str]] = frozenset()
    ignores: ClassVar[frozenset[str]] = frozenset()

    # How the work grows: B·, Q queries, K keys, D width of a head, T tokens, C width, and the part's own fields.
    cost: ClassVar[str] = ""
    # Kinds that can compute the same functions and why: always, or where a free matrix stands before query and key.
    same_as: ClassVar[Mapping[str, str]] = {}
    same_as_if_free: ClassVar[Mapping[str, str]] = {}

    @property
    def kind(self) -> str:
        return kind_of(type(self))

    @model_serializer(mode="wrap")
    def _with_kind(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **fields(self)}

    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().identity()}

    def misfits(self, around: Surroundings) -> Iterator[Misfit]:
        """Every reason why this part cannot act where it stands."""
        return iter(())

    def leaking(self) -> frozenset[str]:
        """What leaks with these settings."""
        return self.leaks

    def build(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.kind} has nothing to build")

    def make(self, **known: Any) -> Any:
        """What `build` gives: it asks by name for what it needs of all that is known of its place."""
        wanted = inspect.signature(self.build).parameters
        return self.build(**{name: value for name, value in known.items() if name in wanted})


def kind_of(spec: type[Part]) -> str:
    """The name by which YAML calls a Spec class."""
    package, _, name = spec.__module__.rpartition(".")
    return name if package.startswith("paribus.parts.") else spec.__module__


@cache
def kinds(family: str) -> tuple[str, ...]:
    """The names of all kinds in a family's folder, without importing any of them."""
    folder = Path(__file__).parent / family
    return tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))


def spec_class(family: str, kind: str) -> type[Part]:
    """The Spec of a kind, importing only its file; raises PartError with what would be right."""
    if "." in kind:
        return _outside(family, kind)
    if kind not in kinds(family):
        raise PartError(f"no {family} is called '{kind}'{suggestion(kind, kinds(family))}")
    found: type[Part] = importlib.import_module(f"paribus.parts.{family}.{kind}").Spec
    return found


def _outside(family: str, kind: str) -> type[Part]:
    from paribus.parts.families import misplaced

    spec = outside_spec(kind, f"mylab.{family}s.tilted")
    wrong = misplaced(family, spec)
    if wrong:
        raise PartError(wrong)
    return spec


def outside_spec(kind: str, example: str = "mylab.scores.tilted") -> type[Part]:
    """The Spec of a module, of whatever family; raises PartError with what would be right."""
    if any(not piece.isidentifier() for piece in kind.split(".")):
        raise PartError(f"'{kind}' is not an import path; needs a module such as '{example}'")
    try:
        module = importlib.import_module(kind)
    except ModuleNotFoundError as error:
        where = "beside the file, in the current folder and in the installed packages"
        raise PartError(f"cannot import '{kind}': {error}; looked {where}") from error
    except Exception as error:  # whatever a user's module raises while it is read
        raise PartError(f"importing '{kind}' failed with {type(error).__name__}: {error}") from error
    spec = getattr(module, "Spec", None)
    if not (isinstance(spec, type) and issubclass(spec, Part)):
        raise PartError(f"'{kind}' has no class `Spec` that derives from paribus.parts.Part")
    return spec


@dataclass(frozen=True)
class Swappable:
    """Marks a field that holds a part; `default` is the kind that a mapping without `kind` means."""

    family: str
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda part: part.model_dump()),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {REFERENCE: self.family}

    def validate(self, value: object) -> Part:
        if isinstance(value, Part):
            return value
        kind, fields = self.split(value)
        try:
            spec = spec_class(self.family, kind)
        except PartError as error:
            raise PydanticCustomError("kind", "{message}", {"message": str(error)}) from error
        return spec.model_validate(fields)

    def split(self, value: object) -> tuple[str, dict[str, Any]]:
        """Kind and written fields of a shorthand or a mapping."""
        if isinstance(value, str):
            return value, {}
        if isinstance(value, Mapping):
            fields = dict(value)
            kind = fields.pop("kind", self.default)
            if isinstance(kind, str):
                return kind, fields
            if kind is None:
                raise PydanticCustomError(
                    "kind", "{message}", {"message": f"needs a `kind`{suggestion('', kinds(self.family))}"}
                )
            value = kind
        known = suggestion("", kinds(self.family)).lstrip("; ")
        raise PydanticCustomError(
            "kind",
            "{message}",
            {"message": f"got {shown(value)}, needs the name of a {self.family} or a mapping. {known}"},
        )


AnyScore = Annotated[Part, Swappable("score", "scaled_dot")]
AnyWeights = Annotated[Part, Swappable("weights", "softmax")]
AnyWindow = Annotated[Part, Swappable("window", "fixed")]
AnyPosition = Annotated[Part, Swappable("position", "sinusoidal")]
AnyNorm = Annotated[Part, Swappable("norm", "layer")]
AnyMixer = Annotated[Part, Swappable("mixer", "attention")]
AnyFeedforward = Annotated[Part, Swappable("feedforward", "relu")]
AnyInitialisation = Annotated[Part, Swappable("initialisation", "xavier")]
AnyTask = Annotated[Part, Swappable("task")]
AnyDecoding = Annotated[Part, Swappable("decoding", "greedy")]
AnyOptimizer = Annotated[Part, Swappable("optimizer", "adam")]
AnySchedule = Annotated[Part, Swappable("schedule", "cosine")]
AnyTracker = Annotated[Part, Swappable("tracker")]
