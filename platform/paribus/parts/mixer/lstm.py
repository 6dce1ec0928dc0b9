"""Long short-term memory, c_t = f c_(t-1) + i g, h_t = o tanh(c_t) with gates i, f, o, from Hochreiter and Schmidhuber 1997 and Gers et al. 2000."""

from torch import nn

from paribus.parts.mixer._recurrent import Recurrent, RecurrentSpec

GATES = ("input", "forget", "candidate", "output")


class Spec(RecurrentSpec):
    cost = "T C²"

    def build(self, *, width: int, causal: bool, max_length: int) -> Recurrent:
        return Recurrent(nn.LSTM, GATES, width, self.units(width), self.bidirectional)
