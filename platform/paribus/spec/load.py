"""A file becomes an experiment with all its arms, or one list of everything that is wrong, each with its place."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from paribus.errors import Place, Problem, SpecError, shown, suggestion
from paribus.spec.arms import ROOT, Arm, Origin, arms, checked, validated
from paribus.spec.experiment import Experiment, Headline
from paribus.spec.fits import Tasks, analysis_fits, claims_fit
from paribus.spec.override import Complaint, Group, Path, Tree, apply, replaced
from paribus.spec.rules import known_tasks, match_fits
from paribus.spec.source import Source, label, parse, read
from paribus.spec.space import ranges, search_rules
from paribus.spec.wording import said

MAKE_ARMS = {"arms", "vary", "network", "task", "tasks", "training"}  # keys whose mistakes may cost arms


@dataclass(frozen=True)
class Loaded:
    """An experiment without mistakes, and its arms, the baseline first."""

    experiment: Experiment
    arms: tuple[Arm, ...]
    file: FilePath
    sets: tuple[str, ...] = ()
    sources: str = ""  # as `sources` gives it
    designs: tuple[dict[str, Any], ...] = ()  # of the generators, with the arm of each cell

    @property
    def name(self) -> str:
        assert self.experiment.name is not None
        return self.experiment.name


@dataclass
class _Reading:
    """The sources of one experiment, the newest last, and what is wrong with them."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: tuple[object, ...], *, at_key: bool = False) -> Place | None:
        """Where a path stands: in the newest source that has it, else where its nearest parent does."""
        for length in range(len(path), 0, -1):
            for source in reversed(self.sources):
                if path[:length] in source.values:
                    return source.place(path[:length], at_key=at_key and length == len(path))
        return Place(self.sources[-1].file, 1, 1) if self.sources else None

    def complain(self, path: tuple[object, ...], complaint: Complaint) -> None:
        self.problems.append(Problem(label(path), complaint.message, self.place(path, at_key=complaint.at_key)))


def load(file: FilePath | str, sets: Sequence[str] = ()) -> Loaded:
    """The experiment of a file with `key=value` changes of its baseline; raises SpecError with every problem."""
    file = FilePath(file)
    reading = _Reading()
    _read_all(file, reading, ())
    if any(problem.key == "extends" for problem in reading.problems):  # what is missing may make the rest right
        raise SpecError(_in_order(reading))
    for folder in (str(file.resolve().parent), str(FilePath.cwd())):  # where a user's own parts may lie
        if folder not in sys.path:
            sys.path.append(folder)
    tree = _defaults()
    complaints: list[Complaint] = []
    for source in reading.sources:
        tree = _written(tree, source)
    tree, wrong = _with_sets(tree, sets, reading)
    complaints += wrong
    experiment, mistakes = validated(tree)
    complaints += mistakes
    written = {tuple(str(piece) for piece in path) for source in reading.sources for path in source.values}
    _, broken = checked(experiment, [_words(complaint.path) for complaint in complaints], written)
    complaints += [*_required(experiment, complaints, reading), *broken, *match_fits(experiment)]
    for complaint in complaints:
        reading.complain(_as_written(reading, complaint.path), complaint)
    found = arms(experiment, complaints)
    for origin, complaint in found.complaints:
        path, told = _path_in_arm(origin, complaint)
        reading.complain(path, replace(complaint, message=told))
    if not any(problem.key.split(".")[0] in MAKE_ARMS for problem in reading.problems):  # else some may be missing
        names = [arm.name for arm in found.arms]
        names += [f"{name}:matched" for name in names if experiment.training.match is not None]
        left_out = {bad.path[1] for bad in complaints if len(bad.path) > 1 and bad.path[0] == "claims"}
        left = [index for index in range(len(tree["claims"])) if index not in left_out]
        for complaint in claims_fit(experiment.claims, experiment.analysis, known_tasks(experiment), names):
            first, *rest = complaint.path
            reading.complain((first, left[rest[0]], *rest[1:]) if first == "claims" else complaint.path, complaint)
    known = {complaint.message for complaint in complaints}
    wrong_below = {complaint.path[:2] for complaint in complaints if len(complaint.path) > 2}
    for complaint in search_rules(experiment, found.arms):
        # What was left out for its mistakes is not missed again, and what is wrong anyhow is not the range's fault.
        if complaint.path not in wrong_below and complaint.message not in known:
            reading.complain(complaint.path, complaint)
    if reading.problems:
        raise SpecError(_in_order(reading))
    return Loaded(experiment, tuple(found.arms), file, tuple(sets), _digest(reading.sources), tuple(found.designs))


