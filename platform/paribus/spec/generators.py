"""What `vary` asks for, as cells that become arms, and the designs that their analysis needs."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paribus.errors import shown, suggestion
from paribus.spec.experiment import Experiment, Vary
from paribus.spec.override import Complaint, Tree, get, split

MOST_CELLS = 10_000
MOST_FACTORS = 12  # of a fraction; finding one of more takes long
EXACT_UNTIL = 6  # changes whose orders are all taken


@dataclass(frozen=True)
class Cell:
    """An arm to be: what it starts from and changes, and where in the file each change stands."""

    start: str
    name: str
    changes: dict[str, Any]
    path: tuple[object, ...]
    places: Mapping[str, tuple[object, ...]]
    design: int | None = None
    told: Mapping[str, Any] = field(default_factory=dict)  # what the design says of the cell


@dataclass
class Generated:
    """All cells in stable order, the designs that they belong to, and what is wrong with the generators."""

    cells: list[Cell] = field(default_factory=list)
    designs: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[tuple[tuple[object, ...], Complaint]] = field(default_factory=list)


def generated(experiment: Experiment, base: Tree) -> Generated:
    """What the generators of an experiment make; `base` is the baseline as a tree."""
    found = Generated()
    keys = {key for vary in experiment.vary for key in {**(vary.one_at_a_time or {}), **(vary.grid or {}), **_of(vary)}}
    keys |= {key for vary in experiment.vary for key in _changes(experiment, vary, base)}
    short = {key: _shortest_end(key, keys) for key in keys}
    for index, vary in enumerate(experiment.vary):
        for kind, make in _MAKERS.items():
            if getattr(vary, kind) is not None:
                make(_Asked(experiment, vary, base, short, ("vary", index, kind)), found)
    return found


@dataclass(frozen=True)
class _Asked:
    experiment: Experiment
    vary: Vary
    base: Tree
    short: Mapping[str, str]
    path: tuple[object, ...]

    def named(self, changes: Mapping[str, Any]) -> str:
        return ",".join(f"{self.short[key]}={_value_name(value)}" for key, value in changes.items())


def _of(vary: Vary) -> Mapping[str, Any]:
    return vary.fraction.of if vary.fraction is not None else {}


def _one_at_a_time(asked: _Asked, found: Generated) -> None:
    for key, values in (asked.vary.one_at_a_time or {}).items():
        for number, value in enumerate(values):
            places = {key: (*asked.path, key, number)}
            found.cells.append(Cell(asked.vary.start, asked.named({key: value}), {key: value}, asked.path, places))


def _grid(asked: _Asked, found: Generated) -> None:
    values = asked.vary.grid or {}
    count = math.prod(len(some) for some in values.values())
    if count > MOST_CELLS:
        told = f"makes {count:,} arms, more than the {MOST_CELLS:,} that an experiment may have"
        found.complaints.append((asked.path, Complaint((), told)))
        return
    _crossed(asked, found, values, asked.path, itertools.product(*(range(len(some)) for some in values.values())))


def _crossed(
    asked: _Asked,
    found: Generated,
    values: Mapping[str, Sequence[Any]],
    path: tuple[object, ...],
    cells: Any,
    **more: Any,
) -> None:
    """Cells of a grid or of a part of one, by the place of each value."""
    factors = {asked.short[key]: [_value_name(value) for value in some] for key, some in values.items()}
    found.designs.append({"kind": asked.path[2], "from": asked.vary.start, "factors": factors, "cells": [], **more})
    for cell in cells:
        changes = {key: values[key][number] for key, number in zip(values, cell, strict=True)}
        places = {key: (*path, key, number) for key, number in zip(values, cell, strict=True)}
        levels = [some[number] for some, number in zip(factors.values(), cell, strict=True)]
        design = len(found.designs) - 1
        found.cells.append(
            Cell(asked.vary.start, asked.named(changes), changes, asked.path, places, design, {"levels": levels})
        )


def _fraction(asked: _Asked, found: Generated) -> None:
    fraction = asked.vary.fraction
    assert fraction is not None
    wrong = [key for key, values in fraction.of.items() if len(values) != 2]
    for key in wrong:
        told = f"got {len(fraction.of[key])} values, needs exactly two"
        found.complaints.append(((*asked.path, "of", key), Complaint((), told)))
    if not wrong and not 2 <= len(fraction.of) <= MOST_FACTORS:
        told = f"got {len(fraction.of)} keys, needs 2 to {MOST_FACTORS}"
        found.complaints.append(((*asked.path, "of"), Complaint((), told)))
    elif not wrong:
        cells = two_level(len(fraction.of), fraction.resolution)
        _crossed(asked, found, fraction.of, (*asked.path, "of"), cells, resolution=fraction.resolution)


def two_level(factors: int, resolution: int) -> list[tuple[int, ...]]:
    """The cells of the smallest regular two-level fraction in which no word is shorter than the resolution."""
    for base in range(1, factors + 1):
        words = _generators(base, factors - base, resolution)
        if words is not None:
            return [
                (*cell, *(sum(cell[place] for place in range(base) if word >> place & 1) % 2 for word in words))
                for cell in itertools.product((0, 1), repeat=base)
            ]
    raise AssertionError("a full design has no words")


def _generators(base: int, more: int, resolution: int) -> list[int] | None:
    """Which base factors each further one is the product of, as bits, or None where there are too few."""
    candidates = [word for word in range(1, 2**base) if word.bit_count() >= resolution - 1]

    def search(start: int, chosen: list[int]) -> list[int] | None:
        if len(chosen) == more:
            return chosen
        for index in range(start, len(candidates) - (more - len(chosen)) + 1):
            if _resolves([*chosen, candidates[index]], resolution):
                complete = search(index + 1, [*chosen, candidates[index]])
                if complete is not None:
                    return complete
        return None

    return search(0, [])


def _resolves(words: Sequence[int], resolution: int) -> bool:
    """Whether every product with the newest word stays as long as the resolution; the others were looked at before."""
    *before, newest = words
    for size in range(len(before) + 1):
        for some in itertools.combinations(before, size):
            word = newest
            for other in some:
                word ^= other
            if word.bit_count() + size + 1 < resolution:
                return False
    return True


def _leave_one_out(asked: _Asked, found: Generated) -> None:
    name = asked.vary.leave_one_out
    written = asked.experiment.arms
    if name not in written:
        told = f"got {shown(name)}, names no arm under `arms`{suggestion(name, written)}"
        found.complaints.append((asked.path, Complaint((), told)))
        return
    if asked.vary.start != "baseline":
        told = f"goes with `leave_one_out` not at all: '{name}' starts from the baseline"
        found.complaints.append(((*asked.path[:2], "from"), Complaint((), told)))
        return
    changes = written[name]
    if len(changes) < 2:
        told = f"got '{name}', which makes {len(changes)} change; needs an arm with two or more"
        found.complaints.append((asked.path, Complaint((), told)))
        return
    found.designs.append({"kind": "leave_one_out", "from": "baseline", "to": name, "cells": []})
    for key in changes:
        rest = {other: value for other, value in changes.items() if other != key}
        places = {other: ("arms", name, other) for other in rest}
        cell = f"{name}-without-{asked.short[key]}"
        found.cells.append(
            Cell("baseline", cell, rest, asked.path, places, len(found.designs) - 1, {"without": asked.short[key]})
        )


def _changes(experiment: Experiment, vary: Vary, base: Tree) -> dict[str, Any]:
    """What leads from the start of a path to its end, or all that an arm changes."""
    if vary.leave_one_out is not None:
        return experiment.arms.get(vary.leave_one_out, {})
    if vary.path is None:
        return {}
    before, after = experiment.arms.get(vary.start, {}), experiment.arms.get(vary.path.to, {})
    back = {key: get(base, split(key)) for key in before if key not in after}
    return {key: value for key, value in {**after, **back}.items() if key not in before or before[key] != value}


def _path(asked: _Asked, found: Generated) -> None:
    path = asked.vary.path
    assert path is not None
    written = asked.experiment.arms
    for at, name in ((("path", "to"), path.to), (("from",), asked.vary.start)):
        if name not in (*written, "baseline"):
            told = f"got {shown(name)}, names no arm under `arms`{suggestion(name, ['baseline', *written])}"
            found.complaints.append(((*asked.path[:2], *at), Complaint((), told)))
            return
    changes = _changes(asked.experiment, asked.vary, asked.base)
    count = len(changes)
    if count < 2:
        told = f"got '{path.to}', {count} change away from '{asked.vary.start}'; needs two or more"
        found.complaints.append(((*asked.path, "to"), Complaint((), told)))
        return
    if path.orders == "all" and count > EXACT_UNTIL:
        told = f"got all, but {count} changes have {math.factorial(count):,} orders; needs a number of them"
        found.complaints.append(((*asked.path, "orders"), Complaint((), told)))
        return
    orders = _orders(list(changes), path.orders)
    subsets = dict.fromkeys(
        tuple(key for key in changes if key in order[:length]) for order in orders for length in range(count + 1)
    )
    if len(subsets) > MOST_CELLS:
        told = f"makes {len(subsets):,} arms, more than the {MOST_CELLS:,} that an experiment may have"
        found.complaints.append(((*asked.path, "orders"), Complaint((), told)))
        return
    names = {key: asked.short[key] for key in changes}
    found.designs.append(
        {
            "kind": "path",
            "from": asked.vary.start,
            "to": path.to,
            "orders": [[names[key] for key in order] for order in orders],
            "cells": [],
        }
    )
    ends = {key: ("arms", path.to, key) if key in written.get(path.to, {}) else asked.path for key in changes}
    head = "" if asked.vary.start == "baseline" else f"{asked.vary.start}+"
    for subset in sorted(subsets, key=len):
        made = {key: changes[key] for key in subset}
        belongs = {"changes": [names[key] for key in subset]}
        places = {key: ends[key] for key in subset}
        name = head + asked.named(made) if made else asked.vary.start
        found.cells.append(Cell(asked.vary.start, name, made, asked.path, places, len(found.designs) - 1, belongs))


def _orders(keys: list[str], wanted: int | str) -> list[tuple[str, ...]]:
    """All orders, or so many different ones, the same each time."""
    count = math.factorial(len(keys))
    if wanted == "all" or (isinstance(wanted, int) and wanted >= count):
        return list(itertools.permutations(keys))
    assert isinstance(wanted, int)
    dice = random.Random(0)
    found: dict[tuple[str, ...], None] = {}
    while len(found) < wanted:
        found[tuple(dice.sample(keys, len(keys)))] = None
    return list(found)


_MAKERS = {
    "one_at_a_time": _one_at_a_time,
    "grid": _grid,
    "fraction": _fraction,
    "leave_one_out": _leave_one_out,
    "path": _path,
}


def _shortest_end(key: str, keys: set[str]) -> str:
    """The shortest end of a dotted key that no other key of the generators ends with."""
    path = split(key)
    for length in range(1, len(path)):
        end = path[-length:]
        if sum(split(other)[-length:] == end for other in keys) == 1:
            return ".".join(end)
    return key


def _value_name(value: Any) -> str:
    if isinstance(value, Mapping):
        kind = value.get("kind")
        return (
            str(kind)
            if kind is not None and len(value) == 1
            else shown(value).strip("{}").replace(": ", ":").replace(", ", "+")
        )
    return value if isinstance(value, str) else shown(value)
