"""Experiment -> runs: each arm resolved, each seed named, each run with an id of all that its numbers depend on."""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paribus.errors import shown
from paribus.parts import FAMILIES, Part, spec_class
from paribus.parts.task import TaskSpec
from paribus.spec.analysis import Analysis
from paribus.spec.arms import Arm
from paribus.spec.equivalence import same_functions
from paribus.spec.load import Loaded
from paribus.spec.machine import seconds

# Raised in any commit that changes a number which a run with old settings would give.
RESULTS_VERSION = 2

# Begins the name that the runs of a floor have in the place of an arm's.
FLOOR = "floor:"
# Floors that chance has no part in, so that one seed says all.
COUNTED = ("majority", "ngram")
# Places in a network that are not named for their family.
_FAMILY = {"cross": "mixer", "final_norm": "norm"}


@dataclass(frozen=True)
class Run:
    """One arm on one task with one seed."""

    id: str
    arm: str
    task: str
    seed: int


@dataclass(frozen=True)
class Job:
    """All that a worker needs to train a run; plain values, so that it can cross to another process."""

    id: str
    seed: int
    settings: dict[str, Any]  # network, training, task, decoding, precision
    machine: dict[str, Any]

    @property
    def time_limit(self) -> float | None:
        """In seconds."""
        limit = self.machine["time_limit"]
        return float(seconds(limit)) if limit else None


@dataclass(frozen=True)
class Row:
    """What a report says of an arm."""

    name: str
    changes: dict[str, Any]
    start: str
    differences: list[dict[str, str]]  # resolved: what, where, baseline, arm
    leaks: dict[str, str]  # path of a part -> the promise that it bends
    notes: dict[str, str] = field(default_factory=dict)  # what else a reader must know of it, by a code


@dataclass(frozen=True)
class MetricInfo:
    """What a report must know of a metric."""

    name: str
    title: str
    direction: str
    unit: str
    bounds: list[float] | None


@dataclass(frozen=True)
class TaskInfo:
    """What a report must know of a task."""

    name: str
    kind: str
    main_metric: str
    metrics: list[MetricInfo]
    splits: list[str]
    settings: dict[str, Any]

    @property
    def title(self) -> str:
        """What to call it where it needs a name."""
        return self.name or self.kind