@contextmanager
def forgetting() -> Iterator[None]:
    """What files import from beside them is forgotten at the end, so that the next file finds its own modules."""
    paths, modules = list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        folders = set(sys.path) - set(paths)
        beside = [name for name in set(sys.modules) - modules if _folder(name.partition(".")[0]) in folders]
        for name in beside:
            del sys.modules[name]
        sys.path[:] = paths  # last: a package without __init__.py looks up there where it lies
        ranges.cache_clear()  # they are known by the names of parts


def _folder(package: str) -> str | None:
    """Where a package or a module was imported from."""
    module = sys.modules.get(package)
    places = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
    return str(FilePath(places[0]).parent) if places[0] else None


def headline(file: FilePath | str, tasks: Tasks | None = None, arms: Sequence[str] | None = None) -> Headline:
    """Name, question, analysis and claims of a file without looking at the rest; raises SpecError.

    Analysis and claims must fit the tasks and arms, if those are given.
    """
    reading = _Reading()
    _read_all(FilePath(file), reading, ())
    tree: Tree = {}
    for source in reading.sources:
        picked = {key: value for key, value in source.data.items() if key in Headline.model_fields}
        tree = replaced(tree, Group(Headline), picked)
    try:
        found = Headline.model_validate(tree)
    except ValidationError as error:
        for detail in error.errors():
            path = tuple(str(piece) for piece in detail["loc"])
            at = tuple(piece if isinstance(piece, int) else str(piece) for piece in detail["loc"])
            reading.complain(at, Complaint(at, said(detail, Headline, path, tree)))
        raise SpecError(_in_order(reading)) from None
    if found.name is None:
        raise SpecError([Problem("name", "is missing; it names the folder under reports/", Place(str(file), 1, 1))])
    if tasks is not None:
        _complain(reading, analysis_fits(found.analysis, tasks))
        _complain(reading, claims_fit(found.claims, found.analysis, tasks, arms))
    if reading.problems:
        raise SpecError(_in_order(reading))
    return found


def _complain(reading: _Reading, complaints: Iterable[Complaint]) -> None:
    for complaint in complaints:
        reading.complain(complaint.path, complaint)


def sources(file: FilePath | str) -> str:
    """A digest of what a file and those that it extends say of training, or of which arms there are."""
    reading = _Reading()
    _read_all(FilePath(file), reading, ())
    return _digest(reading.sources)


