"""What a search may change: the dimensions of an arm, which of them have a place in a trial, and what breaks a rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from paribus.errors import PartError, shown, suggestion
from paribus.parts import spec_class
from paribus.spec.arms import ROOT, Arm, variant
from paribus.spec.experiment import Experiment
from paribus.spec.override import Complaint, Group, PartOf, Path, Slot, Tree, apply, child_slot, children, split
from paribus.spec.rules import tasks_of
from paribus.spec.tuning import COSTS, MAIN, Range, Tuning, holds

# Training keys that a search may change; the others say how much is trained, and which result counts.
TUNED_TRAINING = ("optimizer", "schedule", "label_smoothing", "clip_norm")
BATCH = ("batch", "accumulate")


@dataclass(frozen=True)
class Dimension:
    """One key that a search of an arm changes."""

    key: str
    range: Range
    carried: bool = False  # by a part, not written in the file


def dimensions(tuning: Tuning, arm: Arm) -> list[Dimension]:
    """The dimensions of an arm's search: what decides whether others have a place comes first."""
    written = [Dimension(key, tuning.space[key]) for key in tuning.space]
    if tuning.part_ranges:
        set_by_arm = {leaf for key, value in arm.changes.items() for leaf in _leaves(split(key), value)}
        taken = {split(key) for key in tuning.space} | set_by_arm
        written += [found for found in _carried(arm.tree) if split(found.key) not in taken]
    return sorted(written, key=lambda found: (len(split(found.key)), bool(found.range.when)))


