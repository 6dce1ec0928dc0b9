"""What scores promise.

Axes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from paribus.errors import Broken, ParibusError
from paribus.parts import Part, spec_class
from paribus.parts.score import FusedScore, Positions, Score
from paribus.promises import any_module, in_network
from paribus.promises.building import HEAD, HEADS, PLACES
from paribus.promises.examples import CHANGE, EXACT, demand_same, drawn, gap, noise
from paribus.promises.fusing import fused_and_not
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.using import built

SIZES = ((1, 1, 1), (1, 1, 2), (1, 2, 2), (2, 2, 3), (2, 4, 3))  # batch, queries, keys


def examples(seed: int) -> Iterator[tuple[Tensor, Tensor, Positions, str]]:
    for batch, queries, keys in SIZES:
        generator = drawn(seed)
        q, k = noise(generator, batch, HEADS, queries, HEAD), noise(generator, batch, HEADS, keys, HEAD)
        at = Positions(torch.arange(queries)[None], torch.arange(keys)[None])
        yield q, k, at, f"batch of {batch}, queries {queries}, keys {keys}, head width {HEAD}"


@promise("it is a number for each query and key")
def shape(spec: Part, seed: int) -> None:
    score = built(spec, seed)
    if not isinstance(score, Score):
        raise Broken(f"build gives a {type(score).__name__}, needs a paribus.parts.score.Score")
    for q, k, at, example in examples(seed):
        wanted = (*q.shape[:-1], k.shape[-2])
        found = tuple(score(q, k, at).shape)
        if found != wanted:
            raise Broken(f"gives the shape {found}, needs (batch, heads, queries, keys) = {wanted}", example)


@promise("entry (i, j) depends on query i and key j only")
def one_pair_each(spec: Part, seed: int) -> None:
    score = built(spec, seed)
    for q, k, at, example in examples(seed):
        wanted = score(q, k, at)
        other_q, other_k = (noise(drawn(seed + 7), *x.shape) for x in (q, k))
        for b, h, i, j in product(*(range(size) for size in wanted.shape)):
            changed_q, changed_k = other_q.clone(), other_k.clone()
            changed_q[b, h, i], changed_k[b, h, j] = q[b, h, i], k[b, h, j]
            moved = gap(score(changed_q, changed_k, at)[b, h, i, j], wanted[b, h, i, j])
            if moved > EXACT:
                raise Broken(f"entry ({i}, {j}) moved by {moved:.3g} when other queries and keys changed", example)


@promise("gradients reach query and key, except what it declares to ignore")
def reads_what_it_should(spec: Part, seed: int) -> None:
    score = built(spec, seed)
    q, k, at, example = list(examples(seed))[-1]
    q.requires_grad_(), k.requires_grad_()
    found = score(q, k, at)
    given = (
        torch.autograd.grad(found.square().sum(), (q, k), allow_unused=True) if found.requires_grad else (None, None)
    )
    for name, gradient in zip(("query", "key"), given, strict=True):
        reached = gradient is not None and bool(gradient.abs().max() > 0)
        if reached and name in spec.ignores:
            raise Broken(f"declares that it ignores the {name}, but its scores hang on it", example)
        if not reached and name not in spec.ignores:
            moved = gap(
                score(noise(drawn(seed + 7), *q.shape), k, at) if name == "query" else score(q, k * 2 + 1, at), found
            )
            lost = "the scores hang on it, but it gets no gradient" if moved > CHANGE else "it changes no score"
            raise Broken(f"no gradient reaches the {name}: {lost}", example)


@promise("scores differ from key to key")
def not_inert(spec: Part, seed: int) -> None:
    if {"query", "key"} <= spec.ignores:
        raise DoesNotApply("ignores query and key")
    score = built(spec, seed)
    for q, k, at, example in list(examples(seed))[1:]:
        found = score(q, k, at).detach()
        if float((found - found[..., :1]).abs().max()) <= CHANGE:
            raise Broken(
                "every key of a query gets the same score, so its weights are the same whatever it holds", example
            )


@promise("fused it gives the same scores, up to a term that is the same for all keys")
def fused_scores(spec: Part, seed: int) -> None:
    score = built(spec, seed)
    if not isinstance(score, FusedScore):
        raise DoesNotApply("no fused form")
    for q, k, at, example in examples(seed):
        fused_q, fused_k = score.fused(q, k)
        found, wanted = fused_q @ fused_k.transpose(-2, -1), score(q, k, at)
        centred = (found - found.mean(-1, keepdim=True), wanted - wanted.mean(-1, keepdim=True))
        demand_same(*centred, "the product of the fused q' and k' is not the score", example)


@promise("attention with it gives the same output and gradients fused and not")
def fused_attention(spec: Part, seed: int) -> None:
    if not isinstance(built(spec, seed), FusedScore):
        raise DoesNotApply("no fused form")
    fused_and_not(spec_class("mixer", "attention").model_validate({"heads": HEADS, "score": spec}), seed)


@promise("a place beyond the longest is an error, never a clamp")
def refuses_longer(spec: Part, seed: int) -> None:
    score = built(spec, seed)
    limits = {"key": getattr(score, "capacity", None), "query": getattr(score, "query_capacity", None)}
    if not grows(spec, seed) and not any(limits.values()):
        raise DoesNotApply("has no limited number of places")
    for name, limit in limits.items():
        if limit is None:
            continue
        queries, keys = (limit + 1 if name == side else 1 for side in ("query", "key"))
        q, k = noise(drawn(seed), 1, HEADS, queries, HEAD), noise(drawn(seed), 1, HEADS, keys, HEAD)
        refuse(
            lambda q=q, k=k, queries=queries, keys=keys: score(
                q, k, Positions(torch.arange(queries)[None], torch.arange(keys)[None])
            ),
            f"{name} {limit + 1} of {limit}",
        )


def grows(spec: Part, seed: int) -> bool:
    """Whether its parameters have more rows where sequences are longer."""
    longer = {"max_length": PLACES + 1, "max_queries": PLACES + 1, "max_keys": PLACES + 1}
    one, other = (built(spec, seed, **known).state_dict() for known in ({}, longer))
    return any(one[name].shape != other[name].shape for name in one.keys() & other.keys())


def refuse(call: object, example: str) -> None:
    """Demand that a call raises what a user can act on."""
    try:
        call()  # type: ignore[operator]
    except ParibusError:
        return
    except Exception as error:
        raise Broken(f"raised {type(error).__name__}, needs a CapacityError that a user can act on", example) from None
    raise Broken("took a place that it has no room for; needs paribus.parts.position.check_capacity", example)


PROMISES = (
    shape,
    one_pair_each,
    reads_what_it_should,
    not_inert,
    fused_scores,
    fused_attention,
    refuses_longer,
    *any_module.promises("score"),
    *in_network.promises("score"),
)
