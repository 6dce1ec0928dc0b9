from collections.abc import Callable
from dataclasses import replace
from typing import Any

from paribus.planning import Plan
from paribus.report.plots import Plot
from paribus.report.results import Results
from paribus.report.tuning import block
from paribus.spec.tuning import COSTS
from paribus.store.kept import Kept
from paribus.store.record import Outcome

Whole = tuple[Plan, dict[str, Outcome], Callable[[str], Kept | None]]


def two_objectives(tuning: dict[str, Any]) -> dict[str, Any]:
    """The same search, as if it had counted the FLOPs of each trial too."""
    cost = {"name": "flops", "title": COSTS["flops"], "direction": "min"}
    searches = [
        {
            **search,
            "trials": [{**t, "values": [*t["values"], *([2e5] if t["values"] else [])]} for t in search["trials"]],
        }
        for search in tuning["searches"]
    ]
    return {**tuning, "objectives": [*tuning["objectives"], cost], "searches": searches}


def test_a_front_is_told_in_the_words_of_the_page_and_not_by_keys(whole: Whole) -> None:
    plan, outcomes, _ = whole
    assert plan.tuning is not None
    taught = two_objectives(plan.tuning)
    found = block(Results(replace(plan, tuning=taught), outcomes), taught)
    fronts = [grid for grid in found.grids if grid.title.startswith("Front")]
    assert {grid.heads for grid in fronts} == {("trial", "exact match", "FLOPs per token", "with")}
    drawn = [plot for plot in found.plots if isinstance(plot, Plot) and "against" in plot.words.title]
    assert {(plot.x, plot.y) for plot in drawn} == {("FLOPs per token", "exact match")}
