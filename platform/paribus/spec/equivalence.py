"""Which networks can compute the same functions: no difference between them says little about what was swapped."""

from collections.abc import Mapping
from typing import Any

from paribus.parts import Part
from paribus.spec.network import Architecture


def same_functions(one: Architecture, other: Architecture) -> str:
    """Why two networks that differ in one kind of swap can compute the same; empty where they cannot."""
    for field, reason in (("score", _of_scores), ("combine", _of_combining)):
        if one != other and _without(one.model_dump(), field) == _without(other.model_dump(), field):
            return reason(one, other)
    return ""


def _without(tree: Any, field: str) -> Any:
    if isinstance(tree, Mapping):
        return {key: None if key == field else _without(value, field) for key, value in tree.items()}
    return [_without(item, field) for item in tree] if isinstance(tree, list) else tree


def _of_scores(one: Architecture, other: Architecture) -> str:
    after = dict(other.parts())
    swaps = [
        (part, after[path], _free(one, after, path))
        for path, part in one.parts()
        if path.endswith(".score") and part != after[path]
    ]
    reasons = {_of_pair(before, later, free) for before, later, free in swaps}
    return reasons.pop() if len(reasons) == 1 else ""


def _free(network: Architecture, parts: Mapping[str, Part], path: str) -> bool:
    """Whether a matrix in front of the score can take up what the score does to a query or a key."""
    side, _, place = path.split(".")[:3]
    stack = network.stacks()[side]
    turned = place == "mixer" and getattr(stack.position, "rotates", False)
    return getattr(parts[path.rpartition(".")[0]], "projections", "") == "full" and not turned


def _of_pair(one: Part, other: Part, free: bool) -> str:
    shared = type(one).model_fields.keys() & type(other).model_fields.keys()
    if any(getattr(one, field) != getattr(other, field) for field in shared):
        return ""
    for this, that in ((one, other), (other, one)):
        known = {**this.same_as, **(this.same_as_if_free if free else {})}
        if that.kind in known:
            return known[that.kind]
    return ""


def _of_combining(one: Architecture, other: Architecture) -> str:
    return "x + p is W [x; p] with the two halves of W tied to the identity, so concat can do all that add can"
