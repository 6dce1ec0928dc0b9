"""How outputs are judged; the definitions only, so that a report can be made without torch."""

from typing import ClassVar, Literal

from paribus.parts import Part

Direction = Literal["max", "min"]


class MetricSpec(Part):
    direction: ClassVar[Direction]
    needs_writing: ClassVar[bool] = False  # whether outputs must be decoded for it
    unit: ClassVar[str] = ""
    title: ClassVar[str]
    bounds: ClassVar[tuple[float, float] | None] = None
