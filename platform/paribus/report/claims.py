"""What became of the claims that a file makes: supported, refuted or undecided, with a sentence for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan
from statistics import fmean
from typing import Any, Literal

from paribus.planning import MetricInfo, Row, TaskInfo
from paribus.report.numbers import decimals, equation, general, interval, plural, signed
from paribus.report.results import Results, metric_named
from paribus.spec.claims import MEASURES, PROBED, PROBES, Claim
from paribus.stats.contrast import Contrast, Observation, compare
from paribus.stats.crossing import Crossing, crossing
from paribus.stats.verdict import Rule, flips

Answer = Literal["supported", "refuted", "undecided"]
EXACT = ("parameters", "parameters_without_embeddings", "flops_per_token")  # equal for all seeds, so nothing to test
HEADS = ("entropy", "distance", "distance_without_first", "diagonal", "previous", "first")
EXPECTED = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
    "not_worse": "is not worse than",
    "different": "differs from",
    "higher": "is higher than",
    "lower": "is lower than",
}


@dataclass(frozen=True)
class Claimed:
    """One claim on one task, with what it rests on."""

    text: str  # the author's own
    stated: str  # what it says in our words
    task: str
    answer: Answer
    sentence: str
    contrast: Contrast | None = None
    crossing: Crossing | None = None
    curve: tuple[str, str, str] = ("", "", "")  # of a crossing: the setting and the two series


def claims(results: Results, contrasts: Mapping[str, Mapping[str, Contrast]]) -> tuple[Claimed, ...]:
    """All claims of a plan, in their order; `contrasts` are the main ones by task and arm."""
    made = [Claim.model_validate(tree) for tree in results.plan.claims]
    return tuple(
        _crossed(results, claim, task)
        if claim.crossing is not None
        else _compared(results, claim, task, made, contrasts)
        for claim in made
        for task in results.plan.tasks
        if claim.task in (None, task.name)
    )


# Claims about an arm


def _compared(
    results: Results,
    claim: Claim,
    task: TaskInfo,
    made: Sequence[Claim],
    contrasts: Mapping[str, Mapping[str, Contrast]],
) -> Claimed:
    assert claim.arm is not None
    metric, split = _measure(results, claim, task)
    stated = f"{claim.arm} {EXPECTED[claim.expect]} {claim.against} in {metric.title}" + (
        f" on {split}" if split else ""
    )
    start = Claimed(claim.text, stated, task.title, "undecided", "")
    missing = [arm for arm in (claim.arm, claim.against) if arm not in [row.name for row in results.plan.arms]]
    if missing:
        return replace(start, sentence=f"Undecided: {missing[0]} was not run.")
    contrast = _contrast(results, claim, task, metric, split, made, contrasts)
    answer = _exactly(contrast, claim) if metric.name in EXACT else _answer(contrast, claim)
    return replace(start, answer=answer, sentence=_sentence(contrast, claim, metric, answer), contrast=contrast)


def _measure(results: Results, claim: Claim, task: TaskInfo) -> tuple[MetricInfo, str]:
    """What a claim is about, and where it is measured."""
    main = results.metric(task)
    if claim.metric is None:
        return main, claim.split or results.split(task)
    if claim.metric in MEASURES and claim.metric not in [metric.name for metric in task.metrics]:
        title = claim.metric.replace("_", " ")
        info = MetricInfo(claim.metric, title, MEASURES[claim.metric], "", None)
        return info, (claim.split or PROBES[0]) if claim.metric in PROBED else ""
    return metric_named(task, claim.metric), claim.split or results.split(task)


def _contrast(
    results: Results,
    claim: Claim,
    task: TaskInfo,
    metric: MetricInfo,
    split: str,
    made: Sequence[Claim],
    contrasts: Mapping[str, Mapping[str, Contrast]],
) -> Contrast:
    """The main contrast where a claim is about it; else one in a family of all claims about the same numbers."""
    assert claim.arm is not None
    is_main = (metric.name, split) == (results.metric(task).name, results.split(task))
    main = contrasts.get(task.name, {}).get(claim.arm)
    if is_main and main is not None and main.baseline == claim.against and claim.smallest_effect is None:
        return main
    rule = results.rule(task, metric, split)
    rule = replace(rule, smallest_effect=claim.smallest_effect or (rule.smallest_effect if is_main else None))
    family = [claim.arm] + [
        other.arm
        for other in made
        if other.arm is not None
        and other.task in (None, task.name)
        and other.against == claim.against
        and _measure(results, other, task) == (metric, split)
    ]
    arms = {arm: observed(results, arm, task.name, metric.name, split) for arm in (claim.against, *family)}
    return compare(arms, claim.against, rule)[claim.arm]


def observed(results: Results, arm: str, task: str, metric: str, split: str) -> list[Observation]:
    """One for each planned run, of a score or of any other number that is stored."""
    runs = results.observations(arm, task, metric, split)
    if split or metric not in MEASURES:
        return runs
    records = dict(results.records(arm, task))
    heads = _heads(results, arm, task, metric) if metric in HEADS else {}
    found = []
    for run in runs:
        assert isinstance(run.seed, int)
        record, status = records.get(run.seed), results.status(arm, task, run.seed)
        value: float | None = heads.get(run.seed)
        if record is not None and metric not in HEADS:
            known = {"speed": record.speed, "seconds": record.seconds, "memory": record.peak_memory}
            value = known.get(metric, record.cost.get(metric))
        missing = value is None and status == "ok"  # it ended well, but nobody kept this
        found.append(Observation(run.seed, "missing" if missing else status, nan if value is None else float(value)))
    return found


def _heads(results: Results, arm: str, task: str, metric: str) -> dict[int, float]:
    """A head statistic of each run, as the mean over its heads."""
    found = {}
    for seed, kept in results.kept_of(arm, task):
        values = [value for head in kept.heads if (value := getattr(head, metric)) is not None]
        if values:
            found[seed] = fmean(values)
    return found


def _exactly(contrast: Contrast, claim: Claim) -> Answer:
    """For counts that are the same for all seeds: they are what they are."""
    if not contrast.paired.n:
        return "undecided"
    value = contrast.rule.sign * contrast.paired.mean
    margin = contrast.rule.smallest_effect or 0.0
    holds = {"higher": value > 0, "lower": value < 0, "different": value != 0, "equivalent": abs(value) <= margin}
    return "supported" if holds[claim.expect] else "refuted"


def _answer(contrast: Contrast, claim: Claim) -> Answer:
    """Supported and refuted both need what a verdict needs; a gap in the evidence is undecided."""
    if contrast.verdict in ("insufficient", "unstable", "failed", "identical", "not applicable"):
        return "undecided"
    holds, fails = _sides(contrast, claim.expect)
    lost = holds and claim.expect in ("better", "equivalent", "not_worse", "higher", "lower")
    if lost and flips(
        "better" if claim.expect != "equivalent" else "equivalent", contrast.counts, _favoured(contrast, claim)
    ):
        return "undecided"
    return "supported" if holds else "refuted" if fails else "undecided"


def _favoured(contrast: Contrast, claim: Claim) -> Any:
    """The pairs with those won that go the way of the claim."""
    pairs = contrast.paired
    towards = {"higher": 1, "lower": -1}.get(claim.expect, contrast.rule.sign) * contrast.rule.sign
    return pairs if towards > 0 else replace(pairs, won=pairs.n - pairs.won)


def _sides(contrast: Contrast, expect: str) -> tuple[bool, bool]:
    """Whether the numbers carry a claim, and whether they carry its opposite."""
    pairs, rule, verdict = contrast.paired, contrast.rule, contrast.verdict
    differs, equal = contrast.p <= rule.alpha, contrast.p_tost <= rule.alpha
    margin, wide = rule.smallest_effect, pairs.simultaneous
    beyond = margin is not None and (wide.low > margin or wide.high < -margin)
    up = pairs.mean > 0
    raw_up = up if rule.direction == "max" else not up
    if expect in ("better", "worse"):
        is_up = expect == "better"
        return differs and not equal and up == is_up, (differs and up != is_up) or equal
    if expect in ("higher", "lower"):
        is_up = expect == "higher"
        return differs and not equal and raw_up == is_up, (differs and raw_up != is_up) or equal
    if expect == "different":
        return differs and not equal, equal
    if expect == "equivalent":
        return equal, beyond
    assert expect == "not_worse", verdict
    return contrast.p_not_worse <= rule.alpha, margin is not None and wide.high < -margin


def _sentence(contrast: Contrast, claim: Claim, metric: MetricInfo, answer: Answer) -> str:
    pairs = contrast.paired
    if not pairs.n:
        return "Undecided: no pair of finished runs has this number."
    places = decimals([pairs.se])
    unit = f" {metric.unit}" if metric.unit else ""
    sign = contrast.rule.sign  # the difference as it stands in the table, not turned
    if metric.name in EXACT:
        return f"{answer.capitalize()}: the difference is {general(sign * pairs.mean)}, the same for all seeds."
    low, high = sorted((sign * pairs.interval.low, sign * pairs.interval.high))
    ends = interval(low, high, places)
    seen = f"{signed(sign * pairs.mean, places)}{unit}" + (f" {ends}" if ends else "")
    p = "" if isnan(contrast.p) else f", {equation(contrast.p)}"
    margin = contrast.rule.smallest_effect
    within = f", smallest effect ±{general(margin)}" if margin is not None else ""
    between = f"{contrast.arm} minus {contrast.baseline} is {seen}"
    told = f"{answer.capitalize()}: {between} over {plural(pairs.n, 'pair')}{p}{within}."
    return told + _why(contrast) if answer == "undecided" else told


def _why(contrast: Contrast) -> str:
    reasons = {
        "insufficient": " There are too few pairs, or the seeds vary nothing.",
        "unstable": " Too many runs failed.",
        "failed": " No run finished.",
        "identical": " The scores are equal to the last digit: check that the swap is applied.",
        "not applicable": " The arm or the baseline has no place for this data.",
    }
    if contrast.verdict in reasons:
        return reasons[contrast.verdict]
    if contrast.counts.failed:
        return " Failed runs count as lost pairs."
    return " The interval allows for it and against it."


# Crossings


def _crossed(results: Results, claim: Claim, task: TaskInfo) -> Claimed:
    asked = claim.crossing
    assert asked is not None
    one, other = asked.series
    metric, split = _measure(results, claim, task)
    stated = f"{one} and {other} cross in {metric.title} over {asked.x}"
    start = Claimed(claim.text, stated, task.title, "undecided", "", curve=(asked.x, one, other))
    found = curves(results, task.name, asked.x, asked.series, metric, split)
    if found is None:
        told = f"Undecided: fewer than two values of {asked.x} are common to {one} and {other}."
        return replace(start, sentence=told)
    rule = results.rule(task, metric, split)
    seen = crossing(*found, alpha=rule.alpha, min_pairs=rule.min_pairs)
    answers: dict[str, Answer] = {"exists": "supported", "does not exist": "refuted", "undecided": "undecided"}
    return replace(start, answer=answers[seen.answer], sentence=_met(seen, one, other, rule, asked.x), crossing=seen)


def _met(seen: Crossing, one: str, other: str, rule: Rule, x: str) -> str:
    ends = seen.interval
    where = f"{x} = {general(seen.x)}" if isfinite(seen.x) else "no place"
    low = f"below {general(ends.low)}" if seen.open_low else general(ends.low)
    high = f"above {general(ends.high)}" if seen.open_high else general(ends.high)
    span = f" (anywhere from {low} to {high})" if isfinite(ends.low) else ""
    points = f"{plural(len(seen.points), 'point')}, {plural(seen.seeds, 'seed')}"
    first, last = (other if mean > 0 else one for mean in (seen.means[0], seen.means[-1]))
    if seen.answer == "exists":
        ends_up = f"{first} is ahead at the low end and {last} at the high end" if first != last else "they cross twice"
        return f"Supported: {ends_up}; they meet at {where}{span}; {points}."
    if seen.answer == "does not exist":
        reach = f"from {general(seen.points[0])} to {general(seen.points[-1])}"
        return f"Refuted: {first} is ahead at every point measured, {reach}; {points}."
    return f"Undecided: no end is surely apart from the other; the means meet at {where}{span}; {points}."


Table = dict[float, dict[Any, float]]


def curves(
    results: Results, task: str, x: str, series: Sequence[str], metric: MetricInfo, split: str
) -> tuple[Table, Table] | None:
    """The scores of both series by x and seed, more being better; None where they have fewer than two x in common."""
    sign = -1 if metric.direction == "min" else 1
    tables: list[Table] = []
    for start in series:
        table: Table = {}
        for arm, place in _cells(results, task, x, start):
            runs = observed(results, arm, task, metric.name, split)
            table.setdefault(place, {run.seed: sign * run.value for run in runs if run.ok})
        tables.append(table)
    first, second = tables
    return (first, second) if len(first.keys() & second.keys()) >= 2 else None


def _cells(results: Results, task: str, x: str, start: str) -> Iterator[tuple[str, float]]:
    """Every arm that equals another but for one setting, with the value that it has there."""
    rows = {row.name: row for row in results.plan.arms}
    if start not in rows:
        return
    settings = {arm: found[task] for arm, found in results.plan.settings.items() if task in found}
    if start in settings and _of(settings[start], x) is not None:  # as resolved: what an arm repeats is no change
        wanted = _blanked(settings[start], x)
        for name in rows:
            value = _of(settings.get(name), x)
            if isinstance(value, int | float) and not isinstance(value, bool) and _blanked(settings[name], x) == wanted:
                yield name, float(value)
        return
    wanted = _without(_changes(rows, start), x)
    for row in results.plan.arms:
        changes = _changes(rows, row.name)
        if _without(changes, x) == wanted:
            value = changes.get(x, _at(results, task, x))
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield row.name, float(value)


def _of(tree: Any, x: str) -> Any:
    for name in x.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _blanked(tree: Mapping[str, Any], x: str) -> dict[str, Any]:
    """The settings with one value taken out."""
    name, _, rest = x.partition(".")
    return {**tree, name: _blanked(tree[name], rest) if rest else None}


def _changes(rows: Mapping[str, Row], arm: str) -> dict[str, Any]:
    """All that tells an arm from the baseline, as written."""
    row = rows.get(arm)
    if row is None or not row.start:
        return {}
    return {**_changes(rows, row.start), **{key.removesuffix(".kind"): value for key, value in row.changes.items()}}


def _without(changes: Mapping[str, Any], x: str) -> dict[str, Any]:
    return {key: value for key, value in changes.items() if key != x}


def _at(results: Results, task: str, x: str) -> Any:
    """The baseline's own value of a setting, as it is resolved or as an arm that changes nothing else is told."""
    found: Any = results.plan.settings.get(results.baseline, {}).get(task)
    for name in x.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is not None:
        return found
    told = [
        difference["baseline"]
        for row in results.others
        if set(row.changes) == {x} and row.start == results.baseline
        for difference in row.differences
        if x.endswith(difference["what"])
    ]
    try:
        return float(told[0]) if told else None
    except ValueError:
        return None
