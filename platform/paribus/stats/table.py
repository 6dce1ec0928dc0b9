"""Contrasts of a table that anybody made: written by hand, or exported by a tracker, long or wide."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from paribus.errors import ParibusError, suggestion
from paribus.stats.contrast import COLUMNS, Observation, compare_all, row
from paribus.stats.correction import Correction
from paribus.stats.verdict import EXCLUDED, FAILURES, Rule

if TYPE_CHECKING:
    import pandas as pd

# How trackers call what we need; the first that a table has counts. Case does not matter.
ARM = ("arm", "config.arm", "params.arm", "variant", "model", "group", "name", "run", "run name", "run_name")
RUN_NAMES = ("name", "run", "run name", "run_name")
SEED = ("seed", "config.seed", "config/seed", "params.seed", "param.seed", "random_seed", "config.random_seed")
STATUS = ("status", "state")
TASK = ("task", "config.task", "params.task", "dataset", "config.dataset")
VALUE_OF = ("{}", "summary.{}", "summary/{}", "metrics.{}", "metric.{}", "test/{}", "test_{}")
STATUSES = {
    **dict.fromkeys(("", "ok", "finished", "complete", "completed", "success", "succeeded", "done"), "ok"),
    **dict.fromkeys(("crashed", "failed", "fail", "error", "killed", "preempted"), "crashed"),
    **{name: name for name in (*FAILURES, EXCLUDED, "interrupted", "running", "pending", "missing")},
    **dict.fromkeys(("scheduled", "queued", "preempting"), "pending"),
}
LARGEST = 1e75  # beyond it a fourth power is infinite, which Welch's degrees of freedom need
SEED_COLUMN = re.compile(r"(?:seed|s)?[ _=-]?(\d+)", re.IGNORECASE)
RUN_COLUMN = re.compile(r"(?P<arm>.+?)[-_/ .]+(?:seed|s)?[ _=-]?(?P<seed>\d+)(?: - (?P<metric>.+))?", re.IGNORECASE)


def contrasts(
    frame: "pd.DataFrame",
    *,
    baseline: str,
    direction: Literal["max", "min"],
    smallest_effect: float | None = None,
    alpha: float = 0.05,
    correction: Correction = "holm",
    min_pairs: int = 3,
    unstable_failure_rate: float = 1 / 3,
    comparisons: Literal["baseline", "all"] = "baseline",
    pairing: Literal["seed", "none"] = "seed",
    variance: Literal["per_arm", "pooled"] = "per_arm",
) -> "pd.DataFrame":
    """One row for each arm of each task, from columns arm, seed, value and, where they are known, status and task."""
    import pandas as pd

    rule = Rule(
        direction,
        smallest_effect,
        alpha,
        correction,
        min_pairs,
        unstable_failure_rate,
        comparisons,
        pairing,
        variance,
    )
    _sound(rule)
    found = [
        {"task": task, **row(contrast)}
        for task, arms in observations(frame, baseline).items()
        for contrast in compare_all(arms, baseline, rule)
    ]
    return pd.DataFrame(found, columns=["task", *COLUMNS])


def _sound(rule: Rule) -> None:
    """Whether the numbers of a rule can be meant; raises ParibusError."""
    choices = {"direction": ("max", "min"), "correction": ("holm", "bh", "none"), "comparisons": ("baseline", "all")}
    choices |= {"pairing": ("seed", "none"), "variance": ("per_arm", "pooled")}
    for name, known in choices.items():
        if getattr(rule, name) not in known:
            raise ParibusError(f"{name}: got {getattr(rule, name)!r}, needs one of {', '.join(known)}")
    if not 0 < rule.alpha < 0.5:
        raise ParibusError(f"alpha: got {rule.alpha}, needs a number above 0 and below 0.5")
    if rule.smallest_effect is not None and not 0 < rule.smallest_effect < float("inf"):
        raise ParibusError(f"smallest_effect: got {rule.smallest_effect}, needs a number above 0")


def observations(frame: "pd.DataFrame", baseline: str) -> dict[str, dict[str, list[Observation]]]:
    """The runs of each arm by task, the baseline first; raises ParibusError where the table cannot be meant."""
    _check(frame)
    found: dict[str, dict[str, list[Observation]]] = {}
    tasks = _column(frame, "task", "")
    statuses = _column(frame, "status", "ok")
    for task, arm, seed, value, status in zip(
        tasks, frame["arm"], frame["seed"], frame["value"], statuses, strict=True
    ):
        # Rows of a wide table are no lines of the file; arm and seed say which cell is meant.
        place = f"arm {_text(arm)}, seed {_plain(seed)}{f', task {_text(task)}' if _text(task) else ''}"
        run = Observation(_plain(seed), _status(status, place), _number(value, place))
        found.setdefault(_text(task), {}).setdefault(_text(arm), []).append(run)
    for task, arms in found.items():
        if baseline not in arms:
            where = f" of task {task}" if task else ""
            raise ParibusError(f"no arm{where} is called {baseline!r}{suggestion(baseline, arms)}")
    return {task: {baseline: arms[baseline], **arms} for task, arms in found.items()}


def _column(frame: "pd.DataFrame", name: str, otherwise: str) -> Iterable[Any]:
    return frame[name] if name in frame else [otherwise] * len(frame)


def _check(frame: "pd.DataFrame") -> None:
    missing = [name for name in ("arm", "seed", "value") if name not in frame]
    if missing:
        raise ParibusError(
            f"the table lacks the column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        )
    if not len(frame):
        raise ParibusError("the table has no rows")
    for name in ("arm", "seed"):
        empty = frame[name].isna()
        if empty.any():
            raise ParibusError(f"row {int(empty.to_numpy().argmax()) + 1} of the table has no {name}")
    keys = [name for name in ("task", "arm", "seed") if name in frame]
    twice = frame[frame.duplicated(keys)]
    if len(twice):
        named = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise ParibusError(f"the table has more than one value for {named}; give each run one row")


def _status(status: object, place: str) -> str:
    word = "" if status != status or status is None else str(status).strip().lower()
    if word not in STATUSES:
        raise ParibusError(f"{place} has the status {status!r}{suggestion(word, filter(None, STATUSES))}")
    return STATUSES[word]


def _number(value: Any, place: str) -> float:
    text = "" if value is None or value != value else str(value).strip()
    try:
        found = float(text or "nan")
        if LARGEST < abs(found) < float("inf"):
            raise ParibusError(f"{place} has the value {text}, which is too large to compare")
        return found
    except ValueError:
        told = f"{place} has the value {text!r}, which is no number"
        raise ParibusError(f"{told}; leave it empty where a run has none, and say why under status") from None


def _plain(seed: Any) -> Any:
    """A seed as it is written, 1 and 1.0 being the same."""
    return int(seed) if isinstance(seed, float) and seed.is_integer() else seed


def _text(name: object) -> str:
    return "" if name is None or name != name else str(name)


def tidy(frame: "pd.DataFrame", *, metric: str = "", baseline: str = "") -> "tuple[pd.DataFrame, str]":
    """A table with columns arm, seed, value, status and task from any table, and the name of its metric.

    | shape                   | columns                                                       |
    |-------------------------|---------------------------------------------------------------|
    | long                    | arm, seed, value; with a column metric, only the chosen one   |
    | a tracker's runs        | Name or config.arm, State, config.seed, and one of the metric |
    | wide, an arm a column   | seed, vanilla, rope, ...                                      |
    | wide, a seed a column   | arm, 1, 2, 3 or seed_1, seed_2, ...                           |
    | wide, a run a column    | Step, "rope-seed1 - acc", ...; the last value counts          |
    """
    if not len(frame):
        raise ParibusError("the table has no rows")
    named = {str(column).strip().lower(): str(column) for column in reversed(frame.columns)}  # the first one counts
    frame = frame.rename(columns=str)
    filled = {name: column for name, column in named.items() if frame[column].notna().any()}
    arm, seed = _first(filled, ARM), _first(named, SEED)
    if arm and seed:
        return _long(frame, named, arm, seed, metric)
    rest = [
        column
        for column in frame.columns
        if column not in (arm, seed) and (column == baseline or column.lower() in TASK or not _words(frame[column]))
    ]
    if seed and not arm and (not baseline or baseline in rest):
        return _melted(frame, seed, _left(rest, (*STATUS, *TASK)), "arm"), metric or "value"
    if arm and rest and all(SEED_COLUMN.fullmatch(column) for column in _left(rest, TASK)):
        return _melted(frame, arm, _left(rest, TASK), "seed"), metric or "value"
    runs = {column: found for column in rest if (found := RUN_COLUMN.fullmatch(column))}
    runs = {column: found for column, found in runs.items() if not column.endswith(("__MIN", "__MAX"))}
    if runs:
        return _curves(frame, runs, metric)
    wanted = " and ".join(name for name, found in (("arm", arm), ("seed", seed)) if not found)
    raise ParibusError(
        f"the table lacks a column for {wanted}; it has {', '.join(frame.columns)}. "
        "A column of arms may also be called Name or config.arm, one of seeds config.seed"
    )


def _first(named: dict[str, str], wanted: Sequence[str]) -> str:
    return next((named[name] for name in wanted if name in named), "")


def _words(column: "pd.Series[Any]") -> bool:
    """Whether a column holds texts and not one number, such as remarks."""
    import pandas as pd

    return bool(column.notna().any() and pd.to_numeric(column, errors="coerce").isna().all())


def _left(columns: Iterable[str], taken: Sequence[str]) -> list[str]:
    return [column for column in columns if column.lower() not in taken]


def _long(frame: "pd.DataFrame", named: dict[str, str], arm: str, seed: str, metric: str) -> "tuple[pd.DataFrame, str]":
    if "metric" in named and "value" in named:
        frame, metric = _of_metric(frame, named["metric"], metric)
        for column in ("split",):
            if column in named and frame[named[column]].nunique() > 1:
                frame = frame[frame[named[column]] == "test"]
        value = named["value"]
    else:
        value = _value(frame, named, {arm, seed, _first(named, STATUS), _first(named, TASK)}, metric)
        metric = metric or value
    picked = frame[[arm, seed, value]].set_axis(["arm", "seed", "value"], axis=1)
    if arm.lower() in RUN_NAMES:
        picked["arm"] = _without_seeds(list(picked["arm"].map(str)), list(picked["seed"].map(_plain)))
    for name, known in (("status", STATUS), ("task", TASK)):
        if column := _first(named, known):
            picked[name] = frame[column]
    return picked.reset_index(drop=True), metric


def _of_metric(frame: "pd.DataFrame", column: str, metric: str) -> "tuple[pd.DataFrame, str]":
    """The rows of one metric, and those of runs that have none."""
    known = list(dict.fromkeys(frame[column].dropna().map(str)))
    if not metric and len(known) > 1:
        raise ParibusError(f"the table has several metrics: {', '.join(known)}; choose one with --metric")
    if metric and metric not in known:
        raise ParibusError(f"--metric: the table has no metric '{metric}'{suggestion(metric, known)}")
    metric = metric or next(iter(known), "value")
    return frame[(frame[column] == metric) | frame[column].isna()], metric


def _value(frame: "pd.DataFrame", named: dict[str, str], taken: set[str], metric: str) -> str:
    """The column that holds the values."""
    if not metric and "value" in named:
        return named["value"]
    candidates = [
        column
        for column in frame.columns
        if column not in taken
        and not column.lower().startswith(("config", "params", "_", "tags"))
        and _numeric(frame[column])
    ]
    if metric:
        found = _first(named, [shape.format(metric.lower()) for shape in VALUE_OF])
        if not found:
            raise ParibusError(f"--metric: the table has no column '{metric}'{suggestion(metric, candidates)}")
        return found
    if len(candidates) == 1:
        return candidates[0]
    told = f"; choose one with --metric: {', '.join(candidates)}" if candidates else ""
    raise ParibusError(f"the table lacks the column value{told or '; it has ' + ', '.join(frame.columns)}")


def _numeric(column: "pd.Series[Any]") -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _without_seeds(names: list[str], seeds: list[object]) -> list[str]:
    """The names of runs as names of arms: without the seed at their end, if all have it there."""
    shorter = [
        re.sub(rf"[-_/ .]+(?:seed|s)?[ _=-]?{re.escape(str(seed))}$", "", name, flags=re.IGNORECASE)
        for name, seed in zip(names, seeds, strict=True)
    ]
    return shorter if all(new and new != old for new, old in zip(shorter, names, strict=True)) else names


def _melted(frame: "pd.DataFrame", key: str, columns: Sequence[str], name: str) -> "pd.DataFrame":
    """A wide table as a long one; `key` becomes the seed (or, where seeds are columns, the arm)."""
    task = [column for column in frame.columns if column.lower() in TASK][:1]
    long = frame.melt(id_vars=[key, *task], value_vars=list(columns), var_name=name, value_name="value")
    long = long.rename(columns={key: "seed" if name == "arm" else "arm", **dict.fromkeys(task, "task")})
    if name == "seed":
        long["seed"] = [int(SEED_COLUMN.fullmatch(str(text))[1]) for text in long["seed"]]  # type: ignore[index]
    return long


def _curves(frame: "pd.DataFrame", runs: "dict[str, re.Match[str]]", metric: str) -> "tuple[pd.DataFrame, str]":
    """The last value of every run that is a column."""
    import pandas as pd

    metrics = list(dict.fromkeys(found["metric"] for found in runs.values() if found["metric"]))
    if metric and metrics and metric not in metrics:
        raise ParibusError(f"--metric: the table has no metric '{metric}'{suggestion(metric, metrics)}")
    if not metric and len(metrics) > 1:
        raise ParibusError(f"the table has several metrics: {', '.join(metrics)}; choose one with --metric")
    metric = metric or next(iter(metrics), "value")
    rows = [
        (found["arm"], int(found["seed"]), known.iloc[-1] if len(known := frame[column].dropna()) else None)
        for column, found in runs.items()
        if found["metric"] in (metric, None)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"]), metric
