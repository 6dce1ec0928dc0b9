from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.random import default_rng

from paribus.planning import Plan
from paribus.report.findings import find
from paribus.store.kept import Kept

Made = SimpleNamespace
Read = Callable[[str], Kept | None]


def keeping(plan: Plan, apart: float) -> Read:
    """Runs whose arms differ on every example by chance, and by seed by `apart`; half of the tokens are asked twice."""
    runs = {run.id: run for run in plan.runs}
    asked = np.tile([1, 2], 50)

    def read(run: str) -> Kept:
        arm, seed = runs[run].arm, runs[run].seed
        right = default_rng(len(arm)).random(100) + apart * seed * (arm != "baseline")
        lengths = {"source_length": asked, "target_length": asked}
        return Kept(scores={"test": {"exact": right, "right": right * asked, "asked": asked, **lengths}})

    return read


@pytest.mark.parametrize("metric", ["exact_match", "token_accuracy"])
def test_few_examples_are_warned_of_where_they_say_less_than_seeds(made: Made, metric: str) -> None:
    plan, outcomes = made.experiment(made.six[:3], metric=metric)
    found = find(plan, outcomes, read=keeping(plan, 0.01))
    lines = {line["arm"]: line for line in found.tables.noise}
    difference = default_rng(len("learned")).random(100) - default_rng(len("baseline")).random(100)
    if metric == "exact_match":
        assert lines["learned"]["se_examples"] == pytest.approx(difference.std(ddof=1) / 10)
        assert lines["learned"]["improvement"] == pytest.approx(difference.mean() + 0.03)
    asked = np.tile([1, 2], 50)
    if metric == "token_accuracy":
        assert lines["learned"]["improvement"] == pytest.approx((difference * asked).sum() / 150 + 0.03)
    assert lines["learned"]["se_seeds"] == pytest.approx(0.01 * np.std(range(5), ddof=1) / 5**0.5)
    warning = next(warning for warning in found.warnings if warning.code == "NOISE")
    assert warning.arms == ("no_position", "learned")
    assert "Standard error of the difference by sampling 100 examples exceeds that by seed" in warning.evidence
    assert "(with both, [" in warning.evidence


def test_enough_examples_are_no_warning_and_unkept_ones_no_noise(made: Made) -> None:
    plan, outcomes = made.experiment(made.six[:3], metric="exact_match")
    found = find(plan, outcomes, read=keeping(plan, 1.0))
    assert len(found.tables.noise) == 2
    assert "NOISE" not in [warning.code for warning in found.warnings]
    assert find(plan, outcomes).tables.noise == ()


def test_ranks_and_sums_over_tasks_stand_in_tables(made: Made) -> None:
    found = find(*made.experiment(made.six[:4], 5, ("phrases", "reverse")))
    named = found.tables.named()
    assert [line["arm"] for line in named["overall"][0]] == ["no_position", "learned", "one_head"]
    assert [(line["task"], line["arm"]) for line in named["ranks"][0]][3:5] == [
        ("phrases", "one_head"),
        ("reverse", "baseline"),
    ]
    for name, key in (("overall", "improvement"), ("ranks", "rank")):
        table, columns = named[name]
        assert set(columns) == set(table[0])
        assert all(isinstance(line[key], float) for line in table)
    assert "overall" not in find(*made.experiment(made.six[:2])).tables.named()
