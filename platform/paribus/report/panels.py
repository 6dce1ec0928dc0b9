"""What the figures show, with the sentence that each one states and the words for those who do not see it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from paribus.planning import MetricInfo, TaskInfo
from paribus.report.numbers import fixed, general, listed, plural, short, signed
from paribus.report.results import Results, change
from paribus.stats.contrast import Contrast, Sample
from paribus.stats.interval import Interval, around
from paribus.stats.verdict import FAILURES

POINTS = 200  # of a curve; more are thinned, keeping the extremes
LINES = 12  # seeds of an arm; more are seen as a mean and a band
BAND_FROM = 5  # seeds from which a band says more than the lines
LOG_FROM = 10  # ratio of largest to smallest from which an axis is logarithmic

Point = tuple[float, float]


@dataclass(frozen=True)
class Words:
    """A caption that states the finding, and a text alternative."""

    title: str
    caption: str
    alternative: str


@dataclass(frozen=True)
class Line:
    arm: str
    seed: int
    failed: bool
    points: tuple[Point, ...]
    chosen: Point | None = None  # where the weights that were tested are from, unless from the end


@dataclass(frozen=True, eq=False)
class Curves:
    """One measure over training."""

    words: Words
    axis: str
    log: bool
    lines: tuple[Line, ...]
    means: Mapping[str, tuple[Point, ...]]
    bands: Mapping[str, tuple[tuple[float, float, float], ...]]  # step, low, high
    name: str = ""  # of its file
    zero: bool = False  # whether zero means something: the baseline

    @property
    def thin(self) -> bool:
        """Whether each seed has its own line beside the mean."""
        return _each(self.lines)


def _each(lines: Sequence[Line]) -> bool:
    """Whether the seeds are so few that a line of each can be told from the others."""
    return max(Counter(line.arm for line in lines).values()) <= LINES


@dataclass(frozen=True)
class Slope:
    arm: str
    verdict: str
    pairs: tuple[tuple[int, float, float], ...]  # seed, baseline, arm
    failed: tuple[tuple[int, float], ...]  # seed, baseline
    places: int


@dataclass(frozen=True)
class Slopes:
    words: Words
    axis: str
    panels: tuple[Slope, ...]


@dataclass(frozen=True)
class Spot:
    arm: str
    cost: float
    mean: float
    low: float
    high: float
    solid: bool


@dataclass(frozen=True, eq=False)
class Scatter:
    words: Words
    cost_axis: str
    axis: str
    log: bool
    spots: tuple[Spot, ...]
    low: float  # ends of the axis of the metric
    high: float
    frontier: tuple[tuple[str, str, bool], ...]  # arm, the next dearer one, whether the step is shown
    up: bool  # whether more of the metric is better
    name: str  # of its file


def curves(results: Results, task: TaskInfo, metric: MetricInfo) -> Iterator[Curves]:
    """The main metric over training where it was watched, the loss, and what else was watched."""
    watched = {
        name
        for arm in results.plan.arms
        for _, record in results.records(arm.name, task.name)
        for name in record.curves
    }
    loss = next(
        (known for known in task.metrics if known.name == "loss"), MetricInfo("loss", "loss", "min", "nats", None)
    )
    measures = {f"validation_{known.name}": known for known in (metric, loss, *task.metrics)}
    for column, measure in measures.items():
        if column in watched:
            found = _curves(results, task, column, measure)
            if found is not None:
                yield found


def differences(results: Results, task: TaskInfo, metric: MetricInfo) -> Iterator[Curves]:
    """When in training the gap to the baseline opens: improvements of each pair, on what was watched."""
    loss = next((known for known in task.metrics if known.name == "loss"), None)
    for measure in (metric, loss):
        column = f"validation_{measure.name}" if measure else ""
        lines = {(line.arm, line.seed): line for line in _lines(results, task.name, column, thin=False)}
        found = measure and _differences(results, measure, lines)
        if found:
            yield found
            return


def _differences(results: Results, measure: MetricInfo, lines: Mapping[tuple[str, int], Line]) -> Curves | None:
    side = 1.0 if measure.direction == "max" else -1.0
    pairs = []
    for (arm, seed), line in lines.items():
        base = lines.get((results.baseline, seed))
        if arm != results.baseline and base is not None:
            before = dict(base.points)
            points = tuple((x, side * (y - before[x])) for x, y in line.points if x in before)
            if points:
                failed = line.failed or base.failed
                pairs.append(Line(arm, seed, failed, tuple(thinned(points))))
    if not pairs:
        return None
    means, bands = {}, {}
    for name in (row.name for row in results.others):
        ends = [line.points for line in pairs if line.arm == name and not line.failed]
        if ends:
            means[name], bands[name] = _mean(ends)
    words = _difference_words(measure, means, any(bands.values()), _each(pairs))
    unit = f" ({measure.unit})" if measure.unit else ""
    axis = f"improvement in {measure.title}{unit}, validation"
    return Curves(words, axis, False, tuple(pairs), means, bands, f"gap-{measure.name}", True)


def _difference_words(measure: MetricInfo, means: Mapping[str, Sequence[Point]], band: bool, each: bool) -> Words:
    last = {arm: points[-1][1] for arm, points in means.items() if points}
    places = 3
    ends = listed(f"{arm} {signed(value, places)}" for arm, value in last.items())
    drawn = "Thin lines are pairs of runs with one seed, thick ones their means" if each else "Lines are means of pairs"
    drawn += ", bands pointwise 95 % intervals." if band else "."
    finding = f"At the end: {ends}; up is better than the baseline." if last else "No pair has finished."
    return Words(
        f"When the gap opens: validation {measure.title} against the baseline",
        f"{finding} {drawn}",
        f"Paired differences to the baseline over training. At the last step: {ends or 'none'}.",
    )


def _curves(results: Results, task: TaskInfo, column: str, measure: MetricInfo) -> Curves | None:
    lines = tuple(_lines(results, task.name, column))
    if not lines:
        return None
    arms = [arm.name for arm in results.plan.arms]
    means, bands = {}, {}
    for arm in arms:
        ends = [line.points for line in lines if line.arm == arm and not line.failed]
        if ends:
            means[arm], bands[arm] = _mean(ends)
    values = [y for line in lines for _, y in line.points]
    log = min(values) > 0 and max(values) / min(values) > LOG_FROM and measure.bounds is None
    seeds = {len([line for line in lines if line.arm == arm]) for arm in arms}
    return Curves(
        _curve_words(measure, means, max(seeds), bool(any(bands.values())), lines),
        f"{measure.title}{f' ({measure.unit})' if measure.unit else ''}, validation",
        log,
        lines,
        means,
        bands,
        column.removeprefix("validation_"),
    )


def _lines(results: Results, task: str, column: str, *, thin: bool = True) -> Iterator[Line]:
    for arm in results.plan.arms:
        for seed, record in results.records(arm.name, task):
            steps, values = record.curves.get("step", []), record.curves.get(column, [])
            points = [(x, y) for x, y in zip(steps, values, strict=False) if x is not None and y is not None]
            if points:
                failed = results.status(arm.name, task, seed) in FAILURES
                chosen = next((point for point in points[:-1] if point[0] == record.chosen_step), None)
                yield Line(arm.name, seed, failed, tuple(thinned(points) if thin else points), chosen)


def thinned(points: Sequence[Point], most: int = POINTS) -> list[Point]:
    """At most `most` points: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    count = most // 2 - 1
    inner = points[1:-1]
    kept = {0, len(points) - 1}
    for index in range(count):
        start, end = index * len(inner) // count, (index + 1) * len(inner) // count
        stretch = range(start + 1, end + 1)
        kept |= {min(stretch, key=lambda at: points[at][1]), max(stretch, key=lambda at: points[at][1])}
    return [points[at] for at in sorted(kept)]


