"""How outputs are written; the settings only, the writing itself is in `paribus.training.decoding`."""

from pydantic import Field, PositiveInt

from paribus.parts import Part


class DecodingSpec(Part):
    max_length: PositiveInt | None = Field(
        None, description="longest output; null: the longest right answer of the split and ten tokens more"
    )
