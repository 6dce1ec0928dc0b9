"""Arms: the baseline, the arms written by hand, and those that generators make, each with its settings resolved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from paribus.errors import suggestion
from paribus.parts import Part
from paribus.spec.experiment import RESERVED, Experiment
from paribus.spec.generators import Cell, generated
from paribus.spec.network import Architecture, Unresolved, frozen_cross, resolve
from paribus.spec.override import Complaint, Group, Path, Tree, apply, get, split, without
from paribus.spec.rules import hidden_by_sides, rules, without_a_place
from paribus.spec.training import Training
from paribus.spec.wording import said

ROOT = Group(Experiment)
SWAPPABLE = ("network", "training", "decoding")


@dataclass(frozen=True)
class Setting:
    """Everything that decides what a run computes, but the task's name and the seed."""

    network: Architecture
    training: Training
    tasks: Mapping[str, Part]
    decoding: Part
    precision: int | str

    def tree(self) -> Tree:
        """As plain data, for comparing and showing."""
        return {
            "network": self.network.model_dump(),
            "training": self.training.model_dump(),
            "tasks": {name: task.model_dump() for name, task in self.tasks.items()},
            "decoding": self.decoding.model_dump(),
            "precision": self.precision,
        }


@dataclass(frozen=True)
class Arm:
    """One row of the comparison: its changes against its start, and the settings that come out."""

    name: str
    changes: Mapping[str, Any]
    start: str
    setting: Setting
    written: bool = True  # by hand, not by a generator
    tree: Tree = field(default_factory=dict, repr=False, compare=False)  # of the whole experiment, as changed
    notes: Mapping[str, str] = field(default_factory=dict)  # what else a reader must know, by a code


@dataclass(frozen=True)
class Origin:
    """Where an arm stands in the file, and where each of its changes does."""

    path: tuple[object, ...]
    changes: Mapping[str, tuple[object, ...]]


@dataclass
class Found:
    """All arms of an experiment, and what is wrong with which."""

    arms: list[Arm] = field(default_factory=list)
    complaints: list[tuple[Origin, Complaint]] = field(default_factory=list)
    designs: list[dict[str, Any]] = field(default_factory=list)  # of the generators, with the arm of each cell


def validated(tree: Tree) -> tuple[Experiment, list[Complaint]]:
    """The experiment of a tree, with wrong values left out, and what was wrong with them."""
    complaints: list[Complaint] = []
    for _ in range(20):
        earlier = list(complaints)
        try:
            return Experiment.model_validate(tree), complaints
        except ValidationError as error:
            for detail in error.errors():
                at = tuple(piece if isinstance(piece, int) else str(piece) for piece in detail["loc"])
                path = _existing(tree, at) if detail["type"] not in ("missing", "extra_forbidden") else at
                words = tuple(str(piece) for piece in at)
                name = at[-1:] == ("[key]",)  # as pydantic marks a key that is wrong by itself
                complaint = Complaint(
                    at[:-1] if name else at,
                    said(detail, Experiment, words, tree),
                    at_key=name or detail["type"] == "extra_forbidden",
                )
                # What is missing only since a wrong value was left out is no second mistake.
                follows = any(before.path[: len(at)] == at for before in earlier)
                if complaint not in complaints and not follows:
                    complaints.append(complaint)
                tree = without(tree, path)
    raise AssertionError(f"the tree cannot be mended: {complaints}")


