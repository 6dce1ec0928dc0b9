"""What must hold between settings that are each right by themselves. Every rule yields complaints with their paths."""

from collections.abc import Iterator, Mapping
from typing import Any

from paribus.errors import shown, suggestion
from paribus.parts import Part, Surroundings
from paribus.parts.schedule import ScheduleSpec
from paribus.parts.task import TaskSpec
from paribus.spec.experiment import Experiment
from paribus.spec.fits import KnownTask, analysis_fits
from paribus.spec.network import SIDES_OF, Architecture, Network, Stack
from paribus.spec.override import Complaint, Path, get, split

# Which families can learn which shape of task.
FAMILIES_OF: dict[str, tuple[str, ...]] = {
    "pairs": ("encoder_decoder", "decoder"),
    "labels": ("encoder", "decoder"),
}


def tasks_of(experiment: Experiment) -> dict[str, tuple[Path, TaskSpec]]:
    """Each task with its path in the file; the name is empty where there is only one."""
    if experiment.tasks:
        named: dict[str, tuple[Path, Part]] = {name: (("tasks", name), task) for name, task in experiment.tasks.items()}
    else:
        named = {"": (("task",), experiment.task)} if experiment.task else {}
    return {name: (path, task) for name, (path, task) in named.items() if isinstance(task, TaskSpec)}


def rules(experiment: Experiment, network: Architecture) -> list[Complaint]:
    return [
        *_parts_fit(experiment, network),
        *_tasks_fit(experiment),
        *_embeddings_fit(experiment),
        *_budget(experiment),
        *_devices(experiment),
        *_metrics(experiment),
    ]


def _parts_fit(experiment: Experiment, network: Architecture) -> Iterator[Complaint]:
    """Every part says whether it can act where it stands."""
    for side, stack in network.stacks().items():
        yield from _position_fits(experiment, side, stack)
        for index, layer in enumerate(stack.layers):
            places = [
                ("mixer", "self", layer.mixer),
                ("norm", "norm", layer.norm),
                ("feedforward", "feedforward", layer.feedforward),
            ]
            if layer.cross is not None:
                places.append(("cross", "cross", layer.cross))
            for name, place, part in places:
                around = Surroundings(
                    width=network.width,
                    place=place,
                    side=side,
                    bidirectional=side == "encoder",
                    accumulate=experiment.training.accumulate,
                    devices=experiment.machine.devices,
                )
                at = written_at(experiment.network, side, index, name)
                allowed = getattr(part, "places", None)
                if allowed is not None and place not in allowed:
                    yield Complaint(("network", *at), f"a {part.kind} cannot stand in {place} position", needs=())
                for misfit in part.misfits(around):
                    inner = tuple(misfit.field.split(".")) if misfit.field else ()
                    needs = tuple(_needed(need) for need in misfit.needs)
                    yield Complaint(("network", *at, *inner), misfit.message, needs=needs)


def _position_fits(experiment: Experiment, side: str, stack: Stack) -> Iterator[Complaint]:
    """A position that acts in self-attention needs one there, with heads that it can serve."""
    kind, written = stack.position.kind, experiment.network
    if getattr(stack.position, "acts_on", "") != "attention":
        return
    at = ("network", *((side, "position") if "position" in getattr(written, side) else ("position",)))
    mixers = [layer.mixer for layer in stack.layers if layer.mixer.kind == "attention"]
    if not mixers:
        told = (
            f"got '{kind}', which acts in self-attention, but no layer here attends; needs none, sinusoidal or learned"
        )
        yield Complaint(at, told, needs=(("network", "mixer"),))
    heads = {mixer.model_dump()["heads"] for mixer in mixers}
    if kind == "relative" and len(heads) > 1:
        yield Complaint(at, "got 'relative', which needs as many heads in all layers of a side")
    for mixer in mixers:
        fields = mixer.model_dump()
        width = fields["head_width"] or written.width // fields["heads"]
        if kind == "rotary" and width % 2:
            told = f"got 'rotary', which turns pairs of channels, but heads here are {width} wide"
            yield Complaint(at, told, needs=(("network", "mixer", "heads"), ("network", "width")))
            break


def _needed(need: str) -> Path:
    return split(need) if need.startswith(("training.", "machine.")) else ("network", *split(need))


