"""What windows promise.

Axes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.score import Positions
from paribus.parts.window import Window
from paribus.promises import any_module, in_network
from paribus.promises.building import HEAD, HEADS
from paribus.promises.examples import CHANGE, demand_finite, demand_same, drawn, gap, noise
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.using import built, places


def examples(seed: int) -> Iterator[tuple[Tensor, Positions, Tensor, str]]:
    """Queries, their places, how many keys each may see, and what they are."""
    for length in (1, 2, 3, 6):
        q = noise(drawn(seed), 2, HEADS, length, HEAD)
        seen = torch.full((1, 1, 1, 1), float(length), dtype=torch.float64)
        yield q, places(length), seen, f"{length} token{'s' if length > 1 else ''}"


def opened(spec: Part, seed: int) -> Window:
    window = built(spec, seed)
    if not isinstance(window, Window):
        raise Broken(f"build gives a {type(window).__name__}, needs a paribus.parts.window.Window")
    return window


@promise("it hides or weighs, in the right shape")
def acts(spec: Part, seed: int) -> None:
    window = opened(spec, seed)
    for q, at, seen, example in examples(seed):
        allowed, factors = window.allows(at), window.factors(q, at, seen)
        if allowed is None and factors is None:
            raise Broken("neither hides a key nor weighs one", example)
        length = q.shape[2]
        if allowed is not None and (allowed.dtype != torch.bool or tuple(allowed.shape[1:]) != (1, length, length)):
            raise Broken(f"allows gives {tuple(allowed.shape)} {allowed.dtype}, needs (1, 1, {length}, {length}) bool")
        if factors is not None and tuple(factors.shape) != (*q.shape[:3], length):
            raise Broken(f"factors gives {tuple(factors.shape)}, needs {(*q.shape[:3], length)}", example)


@promise("what it hides hangs on the distance only, and never is the query's own place")
def distance_only(spec: Part, seed: int) -> None:
    window = opened(spec, seed)
    for _, at, _, example in examples(seed):
        allowed = window.allows(at)
        if allowed is None:
            raise DoesNotApply("hides no key")
        square = allowed[0, 0]
        if not bool(square.diagonal().all()):
            raise Broken("hides the key at the query's own place", example)
        if not torch.equal(square[1:, 1:], square[:-1, :-1]):
            raise Broken("hides other keys from the query one place further on", example)
        if not torch.equal(square, square.T):
            raise Broken("does not reach as far back as ahead", example)


@promise("factors are shares, and those of a query hang on that query only")
def shares(spec: Part, seed: int) -> None:
    window = opened(spec, seed)
    for q, at, seen, example in examples(seed):
        factors = window.factors(q, at, seen)
        if factors is None:
            raise DoesNotApply("weighs no key")
        demand_finite(factors, "a factor", example)
        if bool((factors < 0).any()) or bool((factors > 1 + 1e-9).any()):
            raise Broken("a factor is below 0 or above 1", example)
        for query in range(q.shape[2]):
            other = noise(drawn(seed + 7), *q.shape)
            other[:, :, query] = q[:, :, query]
            found = window.factors(other, at, seen)
            assert found is not None
            said = f"the factors of query {query} moved with other queries"
            demand_same(found[:, :, query], factors[:, :, query], said, example)
        moved = window.factors(noise(drawn(seed + 7), *q.shape), at, seen)
        assert moved is not None
        if gap(moved, factors) <= CHANGE and "query" not in spec.ignores:
            raise Broken("the factors stay the same when the queries change", example)


@promise("more keys that nobody may see change no factor")
def longer_padding(spec: Part, seed: int) -> None:
    window = opened(spec, seed)
    for q, at, seen, example in examples(seed):
        factors = window.factors(q, at, seen)
        if factors is None:
            raise DoesNotApply("weighs no key")
        longer = Positions(at.queries_BQ, torch.arange(at.keys_BK.shape[1] + 3)[None])
        found = window.factors(q, longer, seen)
        assert found is not None
        demand_same(found[..., : q.shape[2]], factors, "a factor moved when padding was added", example)


@promise("a query that is written by itself sees the same")
def step_by_step(spec: Part, seed: int) -> None:
    window = opened(spec, seed)
    for q, at, seen, example in examples(seed):
        for t in range(q.shape[2]):
            one = Positions(torch.tensor([[t]]), at.keys_BK)
            for whole, row in (
                (window.allows(at), window.allows(one)),
                (window.factors(q, at, seen), window.factors(q[:, :, t : t + 1], one, seen)),
            ):
                if whole is not None and row is not None:
                    said = f"query {t} by itself sees something else"
                    demand_same(row[:, :, 0].double(), whole[:, :, t].double(), said, example)


PROMISES = (
    acts,
    distance_only,
    shares,
    longer_padding,
    step_by_step,
    *any_module.promises("window"),
    *in_network.promises("window"),
)
