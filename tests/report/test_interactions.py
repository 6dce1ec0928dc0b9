from types import SimpleNamespace

import pytest

from paribus.report.effects import Explained, effects
from paribus.report.interactions import interactions
from paribus.report.panels import Words
from paribus.report.pictures import drawn
from paribus.report.plots import Estimate, Estimates, Heat, Point, Traces
from paribus.report.results import Results

Whole = tuple[object, ...]


@pytest.fixture(scope="module")
def grid(whole: Whole) -> Explained:
    plan, outcomes, _ = whole
    return effects(Results(plan, outcomes), plan.tasks[0])[0]  # type: ignore[arg-type, attr-defined]


def test_a_pair_of_factors_is_drawn_as_cells_as_lines_and_as_what_they_add_together(grid: Explained) -> None:
    cells, lines, single, together = interactions(grid)
    assert isinstance(cells, Heat)
    assert isinstance(lines, Traces)
    assert isinstance(single, Estimates)
    assert isinstance(together, Estimates)
    assert grid.design is not None
    means = {tuple(value for _, value in mean.levels): mean.mean for mean in grid.design.means}
    assert {(one.row, one.column): round(one.gap, 12) for one in cells.squares} == {
        pair: round(means[pair] - means["layer", "4"], 12) for pair in means if len(pair) == 2
    }
    assert [(point.series, point.x) for point in lines.points] == [
        ("norm layer", "4"), ("norm layer", "1"), ("norm rms", "4"), ("norm rms", "1"),
    ]  # fmt: skip
    interaction = grid.design.interactions[0].steps[0]
    assert together.groups[0][1][0].value == interaction.estimate
    assert "Not zero: norm rms with mixer.heads 1 +0.0" in together.words.caption


def test_less_is_better_turns_the_colours_of_cells_and_not_their_numbers(made: SimpleNamespace, whole: Whole) -> None:
    plan, outcomes, _ = whole
    by_loss = made.replace(plan, analysis={**plan.analysis, "metric": "loss", "smallest_effect": None})  # type: ignore[attr-defined]
    found = effects(Results(by_loss, outcomes), by_loss.tasks[0])[0]  # type: ignore[arg-type]
    cells = next(interactions(found))
    assert isinstance(cells, Heat)
    best = max(cells.squares, key=lambda one: one.gap)
    assert best.text == min(one.text for one in cells.squares)
    assert all(float(one.text) > 0 for one in cells.squares)


def test_shares_of_a_path_stand_beside_the_whole(whole: Whole) -> None:
    plan, outcomes, _ = whole
    found = effects(Results(plan, outcomes), plan.tasks[0])[1]  # type: ignore[arg-type, attr-defined]
    (shares,) = interactions(found)
    assert isinstance(shares, Estimates)
    *parts, total = shares.groups[0][1]
    assert total.name == "all together"
    assert sum(part.value for part in parts) == pytest.approx(total.value)


def test_pictures_are_drawn_once_for_all_formats(grid: Explained) -> None:
    cells = next(interactions(grid))
    assert drawn(cells) is drawn(cells)
    assert drawn(cells) == drawn(next(interactions(grid)))


def test_letters_that_no_xml_holds_do_not_end_the_process() -> None:
    name = "a\x1b[31m\x00\ud800\uffff"
    words = Words("Title", "Caption", "Alternative")
    rows = (Estimate(name, 1.0, 0.5, 1.5, True), Estimate("\\u001b", 2.0, 1.5, 2.5, False))
    points = tuple(Point(series, x, 1.0) for series in (name, "b") for x in (name, "other"))
    found = [Estimates(words, name, ((name, rows),)), Traces(words, name, name, points)]
    for picture in found:
        for _, svg in drawn(picture):
            assert not set("\x00\x1b\uffff") & set(svg)
    assert "\\u001b" in drawn(found[0])[0][1]