def written_at(network: Network, side: str, index: int, field: str) -> Path:
    """Where the file says what one field of one layer is: under its layer, its side, or the block."""
    layers: Mapping[str, Any] = getattr(network.layers, side)
    depth = (getattr(network, side).get("depth")) or network.depth
    for name in (str(index), "last" if index == depth - 1 else ""):
        if name and isinstance(layers.get(name), Mapping) and field in layers[name]:
            return ("layers", side, name, field)
    if field in getattr(network, side):
        return (side, field)
    return ("mixer",) if field == "cross" and network.cross is None else (field,)


def _tasks_fit(experiment: Experiment) -> Iterator[Complaint]:
    for path, task in tasks_of(experiment).values():
        fitting = FAMILIES_OF[task.shape]
        if experiment.network.family not in fitting:
            yield Complaint(
                ("network", "family"),
                f"got '{experiment.network.family}', but the task {task.kind} has {task.shape}: "
                f"needs {' or '.join(fitting)}",
                needs=((*path, "kind"),),
            )
        around = Surroundings(width=experiment.network.width, place="task", side="")
        for misfit in task.misfits(around):
            yield Complaint((*path, misfit.field), misfit.message, needs=tuple((*path, need) for need in misfit.needs))
        size = experiment.training.batch.examples
        if size is not None and size > task.training_examples:
            yield Complaint(
                ("training", "batch", "examples"),
                f"got {size}, more than the {task.training_examples} training examples of the task",
                needs=((*path, "training_examples"),),
            )


def _embeddings_fit(experiment: Experiment) -> Iterator[Complaint]:
    """What embeddings share has to be there on both ends."""
    network = experiment.network
    labelled = [path for path, task in tasks_of(experiment).values() if task.shape == "labels"]
    if network.embeddings.tied and labelled:
        told = "got true, but a task with labels reads out labels, not tokens"
        yield Complaint(("network", "embeddings", "tied"), told, needs=((*labelled[0], "kind"),))
    if network.embeddings.shared_vocabulary and network.family != "encoder_decoder":
        told = (
            "has no place to act: a decoder alone always has one vocabulary"
            if network.family == "decoder"
            else "has no place to act: an encoder has one vocabulary only"
        )
        yield Complaint(("network", "embeddings", "shared_vocabulary"), told, needs=(("network", "family"),))


def _budget(experiment: Experiment) -> Iterator[Complaint]:
    training = experiment.training
    schedule = training.schedule
    if isinstance(schedule, ScheduleSpec) and schedule.rise(training.budget) >= training.budget:
        yield Complaint(
            ("training", "schedule", "warmup"),
            f"got {shown(schedule.warmup)}, not below the budget of {training.budget:g} {training.unit}",
            needs=(("training", training.unit),),
        )
    every = training.evaluate.every
    if isinstance(every, int) and training.steps is not None and every > training.steps:
        yield Complaint(
            ("training", "evaluate", "every"),
            f"got {every}, more than the budget of {training.steps} steps; 1.0 evaluates at the end only",
            needs=(("training", "steps"),),
        )


def _devices(experiment: Experiment) -> Iterator[Complaint]:
    """Several devices share out each batch, and each kind of device knows some precisions only."""
    machine, size = experiment.machine, experiment.training.batch.examples
    if machine.devices == 1 and machine.strategy != "auto":
        told = f"got {shown(machine.strategy)}, but it has no place to act with one device"
        yield Complaint(("machine", "strategy"), told, needs=(("machine", "devices"),))
    if machine.precision == 16 and machine.accelerator == "cpu":
        told = "got 16, but CPUs compute in 32 or bf16 only"
        yield Complaint(("machine", "precision"), told, needs=(("machine", "accelerator"),))
    if machine.devices > 1 and machine.accelerator == "mps":
        yield Complaint(("machine", "devices"), f"got {machine.devices}, but there is one mps device only")
    if size is not None and size < machine.devices:
        told = f"got {machine.devices}, more than the {size} examples of a batch"
        yield Complaint(("machine", "devices"), told, needs=(("training", "batch", "examples"),))


def match_fits(experiment: Experiment) -> Iterator[Complaint]:
    """What is changed to make arms equal must be a whole number of the network."""
    match = experiment.training.match
    if match is None:
        return
    path = split(match.by)
    value = get({"network": experiment.network.model_dump()}, path)
    if isinstance(value, bool) or not isinstance(value, int):
        told = f"got '{match.by}', needs the key of a whole number that the baseline's network has, such as"
        yield Complaint(("training", "match", "by"), f"{told} network.feedforward.width", needs=(("network",),))


