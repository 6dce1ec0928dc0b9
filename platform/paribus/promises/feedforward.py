"""What feed-forwards promise.

Axes: B batch, T time, C channels.
"""

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.feedforward import Feedforward
from paribus.promises import any_module, in_network
from paribus.promises.building import WIDTH
from paribus.promises.examples import CHANGE, SHAPES, demand_same, drawn, gap, noise
from paribus.promises.promise import promise
from paribus.promises.using import built


@promise("it gives the shape that it was given")
def shape_stays(spec: Part, seed: int) -> None:
    feedforward = built(spec, seed)
    if not isinstance(feedforward, Feedforward):
        raise Broken(f"build gives a {type(feedforward).__name__}, needs a paribus.parts.feedforward.Feedforward")
    for shape in SHAPES:
        x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
        found = feedforward(x)
        if found.shape != x.shape:
            raise Broken(f"gives {tuple(found.shape)} for {tuple(x.shape)}", str(shape))


@promise("what a token becomes depends on no other token")
def each_token_by_itself(spec: Part, seed: int) -> None:
    for training in (True, False):
        feedforward = built(spec, seed).train(training)
        for shape in SHAPES:
            x = noise(drawn(seed), shape.batch, shape.longest, WIDTH)
            wanted = feedforward(x)
            for row in range(shape.batch):
                for token in range(shape.longest):
                    found = feedforward(x[row, token].view(1, 1, WIDTH))[0, 0]
                    seen = f"token {token} of sequence {row} by itself becomes another"
                    demand_same(found, wanted[row, token], seen, str(shape))


@promise("what a token becomes depends on it")
def not_inert(spec: Part, seed: int) -> None:
    feedforward = built(spec, seed)
    one, other = (noise(drawn(number), 1, 1, WIDTH) for number in (seed, seed + 7))
    if gap(feedforward(one), feedforward(other)) <= CHANGE:
        raise Broken("two tokens become the same", "1 sequence of 1 token")


PROMISES = (
    shape_stays,
    each_token_by_itself,
    not_inert,
    *any_module.promises("feedforward"),
    *in_network.promises("feedforward"),
)
