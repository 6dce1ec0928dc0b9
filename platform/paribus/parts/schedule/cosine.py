"""Cosine fall to zero after the warm-up, factor (1 + cos(pi p)) / 2 with p the share done, from Loshchilov and Hutter 2017 (arXiv:1608.03983)."""

import math

from paribus.parts.schedule import ScheduleSpec


class Spec(ScheduleSpec):
    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        share = max(0.0, before - rise) / (budget - rise)
        return 0.5 * (1.0 + math.cos(math.pi * share))
