from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.random import default_rng
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from paribus.stats.correction import adjusted, holm


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


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 20, 30])
@pytest.mark.parametrize("missing", [0, 1])
def test_families_of_any_size_with_ties_are_those_of_statsmodels(count: int, missing: int) -> None:
    ps = [float(p) for p in default_rng(count).random(count).round(1) ** 3]  # rounded, so that some are equal
    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh")):
        known = multipletests([*ps, *[1.0] * missing], method=theirs)[1]
        found = adjusted([*ps, *[nan] * missing], ours)  # type: ignore[arg-type]
        assert found[:count] == pytest.approx(list(known[:count]))
        assert all(isnan(p) for p in found[count:])


def test_every_row_is_a_family_of_its_own() -> None:
    table = default_rng(0).random((4, 6))
    assert holm(table).tolist() == [adjusted(list(row), "holm") for row in table]
