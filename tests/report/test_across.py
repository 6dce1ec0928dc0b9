from dataclasses import replace
from types import SimpleNamespace

import pytest

from paribus.report.across import across
from paribus.report.overall import overall
from paribus.report.plots import Estimates, Picture, Traces
from paribus.report.results import Results


def seen(made: SimpleNamespace, tasks: tuple[str, ...], seeds: int = 5) -> tuple[Results, list[Picture]]:
    results = Results(*made.experiment(made.six[:4], seeds, tasks))
    contrasts = {t.name: results.contrasts(t, results.metric(t), results.split(t)) for t in results.plan.tasks}
    return results, list(across(results, contrasts, overall(results, contrasts)))


def test_every_arm_is_drawn_on_every_task_in_units_of_noise(made: SimpleNamespace) -> None:
    results, (gains, _) = seen(made, ("one", "two"))
    assert isinstance(gains, Estimates)
    assert [(arm, [row.name for row in rows]) for arm, rows in gains.groups] == [
        (arm.name, ["one", "two", "all tasks"]) for arm in results.others
    ]
    task = results.plan.tasks[0]
    contrast = results.contrasts(task, results.metric(task), results.split(task))["no_position"]
    first = gains.groups[0][1][0]
    assert first.value == pytest.approx(contrast.paired.mean / contrast.of_baseline.sd)
    assert first.low < first.value < first.high
    assert first.solid


def test_profiles_fall_from_all_runs_to_none_and_need_ten_of_them(made: SimpleNamespace) -> None:
    _, (_, profiles) = seen(made, ("one", "two"))
    assert isinstance(profiles, Traces)
    for arm in profiles.arms:
        shares = [point.y for point in profiles.points if point.series == arm]
        assert shares == sorted(shares, reverse=True)
    assert min(point.y for point in profiles.points) == 0
    assert not any(isinstance(picture, Traces) for picture in seen(made, ("one", "two"), 4)[1])


def test_mean_ranks_are_drawn_from_five_tasks_on(made: SimpleNamespace) -> None:
    assert len(seen(made, ("a", "b", "c", "d"))[1]) == 2
    ranks = seen(made, ("a", "b", "c", "d", "e"))[1][-1]
    assert isinstance(ranks, Estimates)
    rows = ranks.groups[0][1]
    assert sum(row.value for row in rows) == pytest.approx(10)  # of four arms
    # Nemenyi's q of four arms is 2.569 (Demsar 2006, table 5): CD = 2.569 sqrt(4 * 5 / (6 * 5))
    assert rows[0].high - rows[0].low == pytest.approx(2.569 * (20 / 30) ** 0.5, abs=0.001)
    assert rows[-1].name == "no_position"


def test_one_task_has_no_such_pictures(made: SimpleNamespace) -> None:
    assert seen(made, ("one",))[1] == []


def test_a_loss_without_bounds_is_profiled_in_units_of_noise(made: SimpleNamespace) -> None:
    plan, outcomes = made.experiment(made.six[:4], 5, ("one", "two"))
    results = Results(replace(plan, analysis={**plan.analysis, "metric": "loss", "smallest_effect": None}), outcomes)
    contrasts = {t.name: results.contrasts(t, results.metric(t), results.split(t)) for t in results.plan.tasks}
    profiles = list(across(results, contrasts, overall(results, contrasts)))[1]
    assert isinstance(profiles, Traces)
    assert profiles.x == "noise floors above the baseline"
    worst = {arm: sum(p.y for p in profiles.points if p.series == arm) for arm in profiles.arms}
    assert min(worst, key=worst.__getitem__) == "no_position"
