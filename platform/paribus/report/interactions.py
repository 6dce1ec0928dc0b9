"""Pictures of what factors do together: cells of means, lines that would run side by side, and by how much not."""

from collections.abc import Iterator, Sequence

from paribus.report.effects import Explained
from paribus.report.numbers import decimals, fixed, listed, signed
from paribus.report.panels import Words
from paribus.report.plots import Estimate, Estimates, Heat, Picture, Point, Square, Traces
from paribus.stats.attribution import Attribution
from paribus.stats.effects import Effect, Mean, Step

Pair = tuple[str, str]


def interactions(part: Explained) -> Iterator[Picture]:
    """Of every pair of factors its cells and lines, then all effects and all interactions on one axis."""
    if part.attribution:
        yield _shares(part.attribution, part.alpha)
    if part.design is None or not part.design.effects:
        return
    for pair, means in _pairs(part.design.means).items():
        yield _cells(part, pair, means)
        yield _lines(part, pair, means)
    single = [effect for effect in part.design.effects if len(effect.factors) == 1]
    if single:
        yield _main(single, part.alpha)
    if part.design.interactions:
        yield _differences(part.design.interactions, part.alpha)


def _pairs(means: Sequence[Mean]) -> dict[Pair, list[Mean]]:
    found: dict[Pair, list[Mean]] = {}
    for mean in means:
        if len(mean.levels) == 2:
            found.setdefault((mean.levels[0][0], mean.levels[1][0]), []).append(mean)
    return found


def _level(mean: Mean, side: int) -> str:
    return mean.levels[side][1]


def _cells(part: Explained, pair: Pair, means: Sequence[Mean]) -> Heat:
    sign = -1 if part.metric.direction == "min" else 1
    base = means[0]  # the first levels are the baseline's
    places = decimals([(mean.interval.high - mean.interval.low) / 4 for mean in means])
    squares = tuple(
        Square(_level(mean, 0), _level(mean, 1), sign * (mean.mean - base.mean), fixed(mean.mean, places))
        for mean in means
    )
    told = listed(f"{pair[0]} {one.row}, {pair[1]} {one.column}: {one.text}" for one in squares)
    best = max(squares, key=lambda one: one.gap)
    words = Words(
        f"{pair[0]} by {pair[1]}",
        f"Mean {part.metric.title}; best with {best.row} and {best.column}. Blue is better than the first cell, orange "
        "worse.",
        f"Mean {part.metric.title} by cell. {told}.",
    )
    return Heat(words, pair[1], pair[0], squares, chief=True)


def _lines(part: Explained, pair: Pair, means: Sequence[Mean]) -> Traces:
    points = tuple(
        Point(f"{pair[0]} {_level(mean, 0)}", _level(mean, 1), mean.mean, mean.interval.low, mean.interval.high)
        for mean in means
    )
    places = decimals([(mean.interval.high - mean.interval.low) / 4 for mean in means])
    told = listed(f"{point.series}, {pair[1]} {point.x} {fixed(point.y, places)}" for point in points)
    words = Words(
        f"{pair[0]} at each {pair[1]}",
        "Lines that run side by side do not interact. Marginal means with their intervals.",
        f"A line a level of {pair[0]} over the levels of {pair[1]}. {told}.",
    )
    return Traces(words, pair[1], part.metric.title, points)


def _main(effects: Sequence[Effect], alpha: float) -> Estimates:
    steps = [
        (f"{step.levels[0][0]}: {step.levels[0][1]} for {step.against[0][1]}", step, effect.p_holm <= alpha)
        for effect in effects
        for step in effect.steps
    ]
    title = "Each setting, averaged over the others"
    return _estimates(title, "improvement", steps, "Blue is an effect that is not zero, corrected by Holm.")


def _differences(effects: Sequence[Effect], alpha: float) -> Estimates:
    steps = [
        (" with ".join(f"{name} {value}" for name, value in step.levels), step, effect.p_holm <= alpha)
        for effect in effects
        for step in effect.steps
    ]
    drawn = "Zero means that the settings simply add up."
    return _estimates("More together than apart", "difference of improvements", steps, drawn)


def _estimates(title: str, axis: str, steps: Sequence[tuple[str, Step, bool]], drawn: str) -> Estimates:
    rows = tuple(
        Estimate(name, step.estimate, step.interval.low, step.interval.high, called) for name, step, called in steps
    )
    return Estimates(_words(title, rows, drawn), axis, (("", rows),), chief=True)


def _shares(found: Attribution, alpha: float) -> Estimates:
    rows = tuple(
        Estimate(
            share.change, share.effect.mean, share.effect.interval.low, share.effect.interval.high, share.p <= alpha
        )
        for share in found.shares
    )
    whole = found.total
    rows += (Estimate("all together", whole.mean, whole.interval.low, whole.interval.high, whole.p <= alpha),)
    title = "What each change adds, and all together"
    return Estimates(
        _words(title, rows, "Their intervals are those of the table."), "improvement", (("", rows),), chief=True
    )


def _words(title: str, rows: Sequence[Estimate], drawn: str) -> Words:
    places = decimals([(row.high - row.low) / 4 for row in rows])
    called = [f"{row.name} {signed(row.value, places)}" for row in rows if row.solid]
    told = f"Not zero: {listed(called)}." if called else "None can be told from zero."
    every = listed(f"{row.name} {signed(row.value, places)}" for row in rows)
    return Words(title, f"{told} {drawn}", f"Estimates with intervals: {every}.")
