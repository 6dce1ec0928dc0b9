"""Accuracy, the share of examples whose likeliest label is the right one."""

from paribus.parts.metric import MetricSpec


class Spec(MetricSpec):
    direction = "max"
    title = "accuracy"
    bounds = (0.0, 1.0)
