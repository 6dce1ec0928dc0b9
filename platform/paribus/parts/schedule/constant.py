"""Constant rate after the warm-up, factor 1."""

from paribus.parts.schedule import ScheduleSpec


class Spec(ScheduleSpec):
    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        return 1.0
