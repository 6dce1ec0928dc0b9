"""No mixer: the sublayer is left out, with its norm and residual, so no token learns of another here."""

from paribus.parts.mixer import MixerSpec


class Spec(MixerSpec):
    places = frozenset({"self", "cross"})

    def build(self, *, width: int, causal: bool, max_length: int) -> None:
        return None