def _mean(lines: Sequence[Sequence[Point]]) -> tuple[tuple[Point, ...], tuple[tuple[float, float, float], ...]]:
    """The mean over seeds at steps that all have, and its 95 % band where there are seeds enough."""
    tables = [dict(line) for line in lines]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    values = [[table[step] for table in tables] for step in steps]
    means = tuple((step, sum(row) / len(row)) for step, row in zip(steps, values, strict=True))
    if len(lines) < BAND_FROM:
        return means, ()
    ends = [_interval(Sample.of(row)) for row in values]
    return means, tuple((step, end.low, end.high) for step, end in zip(steps, ends, strict=True))


def _interval(sample: Sample) -> Interval:
    """The 95 % interval of a mean; the mean itself where there is one value."""
    if sample.n < 2:
        return Interval(sample.mean, sample.mean)
    return around(sample.mean, sample.se, sample.n - 1, 0.95)


def _curve_words(
    measure: MetricInfo, means: Mapping[str, Sequence[Point]], seeds: int, band: bool, lines: Sequence[Line]
) -> Words:
    last = {arm: points[-1][1] for arm, points in means.items() if points}
    ranked = sorted(last, key=lambda arm: last[arm], reverse=measure.direction == "max")
    drawn = "Thin lines are seeds, thick ones means" if _each(lines) else "Lines are means over seeds"
    drawn += ", bands pointwise 95 % intervals." if band else "."
    if _each(lines) and any(line.chosen for line in lines):
        drawn += " Rings mark checkpoints that were chosen before the end."
    if not ranked:
        return Words(
            f"Validation {measure.title}", f"No arm has finished a run. {drawn}", "Learning curves of unfinished runs."
        )
    ends = listed(f"{arm} at {general(last[arm])}" for arm in ranked)
    first, final = ranked[0], ranked[-1]
    order = "higher is better" if measure.direction == "max" else "lower is better"
    ends_at = f"between {general(last[first])} ({first}) and {general(last[final])} ({final})"
    finding = f"Mean validation {measure.title} ends {ends_at if len(ranked) > 1 else f'at {general(last[first])}'}"
    return Words(
        f"Validation {measure.title} over training",
        f"{finding}; {order}. {drawn}",
        f"Learning curves, {plural(seeds, 'seed')} an arm. At the last step, best first: {ends}.",
    )


