"""Greedy decoding, the likeliest next token each time."""

from paribus.parts.decoding import DecodingSpec


class Spec(DecodingSpec):
    pass
