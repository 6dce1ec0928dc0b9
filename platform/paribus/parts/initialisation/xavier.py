"""Xavier initialisation, uniform with standard deviation gain * sqrt(2 / (in + out)), from Glorot and Bengio 2010."""

import math

from pydantic import Field, PositiveFloat

from paribus.parts import Part
from paribus.parts.initialisation import Initialisation


class Spec(Part):
    gain: PositiveFloat = Field(1.0, description="factor on all weight matrices")

    def build(self) -> "Xavier":
        return Xavier(self.gain)


class Xavier(Initialisation):
    def __init__(self, gain: float) -> None:
        self.gain = gain

    def std(self, fan_out: int, fan_in: int) -> float:
        return self.gain * math.sqrt(2.0 / (fan_in + fan_out))
