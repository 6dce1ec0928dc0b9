"""One rule for every change of settings: arms, generators, tuning spaces, `extends` and `--set`.

Settings are plain trees here (what `model_dump` gives). A string or a mapping with `kind` changes a part's kind: fields
that the new kind also has keep their value. A mapping without `kind` merges. A dotted key changes one field.

    apply({"mixer": {"kind": "attention", "heads": 4}}, {"mixer.heads": 8})   heads is 8, the rest stays
    apply({"feedforward": {"kind": "relu", "width": 99}}, {"feedforward": "gelu"})   a gelu of width 99
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo

from paribus.errors import PartError
from paribus.parts import Strict, Swappable, spec_class

Tree = dict[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """A plain value, replaced as a whole."""


@dataclass(frozen=True)
class PartOf:
    """A part of a family; a partial one is a change of another part, so it may lack its kind."""

    family: str
    default: str | None
    partial: bool = False


@dataclass(frozen=True)
class Group:
    """A fixed set of fields."""

    model: type[Strict]


@dataclass(frozen=True)
class Partial:
    """Some fields of another group, each standing for a change of it."""

    fields: Mapping[str, "Slot"]


@dataclass(frozen=True)
class Open:
    """A mapping whose keys the user names."""

    child: "Slot"


Slot = Leaf | PartOf | Group | Partial | Open


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the value at a path of the tree."""

    path: tuple[Any, ...]
    message: str
    at_key: bool = False  # the key is wrong rather than its value
    needs: tuple[tuple[Any, ...], ...] = ()  # other values that the complaint rests on


class Shaped:
    """Marks a field whose slot cannot be read from its type."""

    def slot(self) -> Slot:
        raise TypeError("a marker says which slot it is")


def slots(model: type[Strict]) -> dict[str, Slot]:
    """How each field of a model takes changes."""
    return {name: _slot(field) for name, field in model.model_fields.items()}


def _slot(field: FieldInfo) -> Slot:
    markers = [*field.metadata, *_markers(field.annotation)]
    for marker in markers:
        if isinstance(marker, Swappable):
            return PartOf(marker.family, marker.default)
        if isinstance(marker, Shaped):
            return marker.slot()
    groups = (marker for marker in markers if isinstance(marker, type) and issubclass(marker, Strict))
    return next((Group(group) for group in groups), Leaf())


def _markers(annotation: object) -> Iterable[object]:
    yield annotation
    for argument in get_args(annotation):
        yield from _markers(argument)


def children(slot: Slot, tree: object) -> Mapping[str, Slot] | None:
    """The slots below one, or None where nothing can stand below."""
    if isinstance(slot, Group):
        return slots(slot.model)
    if isinstance(slot, Partial):
        return slot.fields
    if isinstance(slot, Open):
        return {str(key): slot.child for key in tree} if isinstance(tree, Mapping) else {}
    if isinstance(slot, PartOf):
        kind = tree.get("kind", slot.default) if isinstance(tree, Mapping) else slot.default
        try:
            below = slots(spec_class(slot.family, str(kind)))
        except PartError:
            return {}
        return {name: _as_partial(child) for name, child in below.items()} if slot.partial else below
    return None


def child_slot(slot: Slot, tree: object, key: str) -> Slot:
    """The slot of one key, known or not."""
    if isinstance(slot, Open):
        return slot.child
    return (children(slot, tree) or {}).get(key, Leaf())


def _as_partial(slot: Slot) -> Slot:
    return PartOf(slot.family, slot.default, partial=True) if isinstance(slot, PartOf) else slot


def expanded(value: object) -> object:
    """A part's shorthand written out."""
    return {"kind": value} if isinstance(value, str) else value


def replaced(tree: Any, slot: Slot, value: Any) -> Any:
    """What a slot holds once `value` is written into it."""
    if isinstance(slot, PartOf):
        return _part(tree, slot, expanded(value))
    if isinstance(slot, Group | Partial | Open) and isinstance(value, Mapping):
        return _merged(tree if isinstance(tree, Mapping) else {}, slot, value)
    return value


