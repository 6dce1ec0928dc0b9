"""Arms made as large as the baseline."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paribus.api import prepared
from paribus.errors import SpecError
from paribus.spec.load import load
from paribus.training.data import cost_of

Write = Callable[..., Path]
ARMS = """\
arms:
  gru: {network.mixer: gru, network.position: none}
  bare: {network.feedforward: none}
  rms: {network.norm: rms}
"""


@pytest.mark.parametrize("on", ["parameters", "flops"])
def test_an_arm_is_resized_until_it_costs_what_the_baseline_does(write: Write, on: str) -> None:
    file = write(ARMS)
    sets = (f"training.match={{on: {on}}}", "network.feedforward.width=64")
    loaded, plan = prepared(file, sets=sets)
    arms = {arm.name: arm for arm in loaded.arms}
    assert list(arms) == ["baseline", "gru", "gru:matched", "bare", "rms"]
    task = loaded.arms[0].setting.tasks[""]

    def size(name: str) -> float:
        found = cost_of(arms[name].setting.network, task)
        return found.parameters if on == "parameters" else found.flops_per_token

    assert abs(size("gru") / size("baseline") - 1) > 0.02
    assert abs(size("gru:matched") / size("baseline") - 1) <= 0.02
    assert arms["gru:matched"].changes["network.feedforward.width"] > 0
    row = next(row for row in plan.arms if row.name == "bare")
    assert row.notes["UNMATCHED"].startswith("cannot be made as large as the baseline")


def test_a_width_that_heads_must_divide_is_stepped_over(write: Write) -> None:
    file = write("arms: {additive: {network.mixer.score: additive}}\n")
    loaded, _ = prepared(file, sets=("training.match={by: network.width, tolerance: 0.2}",))
    matched = next(arm for arm in loaded.arms if arm.name == "additive:matched")
    assert matched.setting.network.width % 2 == 0
    assert matched.setting.network.width < 16


def test_matching_changes_no_run_of_the_other_arms(write: Write) -> None:
    file = write(ARMS)
    plain = {run.id for run in prepared(file)[1].runs}
    matched = {run.id for run in prepared(file, sets=("training.match={on: parameters}",))[1].runs}
    assert plain < matched


def test_what_cannot_be_resized_is_a_mistake_with_its_place(write: Write) -> None:
    with pytest.raises(SpecError, match=r"training\.match\.by.*got 'network\.norm', needs the key of a whole number"):
        load(write(), ("training.match={by: network.norm}",))
