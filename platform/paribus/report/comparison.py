"""One task's comparison: the rows of its table, what each arm changed and cost, and its runs."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from paribus.planning import FLOOR, MetricInfo, Row, TaskInfo
from paribus.report import sentences
from paribus.report.attention import Attention, attention
from paribus.report.lengths import Lengths, lengths
from paribus.report.numbers import (
    MISSING,
    decimals,
    fixed,
    general,
    interval,
    level,
    percent,
    plural,
    probability,
    short,
    signed,
    spread,
)
from paribus.report.panels import Curves, Scatter, Slopes, curves, differences, scatters, slopes
from paribus.report.results import Results, change, reproduce
from paribus.report.samples import Samples, samples
from paribus.report.warnings import Compared, order
from paribus.stats.contrast import Contrast, Sample
from paribus.stats.verdict import EXCLUDED, FAILURES

_LONG = re.compile(r"\b\d{1,3}\.\d{6,}(?:e[-+]?\d+)?")
Facts = tuple[tuple[str, str], ...]

CROWDED = 5  # an interval that reaches this many times the median reach leaves the axis, or it would flatten all others
SHOWN_TAGS = ("provisional", "given it finishes", "not worse")  # under a verdict; the others stand below the table
CHANGES = 2  # told in the table; the others are told below it


@dataclass(frozen=True)
class Axis:
    """What all forest cells of a table share; `band` is the smallest effect."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    band: float | None

    def at(self, value: float) -> float:
        """The place of a value, 0 at the left end and 1 at the right one, clamped to the ends."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Forest:
    """The numbers of one forest cell; nan where there is none."""

    mean: float
    low: float
    high: float
    outer_low: float
    outer_high: float
    dots: tuple[float, ...]
    failed: int
    words: str


@dataclass(frozen=True)
class Cell:
    """One run in the matrix of runs; `shade` runs from -3, far worse than the baseline's run, to 3."""

    seed: int
    status: str
    text: str
    shade: int


@dataclass(frozen=True)
class Line:
    """An arm in the table and below it."""

    arm: str
    anchor: str
    is_baseline: bool
    changed: tuple[str, ...]
    score: str
    difference: str
    interval: str
    verdict: str
    icon: str
    tone: str
    tags: tuple[str, ...]
    sentence: str
    parameters: str
    speed: str
    runs: str
    incomplete: str  # `4/5 runs`; empty where all planned ones ended well
    failed: int
    forest: Forest | None
    numbers: Facts
    differences: tuple[Mapping[str, str], ...]
    cells: tuple[Cell, ...]
    costs: tuple[str, ...]
    command: str  # that trains it again beside the baseline


@dataclass(frozen=True)
class FloorLine:
    """An untrained reference: no arm, no verdict."""

    name: str
    meaning: str
    score: str
    runs: str


@dataclass(frozen=True)
class Secondary:
    """Another metric or split, exploratory."""

    title: str
    lines: tuple[tuple[str, str, str, str, str, str], ...]  # arm, score, difference, interval, icon, verdict


@dataclass(frozen=True)
class Section:
    """All that is said of one task."""

    task: str
    kind: str
    anchor: str
    metric: str
    unit: str
    split: str
    arrow: str
    better: str
    level: str
    answer: str
    method: str
    axis: Axis
    clipped: str
    lines: tuple[Line, ...]
    secondary: tuple[Secondary, ...]
    floors: tuple[FloorLine, ...]
    seeds: tuple[int, ...]
    excluded: tuple[tuple[str, int, str], ...]  # arm, seed, why
    cost_heads: tuple[str, ...]
    slopes: Slopes
    curves: tuple[Curves, ...]
    differences: tuple[Curves, ...]
    scatters: tuple[Scatter, ...]
    lengths: Lengths | None
    attention: Attention | None
    samples: Samples | None


COST_HEADS = (
    "parameters",
    "without embeddings",
    "FLOPs per token",
    "tokens per second",
    "seconds a run",
    "peak memory",
    "equal initial values",
    "batch order",
)