def _existing(tree: Any, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of a path that the tree has."""
    for length, key in enumerate(path):
        inside = (isinstance(tree, Mapping) and key in tree) or (
            isinstance(tree, list) and isinstance(key, int) and key < len(tree)
        )
        if not inside:
            return path[:length]
        tree = tree[key]
    return path


def setting_of(experiment: Experiment) -> Setting:
    """What the runs of an experiment's baseline compute; raises Unresolved."""
    tasks = experiment.tasks or ({"": experiment.task} if experiment.task else {})
    return Setting(
        resolve(experiment.network), experiment.training, tasks, experiment.decoding, experiment.machine.precision
    )


def checked(experiment: Experiment, tainted: list[Path], written: set[Path]) -> tuple[Setting | None, list[Complaint]]:
    """The setting of an experiment and what breaks a rule; rules that rest on tainted values keep silent."""
    complaints: list[Complaint] = []
    setting = None
    try:
        setting = setting_of(experiment)
    except Unresolved as error:
        complaints += [_below("network", complaint) for complaint in error.complaints]
    if setting:
        complaints += rules(experiment, setting.network)
        complaints += without_a_place(experiment, setting.network, written)
    silent = tainted + [complaint.path for complaint in complaints if complaint.at_key]
    return setting, [
        complaint
        for complaint in dict.fromkeys(complaints)
        if not any(
            _related(path, bad)
            for path in (complaint.path, *complaint.needs)
            for bad in silent
            if bad != complaint.path
        )
    ]


def _below(name: str, complaint: Complaint) -> Complaint:
    return Complaint((name, *complaint.path), complaint.message, complaint.at_key, complaint.needs)


def _related(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def arms(experiment: Experiment, known: list[Complaint]) -> Found:
    """The baseline and all its arms; `known` are the complaints about the baseline, which arms do not repeat."""
    found = Found()
    base = experiment.model_dump(by_alias=True)
    trees: dict[str, Tree] = {"baseline": base}
    by_setting: dict[str, str] = {}
    baseline, _ = checked(experiment, [complaint.path for complaint in known], set())
    if baseline:
        found.arms.append(Arm("baseline", {}, "", baseline, tree=base))
        by_setting[_fingerprint(baseline)] = "baseline"
    for name, changes in experiment.arms.items():
        origin = Origin(("arms", name), {key: ("arms", name, key) for key in changes})
        if name in RESERVED:
            found.complaints.append(
                (origin, Complaint((), f"the name '{name}' is reserved; needs another", at_key=True))
            )
        setting = _arm(experiment, trees, "baseline", name, changes, origin, found, known)
        if setting is None:
            continue
        twin = by_setting.setdefault(_fingerprint(setting), name)
        if twin != name:
            found.complaints.append(
                (origin, Complaint((), f"is the same as {_called(twin)}: no setting that counts differs", at_key=True))
            )
        found.arms.append(Arm(name, changes, "baseline", setting, tree=trees[name]))
    made = generated(experiment, base)
    found.complaints += [(Origin(path, {}), complaint) for path, complaint in made.complaints]
    found.designs = made.designs
    for cell in made.cells:
        name = _cell(cell, experiment, trees, by_setting, found, known)
        if name and cell.design is not None:
            found.designs[cell.design]["cells"].append({"arm": name, **cell.told})
    return found


def _cell(
    cell: Cell,
    experiment: Experiment,
    trees: dict[str, Tree],
    by_setting: dict[str, str],
    found: Found,
    known: list[Complaint],
) -> str:
    """The name of the arm that a generated cell is, which may be one that was there before; empty if it is none."""
    origin = Origin(cell.path, cell.places)
    if cell.start not in trees:
        complaint = Complaint((), f"`from` names no arm{suggestion(cell.start, trees)}")
        found.complaints.append((Origin(origin.path, {}), complaint))
        return ""
    if not cell.changes:
        return cell.start
    if cell.name in trees and cell.name in experiment.arms:
        found.complaints.append((origin, Complaint((), f"makes an arm called '{cell.name}', a name that is taken")))
        return ""
    setting = _arm(experiment, trees, cell.start, cell.name, cell.changes, origin, found, known)
    if setting is None:
        return ""
    twin = by_setting.get(_fingerprint(setting))
    if twin is not None:
        return twin
    if cell.name in [arm.name for arm in found.arms]:
        told = (
            f"makes a second, different arm called '{cell.name}'; write one of them under `arms` with a name of its own"
        )
        found.complaints.append((origin, Complaint((), told)))
        return ""
    by_setting[_fingerprint(setting)] = cell.name
    found.arms.append(Arm(cell.name, cell.changes, cell.start, setting, written=False, tree=trees[cell.name]))
    return cell.name


def resized(arm: Arm, key: str, value: int) -> Arm | None:
    """The arm with one more value changed, or None where that breaks a rule."""
    if get(arm.tree, split(key)) is None:
        return None
    tree, complaints = _changed(arm.tree, {key: value})
    if complaints:
        return None
    healed, mistakes = validated(tree)
    setting, broken = checked(healed, [], set())
    if mistakes or broken or setting is None:
        return None
    return replace(arm, changes={**arm.changes, key: value}, setting=setting, tree=tree, written=False)


def variant(arm: Arm, changes: Mapping[str, Any]) -> tuple[Setting | None, list[Complaint]]:
    """The setting of an arm with more changes made to it, or what is wrong with them."""
    plain = {**arm.tree, "arms": {}, "vary": [], "tuning": None}
    tree, complaints = _changed(plain, changes)
    complaints += hidden_by_sides(plain["network"], changes)
    if complaints:
        return None, complaints
    healed, mistakes = validated(tree)
    written = {path for key, value in changes.items() for path in _paths(split(key), value)}
    setting, broken = checked(healed, [mistake.path for mistake in mistakes], written)
    complaints = [*mistakes, *broken]
    return (None if complaints else setting), complaints


def _called(name: str) -> str:
    return "the baseline" if name == "baseline" else f"the arm '{name}'"


def _fingerprint(setting: Setting) -> str:
    return repr(setting.tree())


def _arm(
    experiment: Experiment,
    trees: dict[str, Tree],
    start: str,
    name: str,
    changes: Mapping[str, Any],
    origin: Origin,
    found: Found,
    known: list[Complaint],
) -> Setting | None:
    """The setting of one arm, or None with the complaints in `found`."""
    tree = trees[start]
    complaints = list(_forbidden(changes, tree))
    wrong = {complaint.path[0] for complaint in complaints}
    changes = {key: value for key, value in changes.items() if key not in wrong}
    tree, clashing = _changed(tree, changes)
    complaints += clashing
    complaints += hidden_by_sides(trees[start]["network"], changes)
    if not complaints:
        healed, mistakes = validated(tree)
        written = {path for key, value in changes.items() for path in _paths(split(key), value)}
        setting, broken = checked(healed, [c.path for c in (*mistakes, *known)], written)
        before = {(complaint.path, complaint.message) for complaint in known}
        complaints = [c for c in (*mistakes, *broken) if (c.path, c.message) not in before]
        trees[name] = tree
        if setting and not complaints:
            return setting
    found.complaints += [(origin, complaint) for complaint in complaints]
    trees.setdefault(name, trees[start])
    return None


def _changed(start: Tree, changes: Mapping[str, Any]) -> tuple[Tree, list[Complaint]]:
    """An arm's tree; a decoder that no longer attends keeps the cross-attention of the start."""
    spread = {}
    for key, value in changes.items():
        path = split(key)
        if path[0] == "task" and start.get("tasks"):  # one change for every task
            spread.update({".".join(("tasks", name, *path[1:])): value for name in start["tasks"]})
        else:
            spread[key] = value
    first = {key: value for key, value in spread.items() if not _is_cross(key)}
    tree, complaints = apply(start, first, ROOT)
    if isinstance(tree.get("network"), Mapping):
        tree = {**tree, "network": frozen_cross(tree["network"], start["network"])}
    tree, more = apply(tree, {key: value for key, value in spread.items() if _is_cross(key)}, ROOT)
    return tree, complaints + more


def _is_cross(key: str) -> bool:
    return key.startswith("network.") and "cross" in split(key)


def _paths(path: Path, value: Any) -> Iterator[Path]:
    """A written path, what it stands below, and what stands below it."""
    yield from (path[:length] for length in range(1, len(path) + 1))
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths((*path, str(key)), item)


def _forbidden(changes: Mapping[str, Any], tree: Tree) -> Iterator[Complaint]:
    """Keys that an arm cannot change."""
    fields = Experiment.model_fields
    for key in changes:
        path = split(key)
        if path[:2] == ("training", "match"):
            yield Complaint((key,), "an arm cannot change `training.match`; it makes arms of all of them", at_key=True)
            continue
        if path[0] in SWAPPABLE or key in ("task.training_examples", "machine.precision"):
            continue
        if path[0] in ("task", "tasks"):
            message = "an arm may change `task.training_examples` only; put other tasks under `tasks`"
        elif path[0] in fields:
            message = f"an arm cannot change `{path[0]}`; it is the same for all arms"
        else:
            message = f"unknown key{suggestion(path[0], [*SWAPPABLE, 'task.training_examples', 'machine.precision'])}"
        yield Complaint((key,), message, at_key=True)