def slopes(
    results: Results, task: TaskInfo, metric: MetricInfo, split: str, contrasts: Mapping[str, Contrast], places: int
) -> Slopes:
    """Every pair of runs, from the baseline's score to the arm's."""
    base = {run.seed: run for run in results.observations(results.baseline, task.name, metric.name, split)}
    panels = []
    for arm, contrast in contrasts.items():
        pairs, failed = [], []
        for run in results.observations(arm, task.name, metric.name, split):
            other = base.get(run.seed)
            if other is None or not other.ok or not isinstance(run.seed, int):
                continue
            if run.ok:
                pairs.append((run.seed, other.value, run.value))
            elif run.failed:
                failed.append((run.seed, other.value))
        if pairs or failed:
            panels.append(Slope(arm, contrast.verdict, tuple(pairs), tuple(failed), places))
    counts = [f"{arm} {found.paired.wins}/{found.paired.n}" for arm, found in contrasts.items() if found.paired.n]
    told = f"Seeds on which the arm beats the baseline: {listed(counts)}." if counts else "No pair has finished."
    means = [f"{arm} {signed(found.paired.mean, places)}" for arm, found in contrasts.items() if found.paired.n]
    return Slopes(
        Words(
            "Every pair of runs",
            f"{told} Each line is one seed, baseline on the left; each panel has its own axis; ✕ is a failed run.",
            f"One line a seed from the baseline's {metric.title} to the arm's. Mean improvement: {listed(means)}.",
        ),
        metric.title,
        tuple(panels),
    )


FAR = 6  # an arm whose distance from the baseline is this many times the median one leaves the axis
COSTS = (("flops_per_token", "FLOPs per token"), ("parameters", "parameters"))


def scatters(
    results: Results, task: TaskInfo, metric: MetricInfo, contrasts: Mapping[str, Contrast]
) -> Iterator[Scatter]:
    """The metric against what an arm costs."""
    for key, title in COSTS:
        costs = {arm.name: results.cost(arm.name, task.name, key) for arm in results.plan.arms}
        yield from _scatter(results, metric, contrasts, costs, title)
    seconds = {arm.name: results.seconds(arm.name, task.name) for arm in results.plan.arms}
    unsteady = tuple(results.unsteady(task.name))
    yield from _scatter(results, metric, contrasts, seconds, "seconds of training, median run", unsteady)


def _scatter(
    results: Results,
    metric: MetricInfo,
    contrasts: Mapping[str, Contrast],
    costs: Mapping[str, float | None],
    title: str,
    unsteady: Sequence[str] = (),
) -> Iterator[Scatter]:
    spots = tuple(_spots(results, contrasts, costs))
    if len(spots) < 2:
        return
    known = [spot.cost for spot in spots]
    low, high = _reach(spots)
    up = metric.direction == "max"
    yield Scatter(
        _scatter_words(results, metric, contrasts, spots, title, (low, high), unsteady),
        title,
        metric.title,
        max(known) / min(known) > LOG_FROM if min(known) > 0 else False,
        spots,
        low,
        high,
        tuple(_frontier(spots, contrasts, up)),
        up,
        title.split(" of ")[0].split(" per ")[0].lower().replace(" ", "-"),
    )


