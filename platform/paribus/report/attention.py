"""How arms attend: maps of the same examples, and what heads do on average.

Axes: H heads, Q queries, K keys.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from paribus.planning import TaskInfo
from paribus.report.numbers import fixed, listed, plural, spread
from paribus.report.panels import Words
from paribus.report.results import Results
from paribus.store.kept import Array, Head, Kept

LOCAL, GLOBAL, SINK = 0.35, 0.8, 0.5
LABELS = ("local", "mixed", "global", "sink")
MOST_ARMS = 40  # with maps on one page
MANY_ARMS = 10  # from which one example has to do
PLACES = {("encoder", "self"): "encoder", ("decoder", "self"): "decoder", ("decoder", "cross"): "cross"}


@dataclass(frozen=True)
class Mosaic:
    """The maps of one arm at one place for one example: one tile a head, one row of tiles a layer."""

    arm: str
    place: str
    seed: int
    layers: tuple[Array, ...]  # (H,Q,K) each
    words: str


@dataclass(frozen=True)
class Example:
    number: int
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    mosaics: Mapping[tuple[str, str], Mosaic]  # arm, place


@dataclass(frozen=True)
class Spread:
    """The heads of one arm at one place, as means over seeds."""

    arm: str
    place: str
    heads: int
    seeds: int
    entropy: str
    distance: str
    diagonal: str
    labels: str


@dataclass(frozen=True)
class Dot:
    arm: str
    place: str
    seed: int
    layer: int
    head: int
    distance: float
    entropy: float


@dataclass(frozen=True, eq=False)
class Attention:
    words: Words
    scatter: Words
    places: tuple[str, ...]
    arms: tuple[str, ...]
    left_out: int
    examples: tuple[Example, ...]
    spreads: tuple[Spread, ...]
    dots: tuple[Dot, ...]


def label(head: Head) -> str:
    """`local`, `mixed`, `global` or `sink`; empty where the distance is not defined."""
    if head.first is not None and head.first > SINK:
        return "sink"
    if head.distance is None:
        return ""
    return "local" if head.distance < LOCAL else "global" if head.distance > GLOBAL else "mixed"


def attention(results: Results, task: TaskInfo) -> Attention | None:
    """What is kept of attention, or nothing where no run kept any."""
    known = {
        arm.name: {seed: kept for seed, kept in results.kept_of(arm.name, task.name) if kept.heads}
        for arm in results.plan.arms
    }
    known = {arm: runs for arm, runs in known.items() if runs}
    if not known:
        return None
    heads = {arm: {seed: kept.heads for seed, kept in runs.items()} for arm, runs in known.items()}
    there = {_place(head) for runs in heads.values() for found in runs.values() for head in found}
    places = tuple(place for place in PLACES.values() if place in there)
    spreads = tuple(
        found for place in places for arm in known if (found := _spread(arm, place, heads[arm])) is not None
    )
    shown = list(known)[:MOST_ARMS]
    first = {arm: next(iter(known[arm].items())) for arm in shown}
    examples = tuple(_examples(first, places, 1 if len(shown) > MANY_ARMS else None))
    return Attention(
        _gallery_words(examples, shown, first),
        _scatter_words(spreads),
        places,
        tuple(shown),
        len(known) - len(shown),
        examples,
        spreads,
        tuple(_dots(heads)),
    )


def _place(head: Head) -> str:
    return PLACES.get((head.side, head.place), head.side)


def _spread(arm: str, place: str, runs: Mapping[int, list[Head]]) -> Spread | None:
    """Means over the heads of each run; then mean and SD over runs, since heads have no identity across seeds."""
    here = {seed: [head for head in found if _place(head) == place] for seed, found in runs.items()}
    here = {seed: found for seed, found in here.items() if found}
    if not here:
        return None
    labels = Counter(label(head) for found in here.values() for head in found)
    told = [f"{labels[name] / len(here):.1f} {name}" for name in LABELS if labels[name]]
    return Spread(
        arm,
        place,
        len(next(iter(here.values()))),
        len(here),
        _mean_of(here, "entropy"),
        _mean_of(here, "distance"),
        _mean_of(here, "diagonal"),
        ", ".join(told) or "not defined",
    )


def _mean_of(runs: Mapping[int, list[Head]], measure: str) -> str:
    values = [[value for head in found if (value := getattr(head, measure)) is not None] for found in runs.values()]
    means = [fmean(found) for found in values if found]
    if not means:
        return "not defined"
    return spread(fmean(means), stdev(means) if len(means) > 1 else float("nan"), 2)


def _dots(heads: Mapping[str, Mapping[int, list[Head]]]) -> Iterator[Dot]:
    for arm, runs in heads.items():
        for seed, found in runs.items():
            for head in found:
                if head.entropy is not None and head.distance is not None:
                    yield Dot(arm, _place(head), seed, head.layer, head.head, head.distance, head.entropy)


def _examples(first: Mapping[str, tuple[int, Kept]], places: tuple[str, ...], most: int | None) -> Iterator[Example]:
    """The examples that all arms kept."""
    rows = [{shown.row: index for index, shown in enumerate(kept.shown)} for _, kept in first.values()]
    common = [row for row in (rows[0] if rows else {}) if all(row in other for other in rows)]
    for number, row in enumerate(common[:most], 1):
        mosaics = {}
        told: dict[str, tuple[str, ...]] = {}
        for (arm, (seed, kept)), index in zip(first.items(), (other[row] for other in rows), strict=True):
            for side in ("encoder", "decoder"):
                told.setdefault(side, tuple(getattr(kept.shown[index], side)))
            for place in places:
                layers = tuple(_layers(kept, index, place))
                if layers:
                    mosaics[arm, place] = Mosaic(arm, place, seed, layers, _mosaic_words(arm, place, seed, layers))
        yield Example(number, told.get("encoder", ()), told.get("decoder", ()), mosaics)


def _layers(kept: Kept, index: int, place: str) -> Iterator[Array]:
    side, name = {"encoder": ("encoder", "mixer"), "decoder": ("decoder", "mixer"), "cross": ("decoder", "cross")}[
        place
    ]
    found = {}
    for path, array in kept.maps.items():
        number, _, where = path.partition("/")
        parts = where.split(".")
        if number == str(index) and parts[0] == side and parts[-1] == name:
            found[int(parts[1])] = array
    for layer in sorted(found):
        yield found[layer]


def _mosaic_words(arm: str, place: str, seed: int, layers: tuple[Array, ...]) -> str:
    shares = [float(np.asarray(layer, dtype=float).max(-1).mean()) for layer in layers]
    told = listed(f"{fixed(share, 2)} in layer {index}" for index, share in enumerate(shares))
    return f"{place} attention of {arm}, seed {seed}: mean weight of the likeliest key {told}"


def _gallery_words(examples: tuple[Example, ...], arms: list[str], first: Mapping[str, tuple[int, Kept]]) -> Words:
    seeds = listed(dict.fromkeys(f"seed {seed}" for seed, _ in first.values()))
    return Words(
        "Attention on the same examples",
        f"Every tile is one head of {seeds}: a row of tiles is a layer, a row in a tile is a query, a column a key. "
        "All tiles share one scale from 0 (dark) to 1 (light). They show where weights go, not why the model decides.",
        f"Attention maps of {plural(len(arms), 'arm')} on {plural(len(examples), 'example')}.",
    )


def _scatter_words(spreads: tuple[Spread, ...]) -> Words:
    told = "; ".join(
        f"{found.arm} {found.place}: entropy {found.entropy}, distance {found.distance}" for found in spreads[:24]
    )
    return Words(
        "What heads do",
        "Each mark is one head of one seed. Entropy and distance are shares of what uniform attention has; "
        f"under {LOCAL} a head is local, over {GLOBAL} global. Heads have no identity across seeds.",
        f"Means over heads: {told}.",
    )
