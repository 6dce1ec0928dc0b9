"""Exact match, the share of examples whose written output equals the target token for token."""

from paribus.parts.metric import MetricSpec


class Spec(MetricSpec):
    direction = "max"
    title = "exact match"
    needs_writing = True
    bounds = (0.0, 1.0)