def _metrics(experiment: Experiment) -> Iterator[Complaint]:
    monitor = experiment.training.monitor
    for path, task in tasks_of(experiment).values():
        if monitor not in task.metrics:
            message = f"the task {task.kind} has no metric called '{monitor}'{suggestion(monitor, task.metrics)}"
            yield Complaint(("training", "monitor"), message, needs=(path,))
    yield from analysis_fits(experiment.analysis, known_tasks(experiment))


def known_tasks(experiment: Experiment) -> dict[str, KnownTask]:
    """What an analysis can ask of each task."""
    return {
        name: KnownTask(task.kind, task.metrics, [split for split in task.splits if split != "training"], path)
        for name, (path, task) in tasks_of(experiment).items()
    }


def without_a_place(experiment: Experiment, network: Architecture, written: set[Path]) -> Iterator[Complaint]:
    """Written keys that could change nothing in this network."""
    family = experiment.network.family
    idle: dict[str, str] = {}
    for side in ("encoder", "decoder"):
        if side not in SIDES_OF[family]:
            idle[side] = idle[f"layers.{side}"] = f"has no place to act: a network of family {family} has no {side}"
    if family != "encoder_decoder":
        idle["cross"] = idle["decoder.cross"] = (
            f"has no place to act: a network of family {family} reads no other sequence"
        )
    if family == "encoder":
        idle["causal"] = "has no place to act: an encoder sees all tokens"
    else:
        idle["readout"] = f"has no place to act: only the encoder family pools, this network is of family {family}"
    if network.decoder is not None and not network.decoder.reads_ahead():
        idle["causal"] = "has no place to act: no mixer of the decoder could see later tokens"
    for key, message in idle.items():
        path = ("network", *split(key))
        if path in written and get(experiment.network.model_dump(), split(key)) != {}:
            yield Complaint(path, message, at_key=True, needs=(("network", "family"),))
    shapes = {task.shape for _, task in tasks_of(experiment).values()}
    if shapes == {"labels"} and ("decoding",) in written:
        yield Complaint(("decoding",), "has no place to act: a task with labels writes nothing", at_key=True)


def hidden_by_sides(network: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[Complaint]:
    """Changes of a block field that a side or a layer of the start overrides."""
    overridden = list(_overridden(network))
    for key, value in changes.items():
        path = split(key)
        if path[0] != "network":
            continue
        for change in _reach(path[1:], value):
            for prefix, field in overridden:
                general = _generalised(change, prefix)
                if general is None or not _overlap(general, field):
                    continue
                narrow = ".".join(("network", *prefix, *field))
                if not any(_overlap(split(other), split(narrow)) for other in changes if other != key):
                    yield Complaint(
                        (key,),
                        f"would be hidden: the baseline's `{narrow}` sets it for itself; change that key instead",
                    )


def _reach(path: Path, value: Any) -> list[Path]:
    """What a change touches: all of a part whose kind it changes, else the fields it names."""
    if path and path[-1] == "kind":
        return [path[:-1]]
    if isinstance(value, Mapping) and "kind" not in value:
        return [inner for key, item in value.items() for inner in _reach((*path, str(key)), item)]
    return [path]


def _overridden(network: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """(side or layer, field) of everything that sides and layers set for themselves."""
    for side in ("encoder", "decoder"):
        for field in _fields(network[side]):
            yield (side,), field
        for name, written in network["layers"][side].items():
            for field in _fields(written):
                yield ("layers", side, name), field


def _fields(written: Any) -> Iterator[Path]:
    for key, value in written.items() if isinstance(written, Mapping) else ():
        if value is not None:
            yield from _reach((key,), value)


def _generalised(change: Path, prefix: Path) -> Path | None:
    """The block field that a change reaches below a side or a layer, or None if it does not reach there."""
    if not change or change[:1] == ("layers",):
        return None
    if change[0] in ("encoder", "decoder"):
        return change[1:] if prefix[0] == "layers" and prefix[1] == change[0] else None
    return change


def _overlap(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return length > 0 and one[:length] == other[:length]
