"""Normal initialisation, a normal distribution of one standard deviation for all matrices, as in GPT-2 (Radford et al. 2019)."""

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from paribus.parts import Part
from paribus.parts.initialisation import Initialisation


class Spec(Part):
    std: PositiveFloat = Field(0.02, description="standard deviation of all weight matrices")

    def build(self) -> "Normal":
        return Normal(self.std)


class Normal(Initialisation):
    def __init__(self, std: float) -> None:
        self._std = std

    def std(self, fan_out: int, fan_in: int) -> float:
        return self._std

    def fill(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        return torch.empty(shape).normal_(0.0, self._std, generator=generator)
