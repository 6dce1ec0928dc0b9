"""Loss, the mean negative log-likelihood of a target token or label, without smoothing."""

from paribus.parts.metric import MetricSpec


class Spec(MetricSpec):
    direction = "min"
    title = "loss"
    unit = "nats"
