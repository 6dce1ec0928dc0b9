"""Small inputs, the smallest first: so the first failure that is found is the smallest failing example.

Axes: B batch, T time, C channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from paribus.errors import Broken
from paribus.parts.mixer import Tokens

# In float64 what is equal by the formula differs by rounding only.
EXACT = 1e-9
# What is less than this is no change that a formula makes.
CHANGE = 1e-7


@dataclass(frozen=True)
class Shape:
    """How long the sequences of a batch are."""

    lengths: tuple[int, ...]

    def __str__(self) -> str:
        one = "token" if self.lengths == (1,) else "tokens"
        if len(self.lengths) == 1:
            return f"1 sequence of {self.lengths[0]} {one}"
        return (
            f"{len(self.lengths)} sequences of {', '.join(map(str, self.lengths[:-1]))} and {self.lengths[-1]} tokens"
        )

    @property
    def batch(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        return max(self.lengths)

    def tokens(self, extra: int = 0, *, told: bool = True) -> Tokens:
        """With `extra` padding behind the longest; `told`: with a mask, which may be left out where all is real."""
        ids = torch.zeros(self.batch, self.longest + extra)
        return Tokens.of(ids, torch.tensor(self.lengths) if told else None)

    def mask(self, extra: int = 0) -> Tensor:
        mask_BT = self.tokens(extra).mask_BT
        assert mask_BT is not None
        return mask_BT


SHAPES = (Shape((1,)), Shape((2,)), Shape((3,)), Shape((2, 1)), Shape((3, 5, 4)))
LARGEST = SHAPES[-1]


def noise(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gap(one: Tensor, other: Tensor) -> float:
    """The largest difference; infinite where one of them is not finite."""
    if one.shape != other.shape:
        raise Broken(f"got the shapes {tuple(one.shape)} and {tuple(other.shape)} where both should be the same")
    if not one.numel():
        return 0.0
    largest = float((one.detach() - other.detach()).abs().max())
    return largest if largest == largest else float("inf")


def demand_same(found: Tensor, wanted: Tensor, said: str, example: str, tolerance: float = EXACT) -> None:
    """`said` tells what moved, such as "a kept value moved when padding was added"."""
    moved = gap(found, wanted)
    if not moved <= tolerance * (1 + float(wanted.detach().abs().max() if wanted.numel() else 0.0)):
        raise Broken(f"{said}, by {moved:.3g}", example)


def demand_finite(found: Tensor, said: str, example: str) -> None:
    if not bool(found.isfinite().all()):
        raise Broken(f"{said} holds numbers that are not finite", example)


def mode(training: bool) -> str:
    return "in training" if training else "in evaluation"
