from types import SimpleNamespace

import pytest

from paribus.report.confirm import confirmed, shrinkage
from paribus.report.findings import find
from paribus.report.results import Results
from paribus.report.tables import CONFIRMED, written


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


def test_the_page_of_the_first_results_holds_what_fresh_seeds_said(made: SimpleNamespace) -> None:
    base = made.Arm("baseline", 0.9, values=[0.90, 0.91, 0.92, 0.90, 0.91])
    before = made.Arm("arm", 0.9, values=[0.94, 0.95, 0.97, 0.94, 0.95])
    after = made.Arm("arm", 0.9, values=[0.92, 0.93, 0.95, 0.92, 0.93])
    plan, outcomes = made.experiment([base, before], smallest_effect=None)
    told = shrinkage(Results(plan, outcomes), Results(*made.experiment([base, after], smallest_effect=None)), "arm")
    found = find(plan, outcomes, shrunk=told)
    block = next(block for block in found.blocks if block.title == "Confirmed on fresh seeds")
    assert block.paragraphs == confirmed(told).paragraphs
    assert block.paragraphs[1].endswith("the verdict stands; 52 % of the first estimate is left.")
    row = block.grids[0].rows[0]
    assert (row[0], row[1], row[3], row[4], row[6:]) == (
        "arm",
        "+0.0420",
        "better",
        "+0.0220",
        ("better", "1 to 5", "52 %"),
    )
    assert written(found.tables.named()["confirmed"][0], CONFIRMED).count("arm,1 to 5,0.04") == 1
