"""What an architecture costs: parameters, and FLOPs of a forward pass for each token, both exact and without training.

FLOPs are two for each multiply-add of matrix products and convolutions, at the mean lengths of the training split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from torch import nn

from paribus.network import Network, Side, Sizes, laid_out
from paribus.spec.arms import Arm, Setting, resized
from paribus.spec.network import Architecture
from paribus.spec.training import Match

LARGEST = 2**20  # that a resized number may get
NEIGHBOURS = 64  # next to a number that breaks a rule, such as a width that heads do not divide


@dataclass(frozen=True)
class Lengths:
    """Mean lengths of what encoder and decoder read, and of what counts as tokens of an example."""

    encoder: float
    decoder: float
    tokens: float


@dataclass(frozen=True)
class Cost:
    parameters: int
    parameters_without_embeddings: int
    flops_per_token: float

    def tree(self) -> dict[str, float]:
        return asdict(self)


def cost(spec: Architecture, sizes: Sizes, lengths: Lengths) -> Cost:
    """Of one network; nothing is computed, the network is only laid out."""
    network = laid_out(spec, sizes)
    total = sum(parameter.numel() for parameter in network.parameters())
    tables = sum(module.weight.numel() for module in network.modules() if isinstance(module, nn.Embedding))
    return Cost(total, total - tables, flops(network, lengths) / lengths.tokens)


def flops(network: Network, lengths: Lengths) -> float:
    """Of one forward pass over one example."""
    encoder, decoder = getattr(network, "encoder", None), getattr(network, "decoder", None)
    readout = network.get_submodule("readout")
    assert isinstance(readout, nn.Linear)
    total = 0.0
    if isinstance(encoder, Side):
        total += _side(encoder, lengths.encoder, 0.0)
    if isinstance(decoder, Side):
        total += _side(decoder, lengths.decoder, lengths.encoder)
    labelled = not isinstance(decoder, Side) or getattr(network, "labels", False)
    read = 1.0 if labelled else lengths.decoder
    return total + read * 2 * readout.in_features * readout.out_features


def _side(side: Side, length: float, memory: float) -> float:
    total = side.position.flops(length)
    for layer in side.layers:
        total += layer.mixer.flops(length, length) if layer.mixer is not None else 0.0
        total += layer.cross.flops(length, memory) if layer.cross is not None else 0.0
        total += layer.feedforward.flops(length) if layer.feedforward is not None else 0.0
    return total


def matched(arms: Sequence[Arm], match: Match, measure: Callable[[Setting], Cost]) -> list[Arm]:
    """All arms, and after each one that is not as large as the baseline the same arm made as large as it can be."""

    def size(arm: Arm) -> float:
        found = measure(arm.setting)
        return float(found.parameters if match.on == "parameters" else found.flops_per_token)

    baseline, *others = arms
    wanted = size(baseline)
    result = [baseline]
    for arm in others:
        if abs(size(arm) / wanted - 1) <= match.tolerance:
            result.append(arm)
            continue
        nearest = min(_around(arm, match.by, wanted, size), key=lambda found: abs(size(found) - wanted), default=None)
        if nearest is not None and abs(size(nearest) / wanted - 1) <= match.tolerance:
            result += [arm, replace(nearest, name=f"{arm.name}:matched")]
        else:
            best = "" if nearest is None else f"; the nearest is {size(nearest) / wanted - 1:+.1%}"
            told = f"cannot be made as large as the baseline in {match.on} by {match.by}{best}"
            result.append(replace(arm, notes={**arm.notes, "UNMATCHED": told}))
    return result


def _around(arm: Arm, key: str, wanted: float, size: Callable[[Arm], float]) -> Iterator[Arm]:
    """The arm with the numbers next to the one that would fit exactly; sizes grow with the number."""
    low, high = 1, 2
    while high < LARGEST and (found := _near(arm, key, high)) is not None and size(found[1]) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = _near(arm, key, (low + high) // 2)
        if middle is None or not low < middle[0] < high:
            break
        low, high = (middle[0], high) if size(middle[1]) < wanted else (low, middle[0])
    found_at = {found[0]: found[1] for number in (low, high) if (found := _near(arm, key, number)) is not None}
    yield from found_at.values()


def _near(arm: Arm, key: str, number: int) -> tuple[int, Arm] | None:
    """The first number from `number` on that breaks no rule, and the arm with it."""
    for other in range(number, number + NEIGHBOURS):
        found = resized(arm, key, other)
        if found is not None:
            return other, found
    return None
