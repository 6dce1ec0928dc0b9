"""Token accuracy, the share of target tokens that are the likeliest given the right ones before."""

from paribus.parts.metric import MetricSpec


class Spec(MetricSpec):
    direction = "max"
    title = "token accuracy"
    bounds = (0.0, 1.0)