@dataclass(frozen=True)
class Plan:
    """An experiment resolved: all that running, storing and reporting need, as plain data."""

    name: str
    label: str
    question: str
    digest: str  # of everything that the runs and their comparison depend on
    file: str
    text: str
    arms: list[Row]
    tasks: list[TaskInfo]
    seeds: list[int]
    analysis: dict[str, Any]
    settings: dict[str, dict[str, dict[str, Any]]]  # arm -> task -> resolved settings
    machine: dict[str, Any]
    runs: list[Run]
    sets: list[str] = field(default_factory=list)  # changes of the command line
    only: list[str] = field(default_factory=list)  # the arms that it chose; all of them if empty
    claims: list[dict[str, Any]] = field(default_factory=list)
    designs: list[dict[str, Any]] = field(default_factory=list)  # of the generators, with the arm of each cell
    compared: str = ""  # the command that took in a table made elsewhere; such a plan has nothing to run
    sources: str = ""  # digest of what the file and those that it extends say of training
    tuning: dict[str, Any] | None = None  # what the searches taught whose winners these runs are

    @property
    def floors(self) -> list[str]:
        """The names of the untrained reference rows."""
        return list(dict.fromkeys(run.arm for run in self.runs if run.arm.startswith(FLOOR)))

    @property
    def trained(self) -> list[Run]:
        """The runs of arms."""
        return [run for run in self.runs if not run.arm.startswith(FLOOR)]

    def job(self, run: Run) -> Job:
        return Job(run.id, run.seed, self.settings[run.arm][run.task], self.machine)

    @property
    def folder(self) -> str:
        """The name of the report's folder."""
        return f"{self.name}@{self.label}" if self.label else self.name

    def deciding(self, task: TaskInfo) -> tuple[str, str]:
        """The metric that decides on a task, and the split where it is measured: test where the task lacks the one."""
        analysis = Analysis.model_validate(self.analysis)
        split = analysis.split if analysis.split in task.splits else "test"
        return analysis.metric_of(task.name, task.main_metric), split

    def tree(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> "Plan":
        """The plan of its plain data."""
        tasks = [TaskInfo(**{**task, "metrics": [MetricInfo(**m) for m in task["metrics"]]}) for task in tree["tasks"]]
        return cls(
            **{
                **tree,
                "arms": [Row(**row) for row in tree["arms"]],
                "tasks": tasks,
                "runs": [Run(**run) for run in tree["runs"]],
            }
        )


def plan(
    loaded: Loaded,
    *,
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (),
    label: str = "",
    variants: Mapping[tuple[str, str], Arm] = MappingProxyType({}),
    more: Sequence[Arm] = (),
    tuning: dict[str, Any] | None = None,
) -> Plan:
    """All runs of an experiment; with `arms` only the baseline and those, with `seeds` those instead of the file's.

    `variants` stand in for an arm on a task, `more` are arms that the file does not know: both are what `tuning` found.
    """
    chosen = [arm for arm in loaded.arms if not arms or arm.name in arms or arm.name == "baseline"]
    chosen += more
    seeds = list(seeds) or loaded.experiment.seeds
    ids = {
        (arm.name, task): _ids(_identity(variants.get((arm.name, task), arm), task), seeds)
        for arm in chosen
        for task in arm.setting.tasks
    }
    runs = [
        Run(ids[place][seed], *place, seed)
        for seed in seeds  # seed by seed, so that a broken-off experiment has whole pairs
        for place in ids
    ]
    floors = [] if arms else loaded.experiment.floors
    runs += [run for kind in floors for run in _floor_runs(loaded.arms[0], kind, seeds)]
    rows = [_row(arm, loaded.arms[0]) for arm in chosen]
    analysis = loaded.experiment.analysis.model_dump()
    claims = [claim.model_dump() for claim in loaded.experiment.claims]
    compared = {"analysis": analysis, **({"claims": claims} if claims else {})}
    digest = hashed({"runs": [[run.arm, run.task, run.id] for run in runs], **compared})
    return Plan(
        name=loaded.name,
        label=label,
        question=loaded.experiment.question,
        digest=digest,
        file=str(loaded.file),
        text=loaded.file.read_text(encoding="utf-8-sig"),
        arms=rows,
        tasks=[_task(name, task) for name, task in loaded.arms[0].setting.tasks.items()],
        seeds=list(seeds),
        analysis=analysis,
        settings={
            **{
                arm.name: {task: settings_of(variants.get((arm.name, task), arm), task) for task in arm.setting.tasks}
                for arm in chosen
            },
            **{f"{FLOOR}{kind}": _floor_settings(loaded.arms[0], kind) for kind in floors},
        },
        machine=loaded.experiment.machine.model_dump(),
        runs=runs,
        sets=list(loaded.sets),
        only=list(arms),
        claims=claims,
        designs=list(loaded.designs),
        sources=loaded.sources,
        tuning=tuning,
    )


def settings_of(arm: Arm, task: str) -> dict[str, Any]:
    """Of all runs of an arm on a task, as plain data."""
    setting = arm.setting
    return {
        "network": setting.network.model_dump(),
        "training": setting.training.model_dump(),
        "task": setting.tasks[task].model_dump(),
        "decoding": setting.decoding.model_dump(),
        "precision": setting.precision,
    }


def _floor_settings(baseline: Arm, kind: str) -> dict[str, dict[str, Any]]:
    return {task: {**settings_of(baseline, task), "floor": kind} for task in baseline.setting.tasks}


def _floor_runs(baseline: Arm, kind: str, seeds: Sequence[int]) -> Iterator[Run]:
    seeds = seeds[:1] if kind in COUNTED else seeds
    ids = {}
    for task in baseline.setting.tasks:
        identity = {"floor": kind, **_identity(baseline, task), "training": None, "precision": 32}
        if kind != "random_network":  # the others know nothing of the network but whose words it reads
            network = baseline.setting.network
            shared = network.family == "decoder" or network.embeddings.shared_vocabulary
            identity = {**identity, "network": shared, "sources": {}}
        ids[task] = _ids(identity, seeds)
    return (Run(ids[task][seed], f"{FLOOR}{kind}", task, seed) for seed in seeds for task in ids)


def outside_parts(arms: Iterable[Arm]) -> Iterator[tuple[str, Part]]:
    """Every part from outside of paribus with its family, each with the same settings once."""
    told: set[str] = set()
    for arm in arms:
        setting = arm.setting
        named = [(path.rpartition(".")[2], part) for path, part in setting.network.parts()]
        named += [("task", task) for task in setting.tasks.values()]
        named += [("decoding", setting.decoding)]
        named += [("optimizer", setting.training.optimizer), ("schedule", setting.training.schedule)]
        for place, part in named:
            family = _FAMILY.get(place, place)
            key = hashed([family, part.identity()])
            if "." in part.kind and key not in told:
                told.add(key)
                yield family, part


def run_id(arm: Arm, task: str, seed: int) -> str:
    """The identity of a run: names, texts, analysis and machine are no part of it."""
    return _ids(_identity(arm, task), [seed])[seed]


def _identity(arm: Arm, task: str) -> dict[str, Any]:
    """What the runs of an arm on a task have in common."""
    setting = arm.setting
    spec = setting.tasks[task]
    assert isinstance(spec, TaskSpec)
    named = [part for _, part in setting.network.parts()]
    named += [spec, setting.decoding, setting.training.optimizer, setting.training.schedule]
    outside = sorted({part.kind for part in named if "." in part.kind})
    return {
        "results": RESULTS_VERSION,
        "network": setting.network.identity(),
        "training": setting.training.identity(),
        "task": spec.fingerprint(),
        "decoding": setting.decoding.identity(),
        "precision": setting.precision,
        "sources": {kind: source_of(kind) for kind in outside},
    }


def _ids(identity: Mapping[str, Any], seeds: Iterable[int]) -> dict[int, str]:
    """The mark of an identity with each seed; what runs have in common is written once, as there may be thousands."""
    before = _written({key: value for key, value in identity.items() if key < "seed"}).removesuffix("}")
    after = _written({key: value for key, value in identity.items() if key > "seed"}).removeprefix("{")
    return {seed: _mark(f'{before},"seed":{seed},{after}') for seed in seeds}


def hashed(value: Any) -> str:
    """A short mark of plain data."""
    return _mark(_written(value))


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_of(kind: str) -> str:
    """A hash of an outside part's source, and of what it imports from its own package."""
    found: dict[str, str] = {}
    waiting = [kind]
    while waiting:
        module = waiting.pop()
        file = _file_of(module)
        if module in found or file is None:
            continue
        text = file.read_text(encoding="utf-8")
        found[module] = hashlib.sha256(text.encode()).hexdigest()
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        waiting += [package] if package else []  # importing a module runs those of the packages around it
        waiting += [name for name in _imports(text, package) if name.split(".")[0] == kind.split(".")[0]]
    return hashed(found)


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _imports(text: str, inside: str) -> Iterator[str]:
    """The modules that a source names, relative ones from the package that it stands in."""
    package = inside.split(".") if inside else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{name.name}" for name in node.names)


def _row(arm: Arm, baseline: Arm) -> Row:
    parts = arm.setting.network.parts()
    leaks = {path: ", ".join(sorted(part.leaking())) for path, part in parts if part.leaking()}
    decoder = arm.setting.network.decoder
    if decoder is not None and decoder.leaking():
        leaks["decoder"] = "future"
    changed = differences(baseline.setting.tree(), arm.setting.tree())
    same = same_functions(baseline.setting.network, arm.setting.network)
    notes = dict(arm.notes)
    if same:
        notes["SAMECLASS"] = f"can compute the same functions as the baseline: {same}"
    return Row(arm.name, dict(arm.changes), arm.start, changed, leaks, notes)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every resolved value that differs: what, where, baseline, arm; places that differ alike are told once."""
    left, right = dict(_values(one, ())), dict(_values(other, ()))
    places: dict[tuple[str, str, str], list[str]] = {}
    for path in dict.fromkeys([*left, *right]):
        before, after = left.get(path, "—"), right.get(path, "—")
        if before != after and not _inside_a_swap(path, left, right):
            where, what = _place(path)
            told = (what, before + _extras(path, left, right), after + _extras(path, right, left))
            places.setdefault(told, []).append(where)
    layers = {side: max(_layers(one, side), _layers(other, side)) for side in ("encoder", "decoder")}
    return [
        {"what": what, "where": _where(where, layers), "baseline": before, "arm": after}
        for (what, before, after), where in places.items()
    ]


def _extras(path: tuple[str, ...], own: Mapping[Any, str], other: Mapping[Any, str]) -> str:
    """Fields that only this part has, where they are not at their defaults: ` (hidden 8)`."""
    family = _FAMILY.get(path[-1], path[-1])
    if family not in FAMILIES or own.get(path, "null") in ("null", "—"):
        return ""
    told = []
    for name, known in spec_class(family, own[path]).model_fields.items():
        inner = (*path, name)
        default = known.get_default(call_default_factory=True)
        plain = default.kind if isinstance(default, Part) else shown(default)
        if inner in own and inner not in other and own[inner] != plain:
            told.append(f"{name} {own[inner]}")
    return f" ({', '.join(told)})" if told else ""


def _inside_a_swap(path: tuple[str, ...], left: Mapping[Any, str], right: Mapping[Any, str]) -> bool:
    """Whether a value is a field that came or went with another kind, at its default: the kind says it."""
    return (path not in left or path not in right) and any(
        path[:length] in left and path[:length] in right and left[path[:length]] != right[path[:length]]
        for length in range(1, len(path))
    )


def _layers(tree: Mapping[str, Any], side: str) -> int:
    stack = tree["network"].get(side)
    return len(stack["layers"]) if stack else 0


def _place(path: tuple[str, ...]) -> tuple[str, str]:
    """(where, what): `network.decoder.layers.0.cross.heads` is heads of the mixer in `decoder cross 0`."""
    if path[0] != "network" or len(path) < 3 or path[1] not in ("encoder", "decoder"):
        return "", ".".join(path[1:] if path[0] in ("network", "tasks") else path)
    if path[2] != "layers":
        return path[1], ".".join(path[2:])
    index, rest = path[3], path[4:]
    if rest[0] == "cross":
        return f"{path[1]} cross {index}", ".".join(("mixer", *rest[1:]))
    return f"{path[1]} {index}", ".".join(rest)


def _where(places: list[str], layers: Mapping[str, int]) -> str:
    """`encoder 0, encoder 1` is `encoder` where it has two layers."""
    found: dict[str, list[str]] = {}
    for place in places:
        name, _, index = place.rpartition(" ")
        if index.isdigit():
            found.setdefault(name, []).append(index)
        elif place:
            found.setdefault(place, [])
    told = []
    for name, indices in found.items():
        whole = not indices or len(indices) == layers[name.split()[0]]
        told.append(name if whole else f"{name} layer {', '.join(indices)}")
    return ", ".join(told)


def _values(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Single values by path; at the path of a part stands its kind."""
    if isinstance(tree, Mapping) and "kind" in tree:
        fields = {key: value for key, value in tree.items() if key != "kind"}
        yield path, str(tree["kind"])
        for key, value in fields.items():
            yield from _values(value, (*path, key))
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _values(value, (*path, str(key)))
    elif isinstance(tree, list) and tree and isinstance(tree[0], Mapping):
        for index, value in enumerate(tree):
            yield from _values(value, (*path, str(index)))
    else:
        yield path, shown(tree)


@cache
def metric_info(name: str) -> MetricInfo:
    spec: Any = spec_class("metric", name)
    bounds = None if spec.bounds is None else list(spec.bounds)
    return MetricInfo(name, spec.title, spec.direction, spec.unit, bounds)


def _task(name: str, task: Part) -> TaskInfo:
    assert isinstance(task, TaskSpec)
    metrics = [metric_info(metric) for metric in task.metrics]
    splits = [split for split in task.splits if split != "training"]
    return TaskInfo(name, task.kind, task.metrics[0], metrics, splits, task.model_dump())
