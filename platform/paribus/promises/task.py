"""What tasks promise."""

import json

from paribus.errors import Broken
from paribus.parts import Part, kinds
from paribus.parts.task import UNKNOWN, Example, GeneratedSpec, Task, TaskSpec
from paribus.promises.promise import DoesNotApply, promise

SMALL = {"training_examples": 40, "validation_examples": 12, "test_examples": 12}
SHORT = 8  # tokens of a source, so that few have to be listed


def small(spec: Part, **changes: object) -> TaskSpec:
    """The task with few examples, where it makes its own."""
    if not isinstance(spec, TaskSpec):
        raise Broken("its Spec does not derive from paribus.parts.task.TaskSpec")
    if not isinstance(spec, GeneratedSpec):
        return spec.model_copy(update=changes)
    fewer = spec.model_copy(update={**SMALL, **changes})
    longest = getattr(spec, "longest", 0)
    shorter = fewer.model_copy(update={"longest": SHORT}) if longest > SHORT else fewer
    fits = getattr(spec, "shortest", 0) <= SHORT and shorter.space() > 2 * sum(SMALL.values())
    return shorter if fits else fewer


def examples(spec: TaskSpec) -> dict[str, list[Example]]:
    task = spec.build()
    if not isinstance(task, Task):
        raise Broken(f"build gives a {type(task).__name__}, needs a paribus.parts.task.Task")
    return {split: list(task.examples(split)) for split in spec.splits}


@promise("the same settings give the same data, another seed gives others")
def same_data(spec: Part, seed: int) -> None:
    one = small(spec)
    if examples(one) != examples(small(spec)):
        raise Broken("two builds gave other examples")
    if "seed" in type(spec).model_fields:
        other = small(spec, seed=getattr(spec, "seed", 0) + 1)
        if examples(one)["training"] == examples(other)["training"]:
            raise Broken("another seed gave the same examples")
        if one.fingerprint() == other.fingerprint():
            raise Broken("its fingerprint is the same for another seed, so runs on other data would share an id")
    json.dumps(one.fingerprint())


@promise("no source is in two splits")
def disjoint(spec: Part, seed: int) -> None:
    found = examples(small(spec))
    home: dict[tuple[str, ...], str] = {}
    for split, rows in found.items():
        for row in rows:
            other = home.setdefault(row.source, split)
            if other != split:
                raise Broken(f"a source is in {other} and in {split}", " ".join(row.source)[:60])


@promise("every split has examples, as many as were asked for")
def sizes(spec: Part, seed: int) -> None:
    asked = small(spec)
    for split, rows in examples(asked).items():
        if not rows:
            raise Broken(f"the split {split} is empty")
        wanted = getattr(asked, f"{split}_examples", None)
        if isinstance(spec, GeneratedSpec) and wanted is not None and len(rows) != wanted:
            raise Broken(f"the split {split} has {len(rows)} examples, {wanted} were asked for")


@promise("a smaller training split is part of a larger one")
def nested(spec: Part, seed: int) -> None:
    if not isinstance(spec, GeneratedSpec):
        raise DoesNotApply("does not make its own examples")
    few, many = ({row.source for row in examples(small(spec, training_examples=n))["training"]} for n in (20, 40))
    if not few <= many:
        raise Broken(f"{len(few - many)} of 20 examples are not among 40")


@promise("each source decides its target")
def decided(spec: Part, seed: int) -> None:
    if not isinstance(spec, GeneratedSpec):
        raise DoesNotApply("does not make its own examples")
    told: dict[tuple[str, ...], tuple[str, ...]] = {}
    for rows in examples(small(spec)).values():
        for row in rows:
            if told.setdefault(row.source, row.target) != row.target:
                raise Broken("a source has two targets", " ".join(row.source)[:60])


@promise("the vocabulary has every token of the training split")
def vocabulary(spec: Part, seed: int) -> None:
    asked = small(spec)
    task = asked.build()
    for row in task.examples("training"):
        if UNKNOWN in task.source_vocabulary.encode(row.source):
            raise Broken("a source has a token that the vocabulary lacks", " ".join(row.source)[:60])
        if asked.shape == "labels" and (len(row.target) != 1 or row.target[0] not in task.target_vocabulary.tokens):
            raise Broken("a target is not one of the labels", " ".join(row.target)[:60])
        if asked.shape != "labels" and UNKNOWN in task.target_vocabulary.encode(row.target):
            raise Broken("a target has a token that the vocabulary lacks", " ".join(row.target)[:60])


@promise("its metrics are known")
def metrics(spec: Part, seed: int) -> None:
    found = small(spec).metrics
    unknown = [metric for metric in found if metric not in kinds("metric")]
    if unknown or not found:
        raise Broken(f"names the metrics {', '.join(unknown) or '(none)'}, known are {', '.join(kinds('metric'))}")


PROMISES = (same_data, disjoint, sizes, nested, decided, vocabulary, metrics)
