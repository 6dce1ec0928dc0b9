"""Gated recurrent unit, h_t = z h_(t-1) + (1 - z) n with gates r, z and candidate n, from Cho et al. 2014 (arXiv:1406.1078)."""

from torch import nn

from paribus.parts.mixer._recurrent import Recurrent, RecurrentSpec

GATES = ("reset", "update", "candidate")


class Spec(RecurrentSpec):
    cost = "T C²"

    def build(self, *, width: int, causal: bool, max_length: int) -> Recurrent:
        return Recurrent(nn.GRU, GATES, width, self.units(width), self.bidirectional)
