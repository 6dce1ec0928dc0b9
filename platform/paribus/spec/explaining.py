"""What a key of an experiment file means: its description, default and possible values, as the models have them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from paribus.errors import ParibusError, shown, suggestion
from paribus.parts import FAMILIES, Part, Strict, kinds, spec_class
from paribus.spec.experiment import Experiment
from paribus.spec.override import Group, PartOf, Slot, slots

# Block fields of a side, of a layer, and keys below a name that the user chose, mean what the plain key means.
SAME = (
    (r"^network\.layers\.(encoder|decoder)\.[^.]+", "network", "of one layer of that side"),
    (r"^network\.(encoder|decoder)(?=\.)", "network", "of that side alone"),
    (r"^tasks\.[^.]+", "task", "of one of several tasks"),
)
DEEPEST = 3  # parts inside parts


@dataclass(frozen=True)
class Explained:
    """One key; `kind` is the part that it belongs to, if only some kinds have it."""

    key: str
    description: str
    default: str
    values: tuple[str, ...] = ()
    kind: str = ""
    below: tuple[str, ...] = ()
    place: str = ""


def explain(key: str) -> list[Explained]:
    """All that a key can mean: one entry, or one for each kind of part that has it; raises ParibusError."""
    plain, place = key.strip("."), ""
    for pattern, instead, told in SAME:
        if re.search(pattern, plain):
            plain, place = re.sub(pattern, instead, plain), told
    index = list(every_key())
    found = [entry for entry in index if entry.key == plain]
    if not found and "." not in plain:
        ends = sorted({entry.key for entry in index if entry.key.endswith(f".{plain}")})
        found = [entry for entry in index if entry.key in ends]
    if not found:
        close = get_close_matches(plain, dict.fromkeys(entry.key for entry in index), n=3, cutoff=0.6)
        meant = f"; did you mean {', '.join(close)}?" if close else ""
        known = suggestion("", Experiment.model_fields, listing="A file has").lstrip(". ")
        raise ParibusError(f"no key is called '{key}'{meant or '.'} {known}")
    return [Explained(**{**vars(entry), "place": place}) for entry in found]


def every_key() -> Iterator[Explained]:
    """All keys of a file; those with a `kind` are settings of that part."""
    yield from _of_group(Experiment, "")


def _of_group(model: type[Strict], path: str) -> Iterator[Explained]:
    shapes = slots(model)
    for name, field in model.model_fields.items():
        yield from _of_field(f"{path}{field.alias or name}", field, shapes[name], "", 0)


def _of_field(key: str, field: FieldInfo, slot: Slot, kind: str, depth: int) -> Iterator[Explained]:
    default = "needed" if field.is_required() else _told(field.get_default(call_default_factory=True))
    values = kinds(slot.family) if isinstance(slot, PartOf) else _choices(field.annotation)
    inner = tuple(_inside(slot, key, depth))
    below = tuple(dict.fromkeys(entry.key.removeprefix(f"{key}.").split(".")[0] for entry in inner))
    told = field.description or (FAMILIES[slot.family] if isinstance(slot, PartOf) else "")
    yield Explained(key, told, default, tuple(map(str, values)), kind, below)
    yield from inner


def _inside(slot: Slot, key: str, depth: int) -> Iterator[Explained]:
    if isinstance(slot, Group):
        yield from _of_group(slot.model, f"{key}.")
    elif isinstance(slot, PartOf) and depth < DEEPEST:
        for kind in kinds(slot.family):
            spec = spec_class(slot.family, kind)
            shapes = slots(spec)
            for name, field in spec.model_fields.items():
                yield from _of_field(f"{key}.{name}", field, shapes[name], kind, depth + 1)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The values of a Literal, however it is wrapped."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for inner in get_args(annotation) if (found := _choices(inner))), ())


def _told(value: object) -> str:
    return value.kind if isinstance(value, Part) else "as below" if isinstance(value, Strict) else shown(value)
