from types import SimpleNamespace

import pytest

from paribus.report.confirm import shrinkage
from paribus.report.results import Results


def test_what_is_left_of_an_estimate_is_told_with_both_intervals(made: SimpleNamespace) -> None:
    base = made.Arm("baseline", 0.9, values=[0.90, 0.91, 0.92, 0.90, 0.91])
    before = made.Arm("arm", 0.9, values=[0.94, 0.95, 0.97, 0.94, 0.95])
    after = made.Arm("arm", 0.9, values=[0.92, 0.93, 0.95, 0.92, 0.93])
    first, again = (Results(*made.experiment([base, arm], smallest_effect=None)) for arm in (before, after))
    found = shrinkage(first, again, "arm")[0]
    assert found.left == pytest.approx(0.022 / 0.042)
    assert found.confirmed
    assert found.sentence.startswith("arm: first +0.0420 [")
    assert found.sentence.endswith("; the verdict stands; 52 % of the first estimate is left.")


def test_a_verdict_that_does_not_hold_is_told(made: SimpleNamespace) -> None:
    base = made.Arm("baseline", 0.9, values=[0.90, 0.91, 0.92, 0.90, 0.91])
    before = made.Arm("arm", 0.9, values=[0.94, 0.95, 0.97, 0.94, 0.95])
    after = made.Arm("arm", 0.9, values=[0.90, 0.92, 0.90, 0.91, 0.91])
    first, again = (Results(*made.experiment([base, arm], smallest_effect=None)) for arm in (before, after))
    assert "better became inconclusive" in shrinkage(first, again, "arm")[0].sentence
