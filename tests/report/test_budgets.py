from collections.abc import Callable
from typing import Any

import pytest

from paribus.planning import Plan
from paribus.report.budgets import best_so_far, budgets, expected, rankings
from paribus.report.plots import Plot, Traces
from paribus.store.kept import Kept
from paribus.store.record import Outcome

Whole = tuple[Plan, dict[str, Outcome], Callable[[str], Kept | None]]
ARMS = ("baseline", "norm=rms")


@pytest.fixture
def taught(whole: Whole) -> dict[str, Any]:
    assert whole[0].tuning
    return dict(whole[0].tuning)


def on_phrases(taught: dict[str, Any]) -> list[dict[str, Any]]:
    return [search for search in taught["searches"] if search["task"] == "phrases"]


def test_ranks_are_drawn_at_each_change_up_to_the_last_trial(taught: dict[str, Any], whole: Whole) -> None:
    changes = rankings(taught, "phrases")
    *_, bumps = budgets(taught, on_phrases(taught), whole[0].tasks[0], ARMS)
    assert isinstance(bumps, Traces)
    assert bumps.ranks
    assert [point.x for point in bumps.points if point.series == "baseline"] == [*(count for count, _ in changes), 12]
    assert {point.y for point in bumps.points} == {1, 2}
    ends = {point.series: point.y for point in bumps.points if point.x == 12}
    finals = {search["arm"]: best_so_far(search)[-1] for search in on_phrases(taught)}
    assert ends[max(finals, key=lambda arm: finals[arm] or 0)] == 1


def test_an_expectation_has_its_band_where_the_metric_has_bounds(taught: dict[str, Any]) -> None:
    search = on_phrases(taught)[0]
    for point in expected(taught, search, (0.0, 1.0)):
        assert point.low < point.y < point.high
    assert all(point.high != point.high for point in expected(taught, search))


@pytest.mark.parametrize("change", [{"sampler": "tpe"}, {"pruner": "median"}])
def test_a_search_that_learns_or_breaks_off_has_no_expectation(taught: dict[str, Any], change: dict[str, str]) -> None:
    adaptive = {**taught, **change}
    assert expected(adaptive, on_phrases(taught)[0]) == []
    assert not any("Expected" in found.words.title for found in budgets(adaptive, on_phrases(taught), None, ARMS))


def test_pictures_tell_what_trials_cost(taught: dict[str, Any]) -> None:
    best = next(budgets(taught, on_phrases(taught), None, ARMS))
    assert isinstance(best, Plot)
    assert "100 trials cost 0.86 device hours" in best.words.caption
