"""Kaiming initialisation, uniform with standard deviation gain * sqrt(2 / in), from He et al. 2015 (arXiv:1502.01852)."""

import math

from pydantic import Field, PositiveFloat

from paribus.parts import Part
from paribus.parts.initialisation import Initialisation


class Spec(Part):
    gain: PositiveFloat = Field(1.0, description="factor on all weight matrices")

    def build(self) -> "Kaiming":
        return Kaiming(self.gain)


class Kaiming(Initialisation):
    def __init__(self, gain: float) -> None:
        self.gain = gain

    def std(self, fan_out: int, fan_in: int) -> float:
        return self.gain * math.sqrt(2.0 / fan_in)
