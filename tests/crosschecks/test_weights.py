"""Sparsemax against a bisection for its threshold, a solver of the projection, and finite differences."""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from paribus.parts import spec_class


def sparsemax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    found: Tensor = spec_class("weights", "sparsemax")().build()(scores, mask)
    return found


def bisected(row: Tensor) -> Tensor:
    """max(0, s - tau) with the tau at which it sums to one."""
    low, high = row.min() - 1, row.max()
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if (row - tau).clamp(min=0).sum() > 1 else (low, tau)
    return (row - (low + high) / 2).clamp(min=0)


def test_sparsemax_gives_the_numbers_worked_by_hand() -> None:
    assert torch.allclose(sparsemax(torch.tensor([0.1, 1.1, 0.2])), torch.tensor([0.0, 0.95, 0.05]))
    assert sparsemax(torch.tensor([3.0, 0.0, 0.0])).tolist() == [1.0, 0.0, 0.0]


def test_sparsemax_is_the_threshold_that_bisection_finds(exactness) -> None:
    scores = torch.randn(40, 7, dtype=exactness.dtype) * torch.logspace(-2, 1, 40, dtype=exactness.dtype)[:, None]
    wanted = torch.stack([bisected(row.double()) for row in scores]).to(exactness.dtype)
    exactness.equal(sparsemax(scores), wanted)


def test_sparsemax_with_a_mask_is_sparsemax_of_what_may_be_seen(exactness) -> None:
    scores, mask = torch.randn(20, 7, dtype=exactness.dtype), torch.rand(20, 7) > 0.4
    mask[:, 0] = True
    found = sparsemax(scores, mask)
    for row, seen, weights in zip(scores, mask, found, strict=True):
        exactness.equal(weights[seen], bisected(row[seen].double()).to(exactness.dtype))
        assert (weights[~seen] == 0).all()


def test_sparsemax_is_the_nearest_point_of_the_simplex_that_a_solver_finds() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        row = generator.normal(size=5)
        solved = minimize(
            lambda p, row=row: ((p - row) ** 2).sum(),
            np.full(5, 0.2),
            jac=lambda p, row=row: 2 * (p - row),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        assert np.abs(sparsemax(torch.from_numpy(row)).numpy() - solved.x).max() < 1e-6


def test_the_gradient_of_sparsemax_is_that_of_finite_differences_and_of_its_closed_form(exactness) -> None:
    scores = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sparsemax, scores)
    rows = scores.detach().to(exactness.dtype).requires_grad_()
    weights, upstream = sparsemax(rows), torch.randn(6, 5, dtype=exactness.dtype)
    (found,) = torch.autograd.grad((weights * upstream).sum(), rows)
    support = (weights > 0).to(exactness.dtype)  # (g - mean of g over the support) on the support
    mean = (upstream * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
    exactness.equal(found, (upstream - mean) * support)