def _digest(read_in: Sequence[Source]) -> str:
    free = {*Headline.model_fields, "claims", "tracking", "extends", "machine"}
    trees = [{key: value for key, value in source.data.items() if key not in free} for source in read_in]
    machines = [source.data.get("machine") for source in read_in]
    precisions = [found["precision"] for found in machines if isinstance(found, dict) and "precision" in found]
    text = json.dumps([trees, precisions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _defaults() -> Tree:
    return Experiment().model_dump(by_alias=True)


def _read_all(file: FilePath, reading: _Reading, chain: tuple[FilePath, ...]) -> None:
    """Read a file after the files that it extends."""
    source = read(file)
    reading.problems += source.problems
    extended = source.data.get("extends", [])
    paths = [extended] if isinstance(extended, str) else extended if isinstance(extended, list) else []
    wrong = [path for path in paths if not isinstance(path, str)] or (
        [] if isinstance(extended, str | list) else [extended]
    )
    if wrong:
        told = f"got {shown(wrong[0])}, needs the path of a file, or a list of paths"
        reading.problems.append(Problem("extends", told, source.place(("extends",))))
    for index, path in enumerate(paths):
        if not isinstance(path, str):
            continue
        at = ("extends",) if isinstance(extended, str) else ("extends", index)
        other = file.parent / path
        if other.resolve() in [earlier.resolve() for earlier in (*chain, file)]:
            circle = " -> ".join(earlier.name for earlier in (*chain, file, other))
            reading.problems.append(
                Problem("extends", f"the files extend each other in a circle: {circle}", source.place(at))
            )
            continue
        try:
            _read_all(other, reading, (*chain, file))
        except SpecError as error:
            if not other.exists():
                reading.problems.append(
                    Problem("extends", f"there is no file {path!r} beside this one", source.place(at))
                )
            else:
                reading.problems += error.problems
    reading.sources.append(source)


def _written(tree: Tree, source: Source) -> Tree:
    """The tree with what a file writes; files do not inherit whom the others extend."""
    changes = {key: value for key, value in source.data.items() if key != "extends"}
    result: Tree = replaced(tree, ROOT, changes)
    return result


def _with_sets(tree: Tree, sets: Sequence[str], reading: _Reading) -> tuple[Tree, list[Complaint]]:
    """The tree with the changes of the command line, each of which counts as a file of its own."""
    changes: dict[str, Any] = {}
    for text in sets:
        key, sign, value = text.partition("=")
        place = Place(f"--set {text}", 1, 1)
        if not sign or not key.strip():
            reading.problems.append(Problem("--set", f"got {text!r}, needs key=value", place))
            continue
        if key.strip() in changes:
            reading.problems.append(Problem(key.strip(), "is set twice; keep one of them", place))
            continue
        source = parse(f"value: {value or 'null'}", f"--set {text}")
        reading.problems += source.problems
        changes[key.strip()] = source.data.get("value")
        path: Path = tuple(key.strip().split("."))
        reading.sources.append(
            Source(
                source.file,
                {},
                values={(*path, *at[1:]): place for at in source.values if at[:1] == ("value",)} | {path: place},
            )
        )
    known = [name for name in Experiment.model_fields if name != "extends"]
    for key in [key for key in changes if key.split(".")[0] not in known]:
        message = f"unknown key{suggestion(key.split('.')[0], known)}"
        reading.problems.append(Problem(key, message, Place(f"--set {key}={changes.pop(key)}", 1, 1)))
    tree, complaints = apply(tree, changes, ROOT)
    return tree, [Complaint(tuple(complaint.path[0].split(".")), complaint.message) for complaint in complaints]


def _required(experiment: Experiment, complaints: list[Complaint], reading: _Reading) -> list[Complaint]:
    """What a file must say and does not."""
    wrong = {complaint.path[0] for complaint in complaints if complaint.path}
    wrong |= {problem.key.split(".")[0] for problem in reading.problems}
    missing = []
    if experiment.name is None and "name" not in wrong:
        missing.append(Complaint(("name",), "is missing; it names the folder under reports/"))
    if experiment.task is None and not experiment.tasks and not wrong & {"task", "tasks"}:
        missing.append(Complaint(("task",), "is missing; needs `task`, or several under `tasks`"))
    both = [source for source in reading.sources if {"task", "tasks"} <= source.data.keys()]
    if both:
        missing.append(Complaint(("tasks",), "stands beside `task`; keep one of them", at_key=True))
    return missing


def _words(path: tuple[object, ...]) -> Path:
    return tuple(str(piece) for piece in path)


def _as_written(reading: _Reading, path: tuple[object, ...]) -> tuple[object, ...]:
    """The path with a shorthand's `kind` left away, as the user wrote it."""
    if path and path[-1] == "kind" and not any(path in source.values for source in reading.sources):
        return path[:-1]
    return path


def _path_in_arm(origin: Origin, complaint: Complaint) -> tuple[tuple[object, ...], str]:
    """Where in the file the change stands that a complaint about an arm is about, and how to tell it there."""
    path = _words(complaint.path)
    if len(path) == 1 and path[0] in origin.changes:  # the complaint names the dotted key itself
        return origin.changes[path[0]], complaint.message
    for wanted in (path, *complaint.needs):
        found = _nearest(origin, wanted)
        if found and (wanted == path):
            return found, complaint.message
        if found:
            return found, f"does not go with `{'.'.join(path)}` of the baseline: {complaint.message}"
    if len(origin.changes) == 1 and path:
        return next(iter(origin.changes.values())), f"does not go with `{'.'.join(path)}`: {complaint.message}"
    return origin.path, complaint.message


def _nearest(origin: Origin, wanted: tuple[str, ...]) -> tuple[object, ...] | None:
    """The change that sets a value: the longest key that leads to it, else one that lies below it."""
    above: dict[int, tuple[object, ...]] = {}
    below: tuple[object, ...] | None = None
    for key, place in origin.changes.items():
        parts = tuple(key.removesuffix(".kind").split("."))
        if wanted[: len(parts)] == parts:
            above[len(parts)] = (*place, *wanted[len(parts) :])
        elif wanted and parts[: len(wanted)] == wanted:
            below = below or place
    return above[max(above)] if above else below


def _in_order(reading: _Reading) -> list[Problem]:
    """Problems without doubles, in the order of the files and lines."""
    order = {source.file: index for index, source in enumerate(reading.sources)}

    def position(problem: Problem) -> tuple[int, int, int]:
        place = problem.place
        return (order.get(place.file, -1), place.line, place.column) if place else (-1, 0, 0)

    return sorted(dict.fromkeys(reading.problems), key=position)
