"""Whether an analysis and its claims fit the tasks and arms that there are. Needs no part, so reports ask it too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from paribus.errors import suggestion
from paribus.spec.analysis import Analysis
from paribus.spec.claims import MEASURES, PROBED, PROBES, Claim
from paribus.spec.override import Complaint, Path


@dataclass(frozen=True)
class KnownTask:
    """What an analysis can ask of a task; `path` is where the task stands in the file."""

    kind: str
    metrics: Sequence[str]
    splits: Sequence[str]
    path: Path = ("task",)


Tasks = Mapping[str, KnownTask]  # by name; the name is empty where there is only one


def analysis_fits(analysis: Analysis, tasks: Tasks) -> Iterator[Complaint]:
    """Metrics, splits and tasks that an analysis names and that there are not."""
    for name, task in tasks.items():
        wanted = [(("analysis", "metric"), analysis.metric_of(name, task.metrics[0]))]
        wanted += [(("analysis", "secondary"), metric) for metric in analysis.secondary]
        for at, metric in wanted:
            if metric not in task.metrics:
                message = f"the task {task.kind} has no metric called '{metric}'{suggestion(metric, task.metrics)}"
                yield Complaint(at, message, needs=(task.path,))
        if analysis.split not in task.splits:
            known = suggestion(analysis.split, task.splits)
            message = f"the task {task.kind} has no split called '{analysis.split}'{known}"
            yield Complaint(("analysis", "split"), message, needs=(task.path,))
    names = {name for name in tasks if name}
    for field in ("metric", "smallest_effect"):
        value = getattr(analysis, field)
        for key in value if isinstance(value, Mapping) else ():
            if key not in names and not (field == "smallest_effect" and key == "relative"):
                yield Complaint(("analysis", field, key), f"names no task{suggestion(key, names)}", needs=(("tasks",),))


def claims_fit(
    claims: Sequence[Claim], analysis: Analysis, tasks: Tasks, arms: Sequence[str] | None
) -> Iterator[Complaint]:
    """Arms, tasks, metrics and splits that claims or `analysis.reference` name and that there are not.

    Without `arms`, which a changed file may have others of, any name may stand for one.
    """
    for index, claim in enumerate(claims):
        for complaint in _claim_fits(claim, analysis, tasks, arms):
            yield Complaint(("claims", index, *complaint.path), complaint.message, complaint.at_key)
    for arm in analysis.reference:
        if arm != "source" and arms is not None and arm not in arms:
            yield Complaint(("analysis", "reference", arm), f"names no arm{suggestion(arm, arms)}", at_key=True)


def _claim_fits(claim: Claim, analysis: Analysis, tasks: Tasks, arms: Sequence[str] | None) -> Iterator[Complaint]:
    named: list[tuple[Path, str | None]] = [(("arm",), claim.arm), (("against",), claim.against)]
    if claim.crossing is not None:
        named = [(("crossing", "series"), arm) for arm in claim.crossing.series]
    for path, arm in named:
        if arm is not None and arms is not None and arm not in arms:
            yield Complaint(path, f"'{arm}' names no arm{suggestion(arm, arms)}")
    if claim.arm is not None and claim.arm == claim.against:
        yield Complaint(("arm",), f"is compared with itself; `against` names '{claim.against}' too")
    if claim.task is not None and claim.task not in tasks:
        yield Complaint(("task",), f"names no task{suggestion(claim.task, [name for name in tasks if name])}")
        return
    for name, task in tasks.items():
        if claim.task in (None, name):
            yield from _measure_fits(claim, analysis, task)


def _measure_fits(claim: Claim, analysis: Analysis, task: KnownTask) -> Iterator[Complaint]:
    metric = claim.metric
    if metric is not None and metric not in (*task.metrics, *MEASURES):
        known = suggestion(metric, [*task.metrics, *MEASURES])
        yield Complaint(("metric",), f"the task {task.kind} has no metric called '{metric}'{known}")
        return
    splits = PROBES if metric in PROBED else () if metric in MEASURES else task.splits
    if claim.split is not None and claim.split not in splits:
        known = suggestion(claim.split, splits) or f"; {metric} is of the whole run"
        yield Complaint(("split",), f"there is no split called '{claim.split}'{known}")
    if metric in MEASURES and not MEASURES[metric] and claim.expect in ("better", "worse", "not_worse"):
        message = (
            f"got {claim.expect}, but {metric} has no good direction; needs higher, lower, different or equivalent"
        )
        yield Complaint(("expect",), message)
    has_margin = claim.smallest_effect is not None or (metric is None and analysis.smallest_effect is not None)
    if claim.expect in ("equivalent", "not_worse") and not has_margin:
        where = "here" if metric is not None else "here or under `analysis`"
        yield Complaint(("expect",), f"got {claim.expect}, which needs a smallest_effect {where}")
