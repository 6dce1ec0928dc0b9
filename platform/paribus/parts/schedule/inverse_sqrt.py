"""Inverse square root, factor min(t / w, sqrt(w / t)) with warm-up w, from Vaswani et al. 2017 (arXiv:1706.03762); w is at least one step."""

import math

from paribus.parts.schedule import ScheduleSpec


class Spec(ScheduleSpec):
    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        return math.sqrt(rise / after) if rise else math.sqrt(1.0 / after)
