import numpy as np
import pytest
from numpy.random import default_rng
from scipy import stats

from paribus.stats.noise import of_examples, of_share, optimism


def test_the_error_of_a_share_worked_by_hand() -> None:
    assert of_share(0.9, 900) == pytest.approx(0.01)
    assert of_share(float("nan"), 900) == 0.0


@pytest.mark.parametrize(("choices", "known"), [(1, 0.0), (2, 0.5642), (3, 0.8463), (5, 1.1630), (10, 1.5388)])
def test_the_best_of_several_looks_better_than_it_is(choices: int, known: float) -> None:
    assert optimism(choices) == pytest.approx(known, abs=5e-4)  # normal order statistics, Harter 1961


def test_examples_are_drawn_for_both_arms_at_once() -> None:
    shared = default_rng(0).random((5, 200))
    found = of_examples(shared + 0.1, shared, default_rng(1), draws=200)
    assert found.mean == pytest.approx(0.1)
    assert found.by_both.low == pytest.approx(found.by_both.high)


def test_both_noises_are_wider_than_one() -> None:
    dice = default_rng(2)
    base = dice.random((5, 300))
    arm = base + 0.1 * dice.standard_normal((1, 300)) + 0.05 * dice.standard_normal((5, 1))
    found = of_examples(arm, base, default_rng(3), draws=500)
    assert found.by_both.high - found.by_both.low > found.by_examples.high - found.by_examples.low
    assert found.se_examples == pytest.approx((arm - base).mean(0).std(ddof=1) / np.sqrt(300))
    assert found == of_examples(arm, base, default_rng(3), draws=500)


def test_one_seed_has_no_spread_over_seeds() -> None:
    found = of_examples(np.ones((1, 4)), np.zeros((1, 4)), default_rng(0), draws=20)
    assert (found.se_seeds, found.mean) == (0.0, 1.0)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10, 20])
def test_both_standard_errors_are_those_of_plain_means_at_every_size(seeds: int) -> None:
    dice = default_rng(seeds)
    arm, base = dice.random((seeds, 40)).round(1), dice.random((seeds, 40)).round(1)
    found = of_examples(arm, base, default_rng(0), draws=300)
    assert found.se_examples == pytest.approx(stats.sem((arm - base).mean(0)))
    assert found.se_seeds == pytest.approx(stats.sem((arm - base).mean(1)) if seeds > 1 else 0.0)
    assert found.mean == pytest.approx(arm.mean() - base.mean())
    half = (found.by_examples.high - found.by_examples.low) / 2
    assert half == pytest.approx(1.96 * found.se_examples, rel=0.2)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 20])
def test_equal_examples_have_no_noise_at_any_size(size: int) -> None:
    found = of_examples(np.ones((3, size)), np.zeros((3, size)), default_rng(0), draws=20)
    assert (found.se_examples, found.by_examples.low, found.by_examples.high) == (0.0, 1.0, 1.0)
    assert of_share(0.25, size) == pytest.approx(stats.binom.std(size, 0.25) / size)
    assert of_share(1.0, size) == of_share(0.5, 0) == 0.0
