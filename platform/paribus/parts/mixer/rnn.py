"""Elman network, h_t = tanh(W x_t + U h_(t-1) + b), from Elman 1990."""

from torch import nn

from paribus.parts.mixer._recurrent import Recurrent, RecurrentSpec

GATES = ("hidden",)


class Spec(RecurrentSpec):
    cost = "T C²"

    def build(self, *, width: int, causal: bool, max_length: int) -> Recurrent:
        return Recurrent(nn.RNN, GATES, width, self.units(width), self.bidirectional)