def section(compared: Compared) -> Section:
    """The comparison of one task in words and rounded numbers."""
    results, task, metric, split = compared.results, compared.task, compared.metric, compared.split
    found = compared.contrasts
    places = decimals([error for contrast in found.values() for error in (contrast.of_arm.se, contrast.paired.se)])
    unit = f" {metric.unit}" if metric.unit else ""
    axis = _axis(list(found.values()))
    common = Counter(told_difference(difference) for arm in results.plan.arms for difference in arm.differences)
    return Section(
        task=task.title,
        kind=task.kind,
        anchor=anchor("task", task.name),
        metric=metric.title,
        unit=metric.unit,
        split=split,
        arrow="↑" if metric.direction == "max" else "↓",
        better="higher is better" if metric.direction == "max" else "lower is better",
        level=level(results.analysis.alpha_a_look),
        answer=sentences.answer(list(found.values()), places, unit),
        method=_method(compared),
        axis=axis,
        clipped=_clipped(axis, found),
        lines=tuple(_line(compared, arm, places, unit, common) for arm in results.plan.arms),
        secondary=tuple(_secondary(results, task, metric, split)),
        floors=tuple(_floors(compared, places)),
        seeds=tuple(results.plan.seeds),
        excluded=tuple(results.excluded(task.name)),
        cost_heads=COST_HEADS,
        slopes=slopes(results, task, metric, split, found, places),
        curves=tuple(curves(results, task, metric)),
        differences=tuple(differences(results, task, metric)),
        scatters=tuple(scatters(results, task, metric, found)),
        lengths=lengths(results, task, metric),
        attention=attention(results, task),
        samples=samples(results, task),
    )


def anchor(*names: str) -> str:
    """A fragment that no name can break."""
    return "-".join(re.sub(r"[^0-9A-Za-z_-]", lambda found: f".{ord(found[0]):x}", name) for name in names)


