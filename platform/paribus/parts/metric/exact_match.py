"""Exact match, the share of examples whose written output is the target token for token, with its end."""

from paribus.parts.metric import MetricSpec


class Spec(MetricSpec):
    direction = "max"
    title = "exact match"
    needs_writing = True
    bounds = (0.0, 1.0)
