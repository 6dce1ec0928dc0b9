"""What a validation error says to the user: the value as YAML writes it, and what would be right."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic_core import ErrorDetails

from paribus.errors import shown, suggestion
from paribus.parts import Strict
from paribus.spec.override import Group, Slot, child_slot, children


def said(detail: ErrorDetails, model: type[Strict], path: Sequence[str], tree: object) -> str:
    """One sentence for one error; `path` leads from the model to the value."""
    kind, context = detail["type"], detail.get("ctx", {})
    got = f"got {shown(detail['input'])}, needs "
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(path[-1], _siblings(model, path, tree))}"
    if kind == "missing":
        return "is missing"
    if kind in _LIMITS:
        word = "a whole number" if _whole(model, path, tree) else "a number"
        return got + f"{word} {_LIMITS[kind]} {context[_LIMIT_KEYS[kind]]:g}"
    if kind == "literal_error":
        known = [item.strip().strip("'") for item in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"got {shown(detail['input'])}{suggestion(detail['input'], known, listing='Needs one of')}"
    if kind in _TYPES:
        return got + _TYPES[kind]
    return str(context["message"]) if "message" in context else f"{detail['msg']}, got {shown(detail['input'])}"


_LIMITS = {
    "greater_than": "above",
    "greater_than_equal": "of at least",
    "less_than": "below",
    "less_than_equal": "of at most",
}
_LIMIT_KEYS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
}


def _parent(model: type[Strict], path: Sequence[str], tree: object) -> tuple[Slot, object]:
    slot: Slot = Group(model)
    for key in path[:-1]:
        slot = child_slot(slot, tree, key)
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return slot, tree


def _siblings(model: type[Strict], path: Sequence[str], tree: object) -> Iterable[str]:
    slot, at = _parent(model, path, tree)
    return (children(slot, at) or {}).keys()


def _whole(model: type[Strict], path: Sequence[str], tree: object) -> bool:
    """Whether the field takes whole numbers."""
    from paribus.parts import spec_class
    from paribus.spec.override import PartOf

    slot, at = _parent(model, path, tree)
    owner: Any = None
    if isinstance(slot, Group):
        owner = slot.model
    elif isinstance(slot, PartOf) and isinstance(at, Mapping):
        owner = spec_class(slot.family, str(at.get("kind", slot.default)))
    field = owner.model_fields.get(path[-1]) if owner else None
    return field is not None and _has_int(field.annotation)


def _has_int(annotation: object) -> bool:
    return annotation is int or any(_has_int(argument) for argument in get_args(annotation))