def _leaves(path: Path, value: Any) -> Iterator[Path]:
    """The paths of single values that a change writes."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    else:
        yield path


def _carried(tree: Tree) -> Iterator[Dimension]:
    """Ranges that the parts of an arm carry."""
    for name in ("network", "training"):
        yield from _carried_below((name,), child_slot(ROOT, tree, name), tree[name])


def _carried_below(path: Path, slot: Slot, tree: Any) -> Iterator[Dimension]:
    if isinstance(slot, PartOf) and isinstance(tree, Mapping):
        for key, found in ranges(slot.family, str(tree.get("kind", slot.default))).items():
            yield Dimension(".".join((*path, key)), found, carried=True)
    if isinstance(slot, Group | PartOf) and isinstance(tree, Mapping):
        for key, child in (children(slot, tree) or {}).items():
            if tree.get(key) is not None and key not in ("encoder", "decoder", "layers"):
                yield from _carried_below((*path, key), child, tree[key])


@cache
def ranges(family: str, kind: str) -> dict[str, Range]:
    """The ranges that the fields of a part carry: `Field(..., json_schema_extra={"range": {...}})`."""
    try:
        fields = spec_class(family, kind).model_fields
    except PartError:
        return {}
    extras = {name: field.json_schema_extra for name, field in fields.items()}
    return {
        name: Range.model_validate(e["range"]) for name, e in extras.items() if isinstance(e, dict) and "range" in e
    }


def has_place(tree: Tree, key: str) -> bool:
    """Whether a key names a field of these settings."""
    slot: Slot = ROOT
    below: Any = tree
    for name in split(key):
        known = children(slot, below)
        if isinstance(slot, PartOf) and name == "kind":
            return True
        if known is None or name not in known:
            return False
        slot, below = child_slot(slot, below, name), below.get(name) if isinstance(below, Mapping) else None
    return True


def asked(found: Dimension, tree: Tree, chosen: Mapping[str, Any]) -> bool:
    """Whether a trial that has chosen so much is asked for this dimension too."""
    if not holds(found.range.when, chosen):
        return False
    changed, _ = apply({"network": tree["network"], "training": tree["training"]}, chosen, ROOT)
    return has_place(changed, found.key)


def search_rules(experiment: Experiment, arms: Sequence[Arm]) -> Iterator[Complaint]:
    """What is wrong with a search."""
    tuning = experiment.tuning
    if tuning is None or not arms:
        return
    yield from _fits_together(tuning)
    yield from _objectives(experiment, tuning)
    bad = set()
    for complaint in _keys(experiment, tuning, arms):
        bad.add(complaint.path[2])
        yield complaint
    searched = arms if tuning.scope == "arm" else arms[:1]
    if not bad:
        for arm in searched:
            yield from _sampler_fits(tuning, dimensions(tuning, arm), arm)
    for key, found in tuning.space.items():
        if key not in bad:
            yield from _values(tuning, key, found, searched)


def _at(name: str) -> Path:
    return ("tuning", name)


def _fits_together(tuning: Tuning) -> Iterator[Complaint]:
    """The settings of a search among themselves."""
    pruner, seeds = tuning.pruner, tuning.seeds
    if pruner in ("median", "hyperband") and seeds != 1:
        told = f"got '{pruner}', which compares single runs, with seeds: {seeds}; needs seeds: 1, or wilcoxon or none"
        yield Complaint(_at("pruner"), told)
    if pruner == "wilcoxon" and seeds < 2:
        told = f"got 'wilcoxon', which compares seed by seed, with seeds: {seeds}; needs seeds of at least 2, or median"
        yield Complaint(_at("pruner"), told)
    if not tuning.space and not tuning.part_ranges:
        yield Complaint(_at("space"), "has no key; needs at least one, such as training.optimizer.lr")
    if tuning.part_ranges and tuning.scope == "experiment":
        yield Complaint(_at("part_ranges"), "goes with scope: arm; write the ranges under `space` with `when`")
    if tuning.time_limit is not None and not tuning.unequal:
        told = (
            f"got {tuning.time_limit}, which gives slow arms fewer trials; needs `unequal: true` beside it (the report "
            "then says so), or `trials` alone"
        )
        yield Complaint(_at("time_limit"), told)


def _objectives(experiment: Experiment, tuning: Tuning) -> Iterator[Complaint]:
    tasks = tasks_of(experiment)
    if tuning.scope == "experiment" and len(tasks) > 1:
        yield Complaint(_at("scope"), f"got 'experiment' with {len(tasks)} tasks; needs one task, or scope: arm")
    names = tuning.objectives
    if names is None:
        return
    if tuning.scope == "arm":
        yield Complaint(_at("objectives"), "goes with scope: experiment; every arm is tuned on its main metric")
        return
    known = {MAIN, *(metric for _, task in tasks.values() for metric in task.metrics)}
    for index, name in enumerate(names):
        if name not in known and name not in COSTS:
            yield Complaint(
                ("tuning", "objectives", index), f"no objective is called '{name}'{suggestion(name, [*known, *COSTS])}"
            )
    if not names or names[0] in COSTS:
        yield Complaint(_at("objectives"), f"got {shown(names)}; the first one needs to be a metric, such as '{MAIN}'")
    if len(set(names)) < len(names):
        yield Complaint(_at("objectives"), f"got {shown(names)}; needs different ones")
    if len(names) > 1 and tuning.pruner != "none":
        yield Complaint(_at("pruner"), f"got '{tuning.pruner}' with several objectives; needs none")
    if len(names) > 1 and tuning.sampler == "cmaes":
        yield Complaint(_at("sampler"), "got 'cmaes' with several objectives; needs tpe, gp, random, grid or qmc")


def _sampler_fits(tuning: Tuning, found: Sequence[Dimension], arm: Arm) -> Iterator[Complaint]:
    """What a sampler asks of the space."""
    if tuning.sampler == "cmaes":
        if find_spec("cmaes") is None:
            yield Complaint(_at("sampler"), "got 'cmaes', which is not installed; pip install 'paribus[cmaes]'")
        for dimension in found:
            if dimension.range.choices is not None:
                told = f"got 'cmaes', which moves numbers, but `{dimension.key}` has choices; needs tpe, gp or random"
                yield Complaint(_at("sampler"), told)
        if len(found) < 2:
            yield Complaint(_at("sampler"), "got 'cmaes' for a single number; needs two at least, or gp or tpe")
    if tuning.sampler == "grid":
        endless = [dimension.key for dimension in found if dimension.range.points() is None]
        for key in endless:
            place: Path = ("tuning", "space", key) if key in tuning.space else _at("sampler")
            told = "has no end of values" if key in tuning.space else f"got 'grid', but `{key}` has no end of values"
            yield Complaint(place, f"{told}; a grid needs `step` or `choices`")
        size = len(grid(arm.tree, found)) if not endless else 0
        if size and tuning.trials is not None and tuning.trials != size:
            told = f"got {tuning.trials}, but the grid of {arm.name} has {size} points; leave `trials` out"
            yield Complaint(_at("trials"), told)


def grid(tree: Tree, found: Sequence[Dimension]) -> list[dict[str, Any]]:
    """All points, each with the keys that have a place there, in the order of the space."""
    points: list[dict[str, Any]] = [{}]
    for dimension in found:
        values = dimension.range.points() or []
        points = [
            {**point, dimension.key: value} if is_asked else point
            for point in points
            for is_asked in [asked(dimension, tree, point)]
            for value in (values if is_asked else [None])
        ]
    return points


def _keys(experiment: Experiment, tuning: Tuning, arms: Sequence[Arm]) -> Iterator[Complaint]:
    """Keys that cannot be tuned, that are not there, or that an arm sets."""
    for key, found in tuning.space.items():
        place: Path = ("tuning", "space", key)
        wrong = _forbidden(key, experiment) or _unknown(key, tuning, arms)
        if wrong:
            yield Complaint(place, wrong, at_key=True)
            continue
        for other in found.when:
            if other not in tuning.space:
                told = f"rests on `{other}`, which is no key of the space{suggestion(other, set(tuning.space) - {key})}"
                yield Complaint((*place, "when"), told)
        if tuning.scope == "arm":
            for arm in arms[1:]:
                setter = next(
                    (name for name, value in arm.changes.items() if _sets(split(name), value, split(key))), None
                )
                if setter is not None:
                    told = (
                        f"is set by the arm '{arm.name}' (`{setter}`), so that arm would not be what it is called; "
                        "tune another key, or take it out of the arm"
                    )
                    yield Complaint(place, told, at_key=True)


def _sets(path: Path, value: Any, key: Path) -> bool:
    """Whether a change writes what stands at a key, or below it."""
    leaves = list(_leaves(path, value)) or [path]
    bare = [leaf[:-1] if leaf[-1] == "kind" else leaf for leaf in leaves]
    return any(leaf[: len(key)] == key for leaf in bare)


def _forbidden(key: str, experiment: Experiment) -> str:
    """Why a key may not be tuned, if so."""
    path = split(key)
    if path[0] == "network" and len(path) > 1 and path[1] != "family":
        return ""
    if path[0] == "training" and len(path) > 1:
        if path[1] in TUNED_TRAINING:
            return ""
        if path[1] in BATCH:
            if experiment.training.unit == "tokens":
                return ""
            return (
                f"cannot be tuned while the budget counts {experiment.training.unit}: a larger batch would see more "
                "data; needs a budget in tokens"
            )
        if path[1] in ("steps", "tokens", "flops"):
            return "cannot be tuned: it is the budget, which is the same for all"
        return "cannot be tuned: it says which result counts; tune network, optimizer or schedule instead"
    if path[0] == "seeds":
        return "cannot be tuned: a lucky seed is no better setting; tune network, optimizer or schedule instead"
    if path[0] in Experiment.model_fields:
        return f"cannot be tuned: `{path[0]}` is the same for all; tune network, optimizer or schedule instead"
    return f"unknown key{suggestion(path[0], ['network', 'training'])}"


def _unknown(key: str, tuning: Tuning, arms: Sequence[Arm]) -> str:
    """Which arm has no field of this name, if so."""
    if tuning.scope == "experiment":
        trees = [arms[0].tree]
        for name, found in tuning.space.items():
            if key.startswith(f"{name}."):
                trees += [apply(arms[0].tree, {name: choice}, ROOT)[0] for choice in found.choices or []]
        return "" if any(has_place(tree, key) for tree in trees) else f"unknown key{_suggested(arms[0].tree, key)}"
    if not any(has_place(arm.tree, key) for arm in arms):
        return f"unknown key{_suggested(arms[0].tree, key)}"
    for arm in arms:
        if not has_place(arm.tree, key):
            kind = _kind_above(arm.tree, split(key))
            lacks = f"its {kind or 'setting'} has no field '{split(key)[-1]}'"
            return (
                f"is no setting of the arm '{arm.name}': {lacks}; needs a key that every arm has, or "
                "part_ranges: true, or scope: experiment"
            )
    return ""


def _suggested(tree: Tree, key: str) -> str:
    """What may have been meant by the first wrong name of a key."""
    slot: Slot = ROOT
    below: Any = tree
    for name in split(key):
        known = children(slot, below) or {}
        if name not in known:
            return suggestion(name, known)
        slot, below = child_slot(slot, below, name), below.get(name) if isinstance(below, Mapping) else None
    return "."


def _kind_above(tree: Any, path: Path) -> str:
    """The kind of the part that a key would stand in."""
    kind = ""
    for name in path:
        if not isinstance(tree, Mapping):
            break
        kind = str(tree["kind"]) if "kind" in tree else kind
        tree = tree.get(name)
    return kind


def _values(tuning: Tuning, key: str, found: Range, arms: Sequence[Arm]) -> Iterator[Complaint]:
    """Values that no trial could take; those that may fit once other keys differ are left to the trials."""
    for index, value in enumerate(found.ends()):
        for arm in arms:
            if not asked(Dimension(key, found.model_copy(update={"when": {}})), arm.tree, {}):
                continue
            _, complaints = variant(arm, {key: value})
            complaint = next((c for c in complaints if not _may_fit(tuning, key, c)), None)
            if complaint is not None:
                end = ("choices", index) if found.choices is not None else (("low", "high")[index],)
                where = "" if arm.name == "baseline" else f"for the arm '{arm.name}': "
                yield Complaint(("tuning", "space", key, *end), where + complaint.message)
                break


def _may_fit(tuning: Tuning, key: str, complaint: Complaint) -> bool:
    """Whether another tuned key could make good what is wrong."""
    others = [split(other) for other in tuning.space if other != key]
    rests = [tuple(str(piece) for piece in path) for path in (complaint.path, *complaint.needs)]
    return any(path[: len(other)] == other or other[: len(path)] == path for path in rests for other in others)