def _spots(results: Results, contrasts: Mapping[str, Contrast], costs: Mapping[str, float | None]) -> Iterator[Spot]:
    samples = {arm: contrast.of_arm for arm, contrast in contrasts.items()}
    for contrast in contrasts.values():
        samples.setdefault(results.baseline, contrast.of_baseline)
    for arm in results.plan.arms:
        sample, cost = samples.get(arm.name), costs.get(arm.name)
        if sample is None or cost is None or not isfinite(sample.mean):
            continue
        whisker = _interval(sample)
        solid = arm.name == results.baseline or contrasts[arm.name].verdict in ("better", "worse")
        yield Spot(arm.name, cost, sample.mean, whisker.low, whisker.high, solid)


def _reach(spots: Sequence[Spot]) -> tuple[float, float]:
    """Ends of the axis of the metric; spots far from the first, the baseline, do not flatten the others."""
    middle = spots[0].mean
    away = sorted(abs(spot.mean - middle) for spot in spots[1:])
    limit = FAR * away[(len(away) - 1) // 2] or away[-1]
    near = [spot for spot in spots if abs(spot.mean - middle) <= limit] or list(spots)
    ends = [end for spot in near for end in (spot.low, spot.mean, spot.high) if isfinite(end)]
    # Whiskers of two seeds are wider than all differences between arms.
    widest = max(limit, 2 * max(abs(spot.mean - middle) for spot in near)) or abs(middle) or 1.0
    low, high = max(min(ends), middle - widest), min(max(ends), middle + widest)
    room = 0.08 * (high - low) or 0.01 * widest
    return low - room, high + room


def _frontier(spots: Sequence[Spot], contrasts: Mapping[str, Contrast], up: bool) -> Iterator[tuple[str, str, bool]]:
    """Steps between the arms that none of at most their cost beats; a step is shown by a verdict on the baseline."""
    sign = 1 if up else -1
    best: Spot | None = None
    for spot in sorted(spots, key=lambda spot: (spot.cost, -sign * spot.mean)):
        if best is None or sign * spot.mean > sign * best.mean:
            if best is not None:
                shown = (best.arm not in contrasts and contrasts[spot.arm].verdict == "better") or (
                    spot.arm not in contrasts and contrasts[best.arm].verdict == "worse"
                )
                yield best.arm, spot.arm, shown
            best = spot


def _scatter_words(
    results: Results,
    metric: MetricInfo,
    contrasts: Mapping[str, Contrast],
    spots: Sequence[Spot],
    title: str,
    axis: tuple[float, float],
    unsteady: Sequence[str],
) -> Words:
    base = next((spot for spot in spots if spot.arm == results.baseline), None)
    finding = _no_dearer(contrasts, [spot for spot in spots if spot is not base], base, unsteady)
    told = listed(
        f"{spot.arm} {short(spot.cost)} ({_against(spot, base)}{metric.title} {fixed(spot.mean, 3)})" for spot in spots
    )
    outside = [f"{spot.arm} {general(spot.mean)}" for spot in spots if not axis[0] <= spot.mean <= axis[1]]
    beyond = f" Beyond the axis, at its edge: {listed(outside)}." if outside else ""
    return Words(
        f"{metric.title[0].upper()}{metric.title[1:]} against {title}",
        f"{finding} Whiskers are 95 % intervals of the mean; the cross is the baseline; filled marks differ from it. "
        f"The line joins arms that none as cheap outdoes, solid where that step is shown.{beyond}",
        f"{title[0].upper()}{title[1:]} and {metric.title}: {told}.",
    )


def _no_dearer(
    contrasts: Mapping[str, Contrast], others: Sequence[Spot], base: Spot | None, unsteady: Sequence[str]
) -> str:
    """Who does as well for no more, by what may be compared; within the smallest effect, where there is one."""
    cheaper = [
        spot.arm
        for spot in others
        if base
        and spot.cost <= base.cost
        and spot.arm not in unsteady
        and contrasts[spot.arm].verdict in ("better", "equivalent", "negligibly better")
    ]
    margin = next((contrast.rule.smallest_effect for contrast in contrasts.values()), None)
    good = "better than the baseline" if margin is None else f"at least as good as the baseline (±{general(margin)})"
    verb = "varies" if len(unsteady) == 1 else "vary"
    loud = f"{listed(unsteady)} {verb} too much over seeds to be called dearer or not."
    if cheaper:
        told = f"{listed(cheaper)} {'is' if len(cheaper) == 1 else 'are'} {good} and no dearer."
    else:
        told = "" if unsteady else f"No arm that costs no more than the baseline is shown to be {good}."
    return f"{told} {loud if unsteady else ''}".strip()


def _against(spot: Spot, base: Spot | None) -> str:
    share = change(spot.cost, base.cost) if base is not None and spot is not base else None
    return "" if share is None else f"{signed(100 * share, 1)} %, "