def _part(tree: Any, slot: PartOf, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kind = value.get("kind")
    if kind is None:
        if isinstance(tree, Mapping):
            base = dict(tree)
        else:
            base = {} if slot.partial or slot.default is None else {"kind": slot.default}
    else:
        base = {"kind": kind, **_kept(tree, slot, kind)}
    return _merged(base, slot, {key: item for key, item in value.items() if key != "kind"})


def _kept(tree: Any, slot: PartOf, kind: object) -> Tree:
    """The fields of the old part that the new kind also has."""
    if not isinstance(tree, Mapping):
        return {}
    try:
        fields = spec_class(slot.family, str(kind)).model_fields
    except PartError:
        return {}
    return {key: item for key, item in tree.items() if key in fields and key != "kind"}


def _merged(tree: Mapping[str, Any], slot: Slot, changes: Mapping[Any, Any]) -> Tree:
    result = dict(tree)
    late = slot.model.late if isinstance(slot, Group) else ()
    for key in sorted(changes, key=lambda key: key in late):
        name = str(key)
        if isinstance(slot, Group):
            result = slot.model.settle(result, name, changes[key])
        result[name] = replaced(result.get(name), child_slot(slot, result, name), changes[key])
    if isinstance(slot, Group):
        _clear_alternatives(result, slot.model, {str(key) for key, item in changes.items() if item is not None})
    return result


def _clear_alternatives(tree: Tree, model: type[Strict], written: set[str]) -> None:
    for names in model.alternatives:
        if written & set(names):
            tree.update({name: None for name in names if name not in written and name in tree})


def put(tree: Any, slot: Slot, path: Sequence[str], value: Any) -> Any:
    """The tree with `value` written at `path`; raises LookupError (with the depth reached) where nothing can stand."""
    if not path:
        return replaced(tree, slot, value)
    key, rest = path[0], path[1:]
    if isinstance(slot, PartOf) and key == "kind" and not rest:
        return replaced(tree, slot, {"kind": value})
    if isinstance(slot, Leaf):
        raise LookupError(len(path))
    base = dict(tree) if isinstance(tree, Mapping) else {}
    if isinstance(slot, PartOf) and "kind" not in base and not slot.partial and slot.default is not None:
        base["kind"] = slot.default
    if isinstance(slot, Group):
        base = slot.model.settle(base, key, value if not rest else {})
    base[key] = put(base.get(key), child_slot(slot, base, key), rest, value)
    if isinstance(slot, Group) and value is not None:
        _clear_alternatives(base, slot.model, {key})
    return base


def apply(tree: Tree, changes: Mapping[str, Any], slot: Slot) -> tuple[Tree, list[Complaint]]:
    """The tree with dotted changes, shortest path first, and what is wrong with them; a wrong key changes nothing."""
    complaints = clashes(tree, changes, slot)
    wrong = {complaint.path for complaint in complaints}
    for key in sorted(changes, key=lambda key: _order(tree, key, slot)):
        path = split(key)
        if (key,) in wrong:
            continue
        try:
            tree = put(tree, slot, path, changes[key])
        except LookupError as error:
            reached = path[: len(path) - int(error.args[0])]
            complaints.append(
                Complaint(
                    (key,), f"`{'.'.join(reached)}` has no fields, so `{path[len(reached)]}` cannot stand below it"
                )
            )
    return tree, complaints


def split(key: str) -> Path:
    return tuple(key.split("."))


def _order(tree: Tree, key: str, slot: Slot) -> tuple[bool, int]:
    path = split(key)
    late = False
    for name in path:
        late = late or (isinstance(slot, Group) and name in slot.model.late)
        slot, tree = child_slot(slot, tree, name), tree.get(name, {}) if isinstance(tree, Mapping) else {}
    return late, len(path)


def clashes(tree: Tree, changes: Mapping[str, Any], slot: Slot) -> list[Complaint]:
    """Keys that set a value which another key of the same mapping sets too."""
    found = []
    setters: dict[Path, str] = {}
    for key in sorted(changes, key=lambda key: len(split(key))):
        for leaf in dict.fromkeys(_leaves(tree, slot, split(key), changes[key])):
            other = setters.setdefault(leaf, key)
            if other != key:
                found.append(Complaint((key,), f"sets `{'.'.join(leaf)}`, which `{other}` sets too; keep one of them"))
                break
    return found


def _leaves(tree: Any, slot: Slot, path: Path, value: Any) -> list[Path]:
    """The single values that a change sets, alternatives under the name of the first."""
    at: list[str] = []
    for name in path:
        if isinstance(slot, PartOf) and name == "kind":
            return [(*at, "kind")]
        at.append(_alternative(slot, name))
        slot, tree = child_slot(slot, tree, name), tree.get(name) if isinstance(tree, Mapping) else None
    return list(_below(tuple(at), slot, tree, value))


def _below(at: Path, slot: Slot, tree: Any, value: Any) -> Iterable[Path]:
    if isinstance(slot, PartOf):
        value = expanded(value)
        tree = value if isinstance(value, Mapping) and "kind" in value else tree
    if isinstance(value, Mapping) and not isinstance(slot, Leaf):
        for key, item in value.items():
            inner = tree.get(key) if isinstance(tree, Mapping) else None
            yield from _below((*at, _alternative(slot, str(key))), child_slot(slot, tree, str(key)), inner, item)
    else:
        yield at


def _alternative(slot: Slot, name: str) -> str:
    groups = slot.model.alternatives if isinstance(slot, Group) else ()
    return next(("|".join(names) for names in groups if name in names), name)


def get(tree: Any, path: Sequence[str]) -> Any:
    """What stands at a path, or None."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def without(tree: Any, path: Sequence[object]) -> Any:
    """The tree with the value at a path taken out; the deepest part of the path that exists counts."""
    if not path:
        return None
    key, rest = path[0], path[1:]
    if isinstance(tree, Mapping) and key in tree:
        below = tree[key]
        if rest and isinstance(below, Mapping | list) and _has(below, rest[0]):
            return {**tree, key: without(below, rest)}
        return {name: item for name, item in tree.items() if name != key}
    if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
        if rest and isinstance(tree[key], Mapping | list) and _has(tree[key], rest[0]):
            return [without(item, rest) if index == key else item for index, item in enumerate(tree)]
        return [item for index, item in enumerate(tree) if index != key]
    return tree


def _has(tree: object, key: object) -> bool:
    if isinstance(tree, Mapping):
        return key in tree
    return isinstance(tree, list) and isinstance(key, int) and key < len(tree)
