"""Linear fall to zero after the warm-up, factor (budget - spent) / (budget - warm-up)."""

from paribus.parts.schedule import ScheduleSpec


class Spec(ScheduleSpec):
    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        return (budget - before) / (budget - rise) if before > rise else 1.0