def _method(compared: Compared) -> str:
    analysis = compared.results.analysis
    rule = next((contrast.rule for contrast in compared.contrasts.values()), None)
    family = sum(contrast.verdict != "not applicable" for contrast in compared.contrasts.values())
    how = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "no correction"}[analysis.correction]
    effect = rule.smallest_effect if rule else None
    margin = f"smallest effect ±{general(effect)}" if effect is not None else "no smallest effect set"
    paired = "Paired by seed" if analysis.pairing == "seed" else "Not paired (Welch)"
    spread = ", variance pooled over arms" if analysis.variance == "pooled" else ""
    noun = "pair" if analysis.comparisons == "all" else "arm"
    count = plural(family * (family + 1) // 2 if analysis.comparisons == "all" else family, noun)
    return f"{paired}, {level(analysis.alpha_a_look)} t intervals{spread}, {how} over {count}, {margin}."


def _axis(found: Sequence[Contrast]) -> Axis:
    """One axis for all rows; it leaves out intervals that would flatten the others, which are marked by arrows."""
    band = next((contrast.rule.smallest_effect for contrast in found), None)
    spans = [span for contrast in found if (span := _span(contrast))]
    reaches = sorted(max(abs(low), abs(high)) for low, high in spans)
    typical = reaches[(len(reaches) - 1) // 2] if reaches else 0.0
    limit = max(CROWDED * typical, 1.5 * (band or 0.0))
    ends = [end for low, high in spans if max(abs(low), abs(high)) <= limit for end in (low, high)]
    ends += [-band, band] if band else [0.0]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.08 * (high - low) or 1.0
    low, high = low - room, high + room
    return Axis(low, high, _ticks(low, high), band)


def _span(contrast: Contrast) -> tuple[float, float] | None:
    values = [difference for _, difference in contrast.differences]
    values += [end for end in (contrast.paired.interval.low, contrast.paired.interval.high) if isfinite(end)]
    return (min(values), max(values)) if values else None


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Zero and a few round numbers."""
    raw = (high - low) / 4
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    places = max(0, -floor(log10(step)))
    return tuple(
        (step * index, signed(step * index, places)) for index in range(ceil(low / step), floor(high / step) + 1)
    )


def _clipped(axis: Axis, found: Mapping[str, Contrast]) -> str:
    """Who is not on the axis."""
    out = [arm for arm, contrast in found.items() if (span := _span(contrast)) and not all(map(axis.holds, span))]
    return f"Beyond the axis: {', '.join(out)}." if out else ""


def _line(compared: Compared, arm: Row, places: int, unit: str, common: Counter[str]) -> Line:
    results, task = compared.results, compared.task.name
    contrast = compared.contrasts.get(arm.name)
    pairs = contrast.paired if contrast else None
    verdict = contrast.verdict if contrast else ""
    return Line(
        arm=arm.name,
        anchor=anchor("arm", task, arm.name),
        is_baseline=contrast is None,
        changed=_changed(arm, common),
        score=_score(_sample(compared, arm.name), places),
        difference=signed(pairs.mean, places) if pairs else MISSING,
        interval=interval(pairs.interval.low, pairs.interval.high, places) if pairs else "",
        verdict=verdict,
        icon=sentences.ICONS.get(verdict, ""),
        tone=sentences.tone(verdict) if contrast else "baseline",
        tags=contrast.tags if contrast else (),
        sentence=sentences.sentence(contrast, places, unit) if contrast else "",
        parameters=_against(results, arm.name, task, "parameters"),
        speed=_speed(results, arm.name, task),
        runs=_runs(results.tally(arm.name, task)),
        incomplete=_incomplete(results.tally(arm.name, task)),
        failed=results.failures(arm.name, task),
        forest=_forest(contrast, places, unit) if contrast and contrast.counts.applicable else None,
        numbers=_numbers(contrast, places) if contrast else (),
        differences=tuple(arm.differences),
        cells=tuple(_cells(compared, arm.name, places)),
        costs=_costs(results, arm.name, task),
        command="" if contrast is None or results.plan.compared else reproduce(results.plan, arm.name),
    )


FLOORS = {
    "majority": "the commonest label, or token at each place",
    "ngram": "each token from the two before it, or a label from pairs of tokens",
    "uniform": "chance",
    "random_network": "the baseline as it starts",
}


def _floors(compared: Compared, places: int) -> Iterator[FloorLine]:
    results, task = compared.results, compared.task.name
    for name in results.plan.floors:
        values = sample(results, name, task, compared.metric.name, compared.split)
        runs = _runs(results.tally(name, task))
        yield FloorLine(name.removeprefix(FLOOR), FLOORS[name.removeprefix(FLOOR)], _score(values, places), runs)


def _sample(compared: Compared, arm: str) -> Sample:
    results = compared.results
    if arm in compared.contrasts:
        return compared.contrasts[arm].of_arm
    return sample(results, arm, compared.task.name, compared.metric.name, compared.split)


def sample(results: Results, arm: str, task: str, metric: str, split: str) -> Sample:
    """The finished scores of an arm."""
    return Sample.of([run.value for run in results.observations(arm, task, metric, split) if run.ok])


def _score(values: Sample, places: int) -> str:
    return spread(values.mean, values.sd, places)


def _changed(arm: Row, common: Counter[str]) -> tuple[str, ...]:
    """The first differences from the baseline, as resolved; where they are cut, what fewest arms share comes first."""
    told = [told_difference(difference) for difference in arm.differences]
    if len(told) <= CHANGES:
        return tuple(told)
    return (*sorted(told, key=lambda text: common[text])[:CHANGES], f"and {len(told) - CHANGES} more")


def told_difference(difference: Mapping[str, str]) -> str:
    """`position: sinusoidal → none (encoder)`"""
    where = f" ({difference['where']})" if difference["where"] else ""
    before, after = difference["baseline"], difference["arm"]
    if _rounded(before) != _rounded(after):
        before, after = _rounded(before), _rounded(after)
    return f"{difference['what']}: {before} → {after}{where}"


def _rounded(setting: str) -> str:
    """With four digits of a number that a search drew."""
    return _LONG.sub(lambda found: f"{float(found[0]):.4g}", setting)


def _runs(tally: Counter[str]) -> str:
    failed = sum(tally[status] for status in FAILURES)
    return f"{tally['ok']}/{tally.total()}" + (" ✕" * failed if failed < 4 else f" {failed} ✕")


def _incomplete(tally: Counter[str]) -> str:
    return "" if tally["ok"] == tally.total() else f"{tally['ok']}/{tally.total()} runs"


def _forest(contrast: Contrast, places: int, unit: str) -> Forest:
    pairs = contrast.paired
    dots = tuple(value for _, value in contrast.differences)
    ends = interval(pairs.interval.low, pairs.interval.high, places)
    words = f"{contrast.arm}: {signed(pairs.mean, places)}{unit} {ends}, {contrast.verdict}"
    if contrast.counts.failed:
        words += f", {plural(contrast.counts.failed, 'failed run')}"
    return Forest(
        pairs.mean,
        pairs.interval.low,
        pairs.interval.high,
        pairs.simultaneous.low,
        pairs.simultaneous.high,
        dots,
        contrast.counts.failed,
        words,
    )


def _numbers(contrast: Contrast, places: int) -> Facts:
    """Everything that was computed, for those who open the row."""
    pairs, counts, outlook, rule = contrast.paired, contrast.counts, contrast.outlook, contrast.rule
    wide = interval(pairs.simultaneous.low, pairs.simultaneous.high, places) or MISSING
    correction = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "uncorrected"}[rule.correction]
    found = [
        ("pairs", f"{pairs.n} of {counts.planned}"),
        ("wins, ties, losses", f"{pairs.wins}, {pairs.ties}, {pairs.losses}"),
        ("improvement", f"{signed(pairs.mean, places)} ({percent(contrast.relative)})"),
        ("SD of differences", fixed(pairs.sd, places)),
        ("simultaneous interval", wide),
        ("p, paired t", probability(pairs.p)),
        (f"p, {correction}", probability(contrast.p)),
        ("p, exact sign flips", f"{probability(pairs.p_signflip)} (floor {general(pairs.signflip_floor)})"),
        ("p, Welch", probability(contrast.p_welch)),
        ("dz, gz", f"{fixed(pairs.dz, 2)}, {fixed(pairs.gz, 2)}"),
        ("correlation of pairs", fixed(contrast.correlation, 2)),
        ("equivalent for any margin from", fixed(pairs.least_margin, places)),
    ]
    if not isfinite(pairs.p):
        return tuple(found[:4])
    found.append(("detectable with 80 % power", fixed(outlook.detectable, places)))
    found.append(("seeds, if the observed effect were exact", sentences.seeds(outlook.seeds_observed)))
    if rule.smallest_effect is not None:
        low, high = map(sentences.seeds, outlook.seeds_smallest_effect_range)
        found.append(("p, equivalence, Holm", probability(contrast.p_tost)))
        found.append(("p, not worse, Holm", probability(contrast.p_not_worse)))
        found.append(
            ("seeds for the smallest effect", f"{sentences.seeds(outlook.seeds_smallest_effect)} ({low} to {high})")
        )
        found.append(("seeds to show equivalence", sentences.seeds(outlook.seeds_equivalent)))
    if counts.failed:
        found.append(("failed runs as losses", f"{pairs.wins} wins, {pairs.losses + counts.failed} losses"))
        found.append(("p, failure rates", probability(contrast.p_failures)))
    return tuple(found)


def _cells(compared: Compared, arm: str, places: int) -> Iterator[Cell]:
    results, task = compared.results, compared.task.name
    differences = dict(compared.contrasts[arm].differences) if arm in compared.contrasts else {}
    every = [abs(value) for contrast in compared.contrasts.values() for _, value in contrast.differences]
    most = max(every, default=0.0) or 1.0
    for run in results.observations(arm, task, compared.metric.name, compared.split):
        assert isinstance(run.seed, int)
        difference = differences.get(run.seed, 0.0)
        shade = round(3 * abs(difference / most) ** 0.5) * (1 if difference > 0 else -1)
        yield Cell(run.seed, run.status, _cell_text(results, arm, task, run.seed, run.value, places), shade)


def _cell_text(results: Results, arm: str, task: str, seed: int, value: float, places: int) -> str:
    outcome = results.outcome(arm, task, seed)
    if isfinite(value) and outcome.status == "ok":
        return fixed(value, places)
    step = outcome.record.fail_step if outcome.record else None
    if outcome.status in FAILURES:
        return f"✕ {outcome.status}" + (f" at {step}" if step is not None else "")
    sign = "⊘" if outcome.status == EXCLUDED else "◌"
    return "no value" if outcome.status == "ok" else f"{sign} {outcome.status}"


def _against(results: Results, arm: str, task: str, key: str) -> str:
    """A cost in full for the baseline, as a change for the others."""
    value = results.cost(arm, task, key)
    return _change(value, results.cost(results.baseline, task, key), arm == results.baseline)


def _speed(results: Results, arm: str, task: str) -> str:
    return _change(results.speed(arm, task), results.speed(results.baseline, task), arm == results.baseline)


def _change(value: float | None, reference: float | None, is_baseline: bool) -> str:
    share = change(value, reference)
    return short(value) if is_baseline or share is None else percent(share)


def _costs(results: Results, arm: str, task: str) -> tuple[str, ...]:
    exact = [results.cost(arm, task, key) for key in ("parameters", "parameters_without_embeddings", "flops_per_token")]
    counts = [MISSING if value is None else f"{value:,.0f}" for value in exact]
    seconds = results.seconds(arm, task)
    memory = results.memory(arm, task)
    return (
        *counts,
        short(results.speed(arm, task)),
        general(seconds),
        MISSING if memory is None else f"{memory / 2**20:,.0f} MiB",
        MISSING if arm == results.baseline else shared(results, arm, task),
        MISSING if arm == results.baseline else order(results, arm, task) or MISSING,
    )


def shared(results: Results, arm: str, task: str) -> str:
    """How many of an arm's parameters start at the baseline's values, as a share of all that it has."""
    reference = {seed: record.initial for seed, record in results.records(results.baseline, task)}
    found = [
        (
            sum(_size(value) for path, value in record.initial.items() if reference[seed].get(path) == value),
            sum(_size(value) for value in record.initial.values()),
        )
        for seed, record in results.records(arm, task)
        if record.initial and reference.get(seed)
    ]
    if not found:
        return MISSING
    equal, total = min(found)
    return f"{short(equal)} of {short(total)}"


def _size(value: str) -> int:
    """The number of values of a parameter whose shape and hash are `64x32:1f9a...`."""
    size = 1
    for length in value.partition(":")[0].split("x"):
        size *= int(length) if length.isdigit() else 1
    return size


def _secondary(results: Results, task: TaskInfo, main: MetricInfo, main_split: str) -> Iterator[Secondary]:
    for metric, split in others(results, task, main, main_split):
        found = results.contrasts(task, metric, split, exploratory=True)
        places = decimals([error for contrast in found.values() for error in (contrast.of_arm.se, contrast.paired.se)])
        base = _score(sample(results, results.baseline, task.name, metric.name, split), places)
        lines = [(results.baseline, base, MISSING, "", "", "baseline")]
        lines += [_secondary_line(contrast, places) for contrast in found.values()]
        direction = "↑" if metric.direction == "max" else "↓"
        unit = f", {metric.unit}" if metric.unit else ""
        yield Secondary(f"{metric.title} {direction} on {split}{unit}", tuple(lines))


def others(results: Results, task: TaskInfo, main: MetricInfo, main_split: str) -> Iterator[tuple[MetricInfo, str]]:
    """Every metric and split with a score that does not decide."""
    known = {
        (score.metric, score.split)
        for arm in results.plan.arms
        for _, record in results.records(arm.name, task.name)
        for score in record.scores
    }
    for split in sorted(task.splits, key=lambda split: split != main_split):
        for metric in task.metrics:
            if (metric.name, split) in known - {(main.name, main_split)}:
                yield metric, split


def _secondary_line(contrast: Contrast, places: int) -> tuple[str, str, str, str, str, str]:
    pairs = contrast.paired
    return (
        contrast.arm,
        _score(contrast.of_arm, places),
        signed(pairs.mean, places),
        interval(pairs.interval.low, pairs.interval.high, places),
        sentences.ICONS[contrast.verdict],
        contrast.verdict,
    )
