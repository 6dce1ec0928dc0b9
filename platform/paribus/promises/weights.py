"""What weights promise.

Axes: B batch, H heads, Q queries, K keys.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.weights import Weights
from paribus.promises import any_module, in_network
from paribus.promises.examples import CHANGE, EXACT, demand_finite, demand_same, drawn, gap, noise
from paribus.promises.promise import DoesNotApply, promise
from paribus.promises.using import built


def examples(seed: int) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Scores, a mask, and what they are; the last query of the larger ones sees no key."""
    for batch, queries, keys in ((1, 1, 1), (1, 1, 2), (1, 2, 2), (1, 2, 3), (2, 3, 4)):
        generator = drawn(seed)
        scores = noise(generator, batch, 2, queries, keys)
        mask = torch.rand(batch, 1, queries, keys, generator=generator) > 0.4
        mask[..., 0], mask[..., 1:2] = True, False
        if queries > 1:
            mask[:, :, -1] = False
        yield scores, mask, f"batch of {batch}, queries {queries}, keys {keys}"


def seen(mask: Tensor, like: Tensor) -> Tensor:
    return mask.expand_as(like)


@promise("hidden keys weigh exactly zero")
def nothing_hidden_weighs(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    if not isinstance(weights, Weights):
        raise Broken(f"build gives a {type(weights).__name__}, needs a paribus.parts.weights.Weights")
    for scores, mask, example in examples(seed):
        found = weights(scores, mask)
        if found.shape != scores.shape:
            raise Broken(
                f"gives the shape {tuple(found.shape)}, needs that of the scores {tuple(scores.shape)}", example
            )
        leaked = found[~seen(mask, found)]
        if leaked.numel() and not bool((leaked == 0).all()):
            raise Broken(f"a hidden key weighs {float(leaked.detach().abs().max()):.3g}", example)


@promise("weights of a query sum to one where they should, and to zero where it sees no key")
def sums(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    whole = True
    for scores, mask, example in examples(seed):
        for given in (None, mask):
            total = weights(scores, given).sum(-1)
            some = torch.ones_like(total, dtype=torch.bool) if given is None else seen(mask.any(-1), total)
            worst = float((total[some] - 1).detach().abs().max()) if bool(some.any()) else 0.0
            whole = whole and worst <= EXACT
            if weights.sums_to_one and not worst <= EXACT:
                raise Broken(f"the weights of a query sum to {1 + worst:.4g} or {1 - worst:.4g}, not to 1", example)
            if not bool((total[~some] == 0).all()):
                raise Broken("the weights of a query that sees no key do not sum to 0", example)
    if whole and not weights.sums_to_one:
        raise Broken("declares sums_to_one = False, but its weights do")


@promise("what a hidden key scores has no influence, nor on the gradient")
def hidden_scores(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    for scores, mask, example in examples(seed):
        wanted = weights(scores, mask)
        for high in (50.0, -50.0):
            found = weights(torch.where(mask, scores, scores + high), mask)
            demand_same(found, wanted, "a weight moved with the score of a hidden key", example)
        leaf = scores.clone().requires_grad_()
        weights(leaf, mask).square().sum().backward()
        assert leaf.grad is not None
        demand_finite(leaf.grad, "the gradient of the scores", example)
        leaked = leaf.grad[~seen(mask, scores)]
        if leaked.numel() and not bool((leaked == 0).all()):
            raise Broken("a hidden key gets a gradient", example)


@promise("more padding changes no weight")
def longer_padding(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    for scores, mask, example in examples(seed):
        keys = scores.shape[-1]
        longer = weights(functional.pad(scores, (0, 3), value=1.0), functional.pad(mask, (0, 3)))[..., :keys]
        demand_same(longer, weights(scores, mask), "a weight moved when padding was added", f"{example} and 3 hidden")
        all_seen = torch.ones_like(mask)
        said = "the weights hang on whether a mask says that nothing is hidden"
        demand_same(weights(scores, all_seen), weights(scores, None), said, example)


@promise("the weights of a query depend on its own scores only")
def each_query_by_itself(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    for scores, mask, example in examples(seed):
        wanted = weights(scores, mask)
        for query in range(scores.shape[2]):
            changed = noise(drawn(seed + 7), *scores.shape)
            changed[:, :, query] = scores[:, :, query]
            found = weights(changed, mask)[:, :, query]
            said = f"the weights of query {query} moved with the scores of others"
            demand_same(found, wanted[:, :, query], said, example)


@promise("a key that fits better never weighs less")
def order(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    for scores, _, example in examples(seed):
        found = weights(2 * scores, None).gather(-1, scores.sort(-1).indices)
        fall = float((found[..., :-1] - found[..., 1:]).detach().max()) if found.shape[-1] > 1 else 0.0
        if fall > EXACT:
            raise Broken(f"a key with a higher score weighs {fall:.3g} less", example)


@promise("weights depend on the scores")
def not_inert(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    scores, mask, example = list(examples(seed))[-1]
    if gap(weights(scores, mask), weights(2 * scores + noise(drawn(seed + 7), *scores.shape), mask)) <= CHANGE:
        raise Broken("the weights stay the same when the scores change", example)


@promise("the fused kernel may stand in for it only where it is a softmax")
def is_softmax(spec: Part, seed: int) -> None:
    weights = built(spec, seed)
    if not weights.is_softmax:
        raise DoesNotApply("no fused form")
    for scores, mask, example in examples(seed):
        wanted = scores.masked_fill(~mask, float("-inf")).softmax(-1).nan_to_num(0.0)
        demand_same(weights(scores, mask), wanted, "declares is_softmax, but is another function", example)


PROMISES = (
    nothing_hidden_weighs,
    sums,
    hidden_scores,
    longer_padding,
    each_query_by_itself,
    order,
    not_inert,
    is_softmax,
    *any_module.promises("weights"),
    *in_network.promises("weights"),
)
