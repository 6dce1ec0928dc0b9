"""Tidy tables of everything: one row a fact, numbers unrounded, missing ones empty."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TypeAlias

from paribus.errors import ParibusError
from paribus.planning import Plan, hashed
from paribus.report.attention import PLACES, label
from paribus.report.claims import Claimed
from paribus.report.comparison import Section
from paribus.report.confirm import Shrinkage
from paribus.report.effects import Explained
from paribus.report.overall import Overall
from paribus.report.results import Results, metric_named
from paribus.report.warnings import Compared, Warning
from paribus.stats.contrast import COLUMNS, Contrast, row
from paribus.stats.ranks import Rank
from paribus.store.record import Outcome, Record

Cell: TypeAlias = str | int | float | bool | None
Table: TypeAlias = tuple[Mapping[str, Cell], ...]


def written(table: Table, columns: Sequence[str]) -> str:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_shown(line.get(column)) for column in columns] for line in table)
    return text.getvalue()


def packed(table: Table, columns: Sequence[str]) -> bytes:
    """The table as Parquet; raises ParibusError where pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ParibusError("--format parquet needs pyarrow: pip install 'paribus[parquet]'") from None
    arrays = {name: [_clean(line.get(name)) for line in table] for name in columns}
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({name: pyarrow.array(_alike(values)) for name, values in arrays.items()}), file)
    return file.getvalue()


