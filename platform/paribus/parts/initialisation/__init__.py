"""How weight matrices start: every value is a pure function of (seed, role path), never of what else the network holds.

A role path names what a parameter is for (`decoder.2.cross.query.weight`) and never its kind, so two arms that share a
role and a shape start from the same values.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class Initialisation(ABC):
    @abstractmethod
    def std(self, fan_out: int, fan_in: int) -> float:
        """Standard deviation of the entries of a matrix."""

    def fill(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """A matrix (out, in) drawn on the CPU in float32."""
        bound = math.sqrt(3.0) * self.std(*shape)
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)


class Draw:
    """Gives one module its initial values; names are relative to the module's role path."""

    def __init__(self, seed: int, path: str, scheme: Initialisation) -> None:
        self._seed = seed
        self._path = path
        self._scheme = scheme

    def matrix(self, name: str, into: Tensor) -> None:
        """Fill a matrix (out, in) by the scheme of the experiment."""
        self._put(into, self._scheme.fill((into.shape[0], into.shape[1]), self._generator(name)))

    def normal(self, name: str, into: Tensor, *, std: float) -> None:
        self._put(into, torch.empty(into.shape).normal_(0.0, std, generator=self._generator(name)))

    def uniform(self, name: str, into: Tensor, *, bound: float) -> None:
        self._put(into, torch.empty(into.shape).uniform_(-bound, bound, generator=self._generator(name)))

    @staticmethod
    def constant(into: Tensor, value: float) -> None:
        with torch.no_grad():
            into.fill_(value)

    def _generator(self, name: str) -> torch.Generator:
        role = f"{self._path}.{name}" if self._path else name
        digest = hashlib.sha256(f"{self._seed}\0{role}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    @staticmethod
    def _put(into: Tensor, values: Tensor) -> None:
        with torch.no_grad():
            into.copy_(values)


@runtime_checkable
class DrawsItself(Protocol):
    """A module with parameters that torch's own layers do not cover."""

    def initialise(self, draw: Draw) -> None: ...


def initialise(network: nn.Module, seed: int, scheme: Initialisation) -> None:
    """Give every parameter its initial value: linear layers by the scheme with zero biases, embeddings with variance 1/C.

    Children come before their parents, so a module that draws for itself has the last word. Parameters that nothing here
    covers keep what their constructor gave them.
    """
    for path, module in reversed(list(network.named_modules())):
        draw = Draw(seed, path, scheme)
        if isinstance(module, DrawsItself):
            module.initialise(draw)
        elif isinstance(module, nn.Linear):
            draw.matrix("weight", module.weight)
            if module.bias is not None:
                draw.constant(module.bias, 0.0)
        elif isinstance(module, nn.Embedding):
            draw.normal("weight", module.weight, std=module.embedding_dim**-0.5)
