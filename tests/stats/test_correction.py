from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import false_discovery_control

from paribus.stats.correction import adjusted


def test_holm_worked_by_hand() -> None:
    assert adjusted([0.01, 0.04, 0.03, 0.2], "holm") == pytest.approx([0.04, 0.09, 0.09, 0.2])


def test_benjamini_hochberg_is_that_of_scipy() -> None:
    ps = [0.01, 0.04, 0.03, 0.2]
    assert adjusted(ps, "bh") == pytest.approx(list(false_discovery_control(ps)))
    assert adjusted(ps, "none") == ps
    assert adjusted([], "holm") == []


def test_an_arm_without_p_counts_as_one_and_stays_without() -> None:
    first, second = adjusted([0.02, nan], "holm")
    assert first == pytest.approx(0.04)
    assert isnan(second)


@given(some.lists(some.floats(0, 1), min_size=1, max_size=30), some.floats(0, 1))
def test_one_more_arm_never_weakens_holm(ps: list[float], more: float) -> None:
    before, after = adjusted(ps, "holm"), adjusted([*ps, more], "holm")[:-1]
    assert all(late >= early - 1e-12 for early, late in zip(before, after, strict=True))
