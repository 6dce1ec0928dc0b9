"""What an architecture costs: parameters, and FLOPs of a forward pass for each token, both exact and without training.

FLOPs are two for each multiply-add of matrix products and convolutions, at the mean lengths of the training split.
"""

from dataclasses import asdict, dataclass

import torch
from torch import nn

from paribus.network import Network, Side, Sizes, assemble
from paribus.spec.network import Architecture


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
    with torch.device("meta"):
        network = assemble(spec, sizes)
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
