"""Further sections of a report, as words and tables that every format places: claims and designs."""

from collections.abc import Iterator, Sequence

from paribus.report.claims import Claimed
from paribus.report.confirm import Shrinkage, confirmed
from paribus.report.effects import Explained
from paribus.report.grids import Block, Grid
from paribus.report.interactions import interactions
from paribus.report.numbers import MISSING, decimals, fixed, general, interval, probability, signed
from paribus.report.overall import Overall, best_told
from paribus.report.plots import Picture
from paribus.stats.attribution import Attribution
from paribus.stats.effects import Design
from paribus.stats.ranks import Rank
from paribus.stats.tasks import Estimate

Ranked = Sequence[tuple[str, Sequence[Rank]]]  # task -> its arms

SIGNS = {"supported": "✓", "refuted": "✕", "undecided": "?"}


def blocks(
    claimed: Sequence[Claimed],
    explained: Sequence[Explained],
    whole: Sequence[Overall] = (),
    ranked: Ranked = (),
    tasks: Sequence[Picture] = (),
    shrunk: Sequence[Shrinkage] = (),
) -> Iterator[Block]:
    """What there is besides the comparison of arms."""
    if claimed:
        yield _claims(claimed)
    if shrunk:
        yield confirmed(shrunk)
    if whole or any(found for _, found in ranked):
        yield _overall(whole, ranked, tasks)
    several = len({part.task for part in explained}) > 1
    for part in explained:
        yield _design(part, several)


def _claims(claimed: Sequence[Claimed]) -> Block:
    several = len({one.task for one in claimed}) > 1
    rows = tuple(
        (
            one.text or one.stated,
            *([one.task] if several else []),
            f"{SIGNS.get(one.answer, '')} {one.answer}".strip(),
            one.sentence,
        )
        for one in claimed
    )
    heads = ("claim", *(["task"] if several else []), "answer", "why")
    return Block("Claims", (), (Grid("What became of what was claimed before the runs", heads, rows, words=heads),))


def _overall(whole: Sequence[Overall], ranked: Ranked, tasks: Sequence[Picture]) -> Block:
    told = [f"{task}: {best_told(found)}" if len(ranked) > 1 else best_told(found) for task, found in ranked if found]
    grids = []
    if whole:
        rows = tuple(
            (
                one.arm,
                *_estimate(one.improvement, 1, 2, sign=True),
                *_estimate(one.share_won, 100, 0, sign=False),
            )
            for one in whole
        )
        heads = ("arm", "improvement in units of noise", "95 %", "pairs won, %", "95 %")
        grids.append(Grid("Over all tasks: interquartile means of paired differences, bootstrapped", heads, rows))
    for task, found in ranked:
        if found:
            title = f"Ranks on {task}" if len(ranked) > 1 else "Ranks"
            lines = tuple(
                (
                    rank.arm,
                    general(rank.rank),
                    f"{general(rank.low)} to {general(rank.high)}",
                    f"{fixed(100 * rank.first, 0)} %",
                )
                for rank in sorted(found, key=lambda rank: rank.rank)
            )
            columns = ("arm", "rank", "95 % of draws", "first in")
            grids.append(Grid(f"{title}, over seeds drawn again", columns, lines))
    title = "Tasks together" if whole else "How sure the order is"
    return Block(title, tuple(told), tuple(grids), tuple(tasks))


def _estimate(found: Estimate, scale: float, places: int, *, sign: bool) -> tuple[str, str]:
    told = (signed if sign else fixed)(scale * found.value, places)
    return told, interval(scale * found.interval.low, scale * found.interval.high, places)


def _design(part: Explained, several: bool) -> Block:
    title = f"{part.title}, {part.task}" if several else part.title
    words = (f"Nothing can be said: {part.problem}.",) if part.problem else part.sentences
    grids = (
        *(_of_design(part.design, part.metric.title) if part.design else ()),
        *(_of_shares(part.attribution) if part.attribution else ()),
    )
    return Block(title, tuple(words), grids, tuple(interactions(part)))


def _of_design(design: Design, metric: str) -> Iterator[Grid]:
    if not design.effects:
        return
    places = decimals([step.interval.high - step.interval.low for effect in design.effects for step in effect.steps])
    rows = tuple(
        (
            f"{_told(step.levels)} against {_told(step.against)}" + (f" at {_told(step.at)}" if step.at else ""),
            signed(step.estimate, places),
            interval(step.interval.low, step.interval.high, places),
            probability(effect.p_holm),
            fixed(effect.omega2, 2),
        )
        for effect in design.effects
        for step in (*effect.steps, *effect.simple)
    )
    yield Grid(
        "Improvements by level; p of the whole effect",
        ("step", "improvement", "95 % CI", "p, Holm", "partial ω²"),
        rows,
    )
    yield from _means(design, metric, places)


def _means(design: Design, metric: str, places: int) -> Iterator[Grid]:
    """Marginal means; pairs of factors as a table of their own, one row a level of the first."""
    single = [mean for mean in design.means if len(mean.levels) == 1]
    rows = tuple(
        (_told(mean.levels), fixed(mean.mean, places), interval(mean.interval.low, mean.interval.high, places))
        for mean in single
    )
    if rows:
        yield Grid(f"Marginal means of {metric}", ("level", "mean", "95 % CI"), rows)
    pairs = dict.fromkeys(tuple(name for name, _ in mean.levels) for mean in design.means if len(mean.levels) == 2)
    for one, other in pairs:
        cells = {
            (mean.levels[0][1], mean.levels[1][1]): mean.mean
            for mean in design.means
            if tuple(name for name, _ in mean.levels) == (one, other)
        }
        firsts, seconds = (tuple(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
        table = tuple(
            (
                first,
                *(fixed(cells[first, second], places) if (first, second) in cells else MISSING for second in seconds),
            )
            for first in firsts
        )
        yield Grid(f"{one} by {other}, marginal means of {metric}", (f"{one} \\ {other}", *seconds), table)


def _of_shares(found: Attribution) -> Iterator[Grid]:
    places = decimals([share.effect.se for share in found.shares])
    rows = tuple(
        (
            share.change,
            signed(share.effect.mean, places),
            interval(share.effect.interval.low, share.effect.interval.high, places),
            probability(share.p),
            signed(share.first, places),
            signed(share.last, places),
        )
        for share in found.shares
    )
    yield Grid(
        "Shares of the whole difference",
        ("change", "improvement", "95 % CI", "p, Holm", "made first", "made last"),
        rows,
    )


def _told(levels: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in levels)
