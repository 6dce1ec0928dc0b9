"""What can be written in a file, told from the models themselves: the list of parts and the JSON Schema."""

import importlib
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from paribus import parts
from paribus.parts import FAMILIES, REFERENCE, Part, Strict, Swappable, kinds, spec_class
from paribus.spec.experiment import Experiment
from paribus.spec.network import Layer, Side

DRAFT = "http://json-schema.org/draft-07/schema#"


def described(family: str, kind: str) -> dict[str, Any]:
    """One kind: its formula and paper, what it declares, and its settings with their defaults."""
    spec = spec_class(family, kind)
    doc = importlib.import_module(spec.__module__).__doc__ or ""
    return {
        "family": family,
        "kind": kind,
        "summary": doc.strip().splitlines()[0],
        "leaks": sorted(spec.leaks),
        "ignores": sorted(spec.ignores),
        "parameters": _parameters(spec),
        "cost": spec.cost,
        "fields": [
            {
                "name": name,
                "default": _default(field),
                "description": field.description or "",
                "range": _extra(field).get("range"),
            }
            for name, field in spec.model_fields.items()
        ],
    }


# What a part is built with where its parameters are counted.
PLACE = {
    "width": 64, "max_length": 32, "head_dim": 16, "heads": 4, "max_queries": 32, "max_keys": 32,
    "causal": False, "memory_length": None, "side": "encoder",
}  # fmt: skip
COUNTED = ("score", "weights", "window", "position", "norm", "mixer", "feedforward")


def _parameters(spec: type[Part]) -> int | None:
    """Trained numbers at width 64, 4 heads of 16 and 32 places, all settings at their defaults."""
    family = spec.__module__.split(".")[-2]
    if family not in COUNTED:
        return None
    built = spec().make(**PLACE)
    return 0 if built is None else sum(parameter.numel() for parameter in built.parameters())


def _extra(field: Any) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _default(field: Any) -> Any:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return value.kind if isinstance(value, Part) else value


def json_schema() -> dict[str, Any]:
    """Draft-07 with if/then for each kind, since that is what editors understand."""
    schema = _of(Experiment)
    definitions = schema.pop("$defs", {})
    for family in FAMILIES:
        if family != "metric":
            definitions[family] = _family(family, definitions)
    for side in ("encoder", "decoder"):
        definitions[f"side_{side}"] = _changes(Side, side)
        definitions[f"layer_{side}"] = _changes(Layer, side)
    return {"$schema": DRAFT, "title": "paribus experiment", **schema, "$defs": definitions}


def _of(model: type[Strict]) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(schema_generator=_Draft07, by_alias=True)
    _loosen(schema)
    return schema


class _Draft07(GenerateJsonSchema):
    schema_dialect = DRAFT

    def default_schema(self, schema: Any) -> Any:
        """Defaults that are parts are left out: they would say no more than the kind."""
        return self.generate_inner(schema["schema"])


def _loosen(schema: Any) -> None:
    """Fill in references, and let every field be left away: in a file what is not written stays as it is."""
    if isinstance(schema, dict):
        if REFERENCE in schema:
            schema["$ref"] = f"#/$defs/{schema.pop(REFERENCE)}"
        if "properties" in schema:
            schema.pop("required", None)
        for value in schema.values():
            _loosen(value)
    elif isinstance(schema, list):
        for value in schema:
            _loosen(value)


def _family(family: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A kind by its name, or a mapping whose fields hang on its kind."""
    names = list(kinds(family))
    default = _default_kind(family)
    rules = []
    for kind in names:
        inner = _of(spec_class(family, kind))
        definitions.update(inner.pop("$defs", {}))
        condition: dict[str, Any] = {"properties": {"kind": {"const": kind}}}
        if kind != default:  # a mapping without a kind is one of the default kind, or a change of what it was
            condition["required"] = ["kind"]
        fields = {"kind": {"const": kind}, **inner.get("properties", {})}
        rules.append({"if": condition, "then": {"properties": fields, "additionalProperties": False}})
    outside = {"type": "string", "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"}
    choice = {"anyOf": [{"enum": names}, outside], "description": FAMILIES[family]}
    return {
        "description": FAMILIES[family],
        "if": {"type": "object"},
        "then": {"type": "object", "properties": {"kind": choice}, "allOf": rules},
        "else": choice,
    }


def _default_kind(family: str) -> str | None:
    """The kind that a mapping without one means."""
    markers = (marker for field in vars(parts).values() for marker in getattr(field, "__metadata__", ()))
    return next((m.default for m in markers if isinstance(m, Swappable) and m.family == family), None)


def _changes(model: type[Strict], side: str) -> dict[str, Any]:
    properties = _of(model)["properties"]
    if side == "decoder":
        properties = {**properties, "cross": {"$ref": "#/$defs/mixer"}}
    return {"type": "object", "properties": properties, "additionalProperties": False}