def _clean(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not isfinite(cell) else cell


def _alike(values: list[Cell]) -> list[Cell]:
    """A column has one kind of value: whole numbers beside others become floats."""
    if any(isinstance(value, float) for value in values):
        return [float(value) if isinstance(value, int) else value for value in values]
    return values


def lines(table: Table) -> str:
    """The table as JSON, one object a line."""
    return "".join(json.dumps(dict(line), ensure_ascii=False) + "\n" for line in table)


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return format(cell, ".17g") if isfinite(cell) else ""
    return str(cell)


RUNS = (
    "experiment",
    "arm",
    "is_baseline",
    "task",
    "seed",
    "status",
    "fail_step",
    "fail_reason",
    "metric",
    "split",
    "direction",
    "value",
    "value_reason",
    "checkpoint_step",
    "tokens_seen",
    "params_total",
    "params_nonembed",
    "flops_per_token",
    "tokens_per_s",
    "peak_mem_bytes",
    "wall_s",
    "device",
    "tuned_trials",
    "config_hash",
    "git_rev",
    "run_id",
    "attempts",
    "started_at",
    "finished_at",
)


def runs(results: Results) -> Table:
    """A row for every score of every run; a run without scores has one row."""
    return tuple(_runs(results))


def _runs(results: Results) -> Iterator[dict[str, Cell]]:
    tasks = {task.name: task for task in results.plan.tasks}
    trials = _trials(results.plan)
    configurations = {
        (arm, task): hashed(setting) for arm, of in results.plan.settings.items() for task, setting in of.items()
    }
    for run in results.plan.runs:
        outcome = results.outcome(run.arm, run.task, run.seed)
        record = outcome.record
        line: dict[str, Cell] = {
            "experiment": results.plan.name,
            "arm": run.arm,
            "is_baseline": run.arm == results.baseline,
            "task": run.task,
            "seed": run.seed,
            "status": outcome.status,
            "fail_reason": outcome.error,
            "tuned_trials": trials.get((run.arm, run.task), 0),
            "config_hash": configurations.get((run.arm, run.task), ""),
            "run_id": run.id,
            "attempts": outcome.attempts,
        }
        if record is None:
            yield line
            continue
        line |= _facts(outcome, record)
        if not record.scores:
            yield line
        for score in record.scores:
            direction = metric_named(tasks[run.task], score.metric).direction
            yield line | {
                "metric": score.metric,
                "split": score.split,
                "direction": direction,
                "value": score.value,
                "value_reason": score.reason,
            }


def _trials(plan: Plan) -> dict[tuple[str, str], int]:
    """How many trials each arm's settings were chosen from; one search over all is that of every arm it proposed."""
    if not plan.tuning:
        return {}
    found = {(search["arm"], search["task"]): len(search["trials"]) for search in plan.tuning["searches"]}
    confirmed = (plan.tuning["confirm"] or {}).get("arms", ())
    return found if not confirmed else {(arm, task): count for (_, task), count in found.items() for arm in confirmed}


CONTRASTS = ("experiment", "task", "metric", "split", "unit", "role", *COLUMNS)


def contrasts(found: Iterable[Contrast], **where: str) -> Table:
    """A row for every contrast; `where` is what they have in common."""
    return tuple({**where, **row(contrast)} for contrast in found)


def _facts(outcome: Outcome, record: Record) -> dict[str, Cell]:
    return {
        "fail_step": record.fail_step,
        "fail_reason": record.reason or outcome.error,
        "checkpoint_step": record.chosen_step,
        "tokens_seen": record.tokens,
        "params_total": record.cost.get("parameters"),
        "params_nonembed": record.cost.get("parameters_without_embeddings"),
        "flops_per_token": record.cost.get("flops_per_token"),
        "tokens_per_s": record.speed,
        "peak_mem_bytes": record.peak_memory,
        "wall_s": record.seconds,
        "device": str(record.environment.get("device_name", "")),
        "git_rev": str(record.environment.get("revision", "")),
        "started_at": record.started_at,
        "finished_at": record.finished_at,
    }


CURVES = ("experiment", "arm", "task", "seed", "split", "metric", "step", "tokens", "seconds", "value")


def curves(results: Results) -> Table:
    """A row for every point of every learning curve."""
    return tuple(_curves(results))


def _curves(results: Results) -> Iterator[dict[str, Cell]]:
    for run in results.plan.runs:
        record = results.outcome(run.arm, run.task, run.seed).record
        columns = dict(record.curves) if record else {}
        smoothed = _smoothed(results, run.arm, run.task)
        places = {name: columns.pop(name, []) for name in ("step", "tokens", "seconds")}
        for name, values in columns.items():
            split, _, metric = name.partition("_")
            metric = "smoothed_loss" if smoothed and name == "train_loss" else metric
            for index, value in enumerate(values):
                at = {axis: _whole(column[index]) for axis, column in places.items() if index < len(column)}
                here: dict[str, Cell] = {
                    "experiment": results.plan.name,
                    "arm": run.arm,
                    "task": run.task,
                    "seed": run.seed,
                    "split": split,
                    "metric": metric,
                }
                yield {**here, **at, "value": value}


def _smoothed(results: Results, arm: str, task: str) -> bool:
    """Whether the loss of training is not the one that is reported, but with label smoothing."""
    settings = results.plan.settings.get(arm, {}).get(task, {})
    return bool(settings.get("training", {}).get("label_smoothing"))


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


CLAIMS = ("text", "stated", "task", "answer", "sentence", "crossing", "crossing_low", "crossing_high", *COLUMNS)


def claims(found: Iterable[Claimed]) -> Table:
    """A row for every claim and task, with the contrast or the crossing that it rests on."""
    return tuple(
        {
            **(row(claimed.contrast) if claimed.contrast else {}),
            "text": claimed.text,
            "stated": claimed.stated,
            "task": claimed.task,
            "answer": claimed.answer,
            "sentence": claimed.sentence,
            "crossing": claimed.crossing.x if claimed.crossing else None,
            "crossing_low": claimed.crossing.interval.low if claimed.crossing else None,
            "crossing_high": claimed.crossing.interval.high if claimed.crossing else None,
        }
        for claimed in found
    )


EFFECTS = (
    "task", "metric", "split", "design", "kind", "term", "level", "against", "at", "estimate", "ci_low", "ci_high",
    "df", "df_residual", "F", "p", "p_holm", "omega2p", "first", "last",
)  # fmt: skip


def effects(found: Iterable[Explained]) -> Table:
    """A row for every marginal mean, step, simple effect and share of a change."""
    return tuple(
        {"task": part.task, "metric": part.metric.name, "split": part.split, "design": part.kind, **line}
        for part in found
        for line in (*_of_design(part), *_of_shares(part))
    )


def _of_design(part: Explained) -> Iterator[dict[str, Cell]]:
    if part.design is None:
        return
    for mean in part.design.means:
        told = {
            "kind": "mean",
            "term": _told(name for name, _ in mean.levels),
            "level": _told(v for _, v in mean.levels),
        }
        yield {**told, "estimate": mean.mean, "ci_low": mean.interval.low, "ci_high": mean.interval.high}
    for effect in part.design.effects:
        of = {"df": effect.df, "df_residual": part.design.df, "F": effect.f, "p_holm": effect.p_holm}
        for step in (*effect.steps, *effect.simple):
            yield {
                **of,
                "omega2p": effect.omega2,
                "kind": "simple" if step.at else "effect" if len(effect.factors) == 1 else "interaction",
                "term": _told(effect.factors),
                "level": _told(value for _, value in step.levels),
                "against": _told(value for _, value in step.against),
                "at": _told(f"{name}={value}" for name, value in step.at),
                "estimate": step.estimate,
                "ci_low": step.interval.low,
                "ci_high": step.interval.high,
                "p": step.p,
            }


def _of_shares(part: Explained) -> Iterator[dict[str, Cell]]:
    for share in part.attribution.shares if part.attribution else ():
        ends = share.effect.interval
        yield {
            "kind": "share",
            "term": share.change,
            "estimate": share.effect.mean,
            "ci_low": ends.low,
            "ci_high": ends.high,
            "df_residual": share.effect.df,
            "p": share.effect.p,
            "p_holm": share.p,
            "first": share.first,
            "last": share.last,
        }


def _told(words: Iterable[str]) -> str:
    return " x ".join(words)


HEADS = (
    "experiment",
    "arm",
    "task",
    "seed",
    "place",
    "layer",
    "head",
    "entropy",
    "distance",
    "distance_nosink",
    "diagonal_mass",
    "prev_mass",
    "sink_mass",
    "label",
)


def heads(results: Results) -> Table:
    """A row for every head of every run that keeps its attention."""
    return tuple(_heads(results))


def _heads(results: Results) -> Iterator[dict[str, Cell]]:
    for task in results.plan.tasks:
        for arm in results.plan.arms:
            for seed, kept in results.kept_of(arm.name, task.name):
                for head in kept.heads:
                    yield {
                        "experiment": results.plan.name,
                        "arm": arm.name,
                        "task": task.name,
                        "seed": seed,
                        "place": PLACES.get((head.side, head.place), head.side),
                        "layer": head.layer,
                        "head": head.head,
                        "entropy": head.entropy,
                        "distance": head.distance,
                        "distance_nosink": head.distance_without_first,
                        "diagonal_mass": head.diagonal,
                        "prev_mass": head.previous,
                        "sink_mass": head.first,
                        "label": label(head),
                    }


LENGTHS = ("experiment", "arm", "task", "seed", "bin_low", "bin_high", "n_examples", "metric", "value")


def lengths(results: Results, sections: Sequence[Section]) -> Table:
    """A row for every length of every run that keeps its scores example by example."""
    return tuple(
        {
            "experiment": results.plan.name,
            "arm": arm,
            "task": task.name,
            "seed": seed,
            "bin_low": one.low,
            "bin_high": one.high,
            "n_examples": one.count,
            "metric": section.lengths.metric,
            "value": value,
        }
        for task, section in zip(results.plan.tasks, sections, strict=True)
        if section.lengths
        for arm, runs in section.lengths.values.items()
        for seed, values in runs.items()
        for one, value in zip(section.lengths.bins, values, strict=True)
    )


NOISE = (
    "experiment", "arm", "task", "metric", "split", "n_examples", "improvement", "se_examples", "se_seeds",
    "ci_examples_low", "ci_examples_high", "ci_both_low", "ci_both_high",
)  # fmt: skip


def noise(found: Iterable[Compared]) -> Table:
    """A row for every contrast whose scores are kept example by example."""
    return tuple(
        {
            "experiment": part.results.plan.name,
            "arm": arm,
            "task": part.task.name,
            "metric": part.metric.name,
            "split": part.split,
            "n_examples": size,
            "improvement": one.mean,
            "se_examples": one.se_examples,
            "se_seeds": one.se_seeds,
            "ci_examples_low": one.by_examples.low,
            "ci_examples_high": one.by_examples.high,
            "ci_both_low": one.by_both.low,
            "ci_both_high": one.by_both.high,
        }
        for part in found
        for arm, (size, one) in part.test_noise.items()
    )


OVERALL = ("experiment", "arm", "improvement", "ci_low", "ci_high", "share_won", "share_won_low", "share_won_high")


def overall(found: Iterable[Overall], experiment: str) -> Table:
    """A row for every arm over several tasks."""
    return tuple(
        {
            "experiment": experiment,
            "arm": one.arm,
            "improvement": one.improvement.value,
            "ci_low": one.improvement.interval.low,
            "ci_high": one.improvement.interval.high,
            "share_won": one.share_won.value,
            "share_won_low": one.share_won.interval.low,
            "share_won_high": one.share_won.interval.high,
        }
        for one in found
    )


RANKS = ("experiment", "task", "arm", "rank", "rank_low", "rank_high", "share_first")


def ranks(found: Mapping[str, Iterable[Rank]], experiment: str) -> Table:
    """A row for every arm of every task."""
    return tuple(
        {
            "experiment": experiment,
            "task": task,
            "arm": one.arm,
            "rank": one.rank,
            "rank_low": one.low,
            "rank_high": one.high,
            "share_first": one.first,
        }
        for task, some in found.items()
        for one in some
    )


def samples(results: Results) -> Table:
    """A row for every kept sample of every run."""
    return tuple(
        {
            "experiment": results.plan.name,
            "arm": arm.name,
            "task": task.name,
            "seed": seed,
            "row": sample.row,
            "source": sample.source,
            "target": sample.target,
            "output": sample.output,
            "right": sample.right,
        }
        for task in results.plan.tasks
        for arm in results.plan.arms
        for seed, kept in results.kept_of(arm.name, task.name)
        for sample in kept.samples
    )


CONFIRMED = (
    "experiment", "task", "arm", "seeds", "improvement", "ci_low", "ci_high", "verdict", "improvement_fresh",
    "ci_low_fresh", "ci_high_fresh", "verdict_fresh", "left", "confirmed",
)  # fmt: skip


def confirmed(found: Iterable[Shrinkage], experiment: str) -> Table:
    """A row for every arm that was trained again on fresh seeds, and task."""
    return tuple(
        {
            "experiment": experiment,
            "task": one.task,
            "arm": one.first.arm,
            "seeds": one.seeds,
            "improvement": one.first.paired.mean,
            "ci_low": one.first.paired.interval.low,
            "ci_high": one.first.paired.interval.high,
            "verdict": one.first.verdict,
            "improvement_fresh": one.again.paired.mean,
            "ci_low_fresh": one.again.paired.interval.low,
            "ci_high_fresh": one.again.paired.interval.high,
            "verdict_fresh": one.again.verdict,
            "left": one.left,
            "confirmed": one.confirmed,
        }
        for one in found
    )


WARNINGS = ("experiment", "code", "task", "arm", "message", "effect", "remedy")


def warnings(found: Iterable[Warning], experiment: str) -> Table:
    """A row for every warning and arm."""
    return tuple(
        {
            "experiment": experiment,
            "code": warning.code,
            "task": warning.task,
            "arm": arm,
            "message": warning.evidence,
            "effect": warning.effect,
            "remedy": warning.remedy,
        }
        for warning in found
        for arm in warning.arms or ("",)
    )
