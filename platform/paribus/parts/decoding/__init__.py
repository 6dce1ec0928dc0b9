"""How outputs are written; the settings only, the writing itself is in `paribus.training.decoding`."""

from typing import Any

from pydantic import Field, PositiveInt

from paribus.parts import Part


class DecodingSpec(Part):
    max_length: PositiveInt | None = Field(
        None, description="longest output; null: the longest right answer of the split and ten tokens more"
    )

    def identity(self) -> dict[str, Any]:
        """With a greatest length, runs of before counted outputs as exact that were cut where the answer ends."""
        return {**super().identity(), **({} if self.max_length is None else {"exact": "ended"})}
