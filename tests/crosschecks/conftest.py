"""What the cross-checks share: a precision with its tolerance, and what it means to be equal."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Exactness:
    """Numbers are equal where they differ by no more than `tolerance` times 1 + the largest of them."""

    dtype: torch.dtype
    tolerance: float

    def equal(self, found: Tensor, wanted: Tensor, name: str = "") -> None:
        assert found.shape == wanted.shape, name
        difference = float((found - wanted).detach().abs().max())
        assert difference <= self.tolerance * (1 + float(wanted.detach().abs().max())), name

    def equal_gradients(self, one: nn.Module, other: nn.Module, names: Mapping[str, str]) -> None:
        """Of all parameters; `names` gives that of the other for each of the first."""
        assert set(names) == {name for name, _ in one.named_parameters()}
        assert set(names.values()) == {name for name, _ in other.named_parameters()}
        for name, theirs in names.items():
            gradient, wanted = one.get_parameter(name).grad, other.get_parameter(theirs).grad
            assert gradient is not None and wanted is not None, name
            self.equal(gradient, wanted, name)


@pytest.fixture(params=[Exactness(torch.float64, 1e-10), Exactness(torch.float32, 2e-5)], ids=["float64", "float32"])
def exactness(request: pytest.FixtureRequest) -> Exactness:
    found: Exactness = request.param
    torch.manual_seed(0)
    return found


@pytest.fixture
def x_transformers() -> ModuleType:
    """Imported when it is asked for, and without the warnings that its own imports give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("x_transformers.x_transformers")


@pytest.fixture
def padded(exactness: Exactness) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes normal numbers (B,T,C) that need a gradient, and their lengths."""

    def made(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
        x_BTC = torch.randn(len(lengths), max(lengths), width, dtype=exactness.dtype, requires_grad=True)
        return x_BTC, torch.tensor(lengths)

    return made
