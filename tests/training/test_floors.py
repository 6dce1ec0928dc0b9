"""Floors: counted, drawn, never trained; as rows of the plan and the report."""

from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from paribus.planning import Plan, plan
from paribus.spec.load import load
from paribus.store.record import Record
from paribus.training.data import Ragged, Split
from paribus.training.floors import Ngram, measure

Write = Callable[..., Path]
FLOORS = "floors: [majority, ngram, uniform, random_network]\n"
ALWAYS = "task={kind: parity, longest: 5, training_examples: 40, validation_examples: 8, test_examples: 8}"


def planned(file: Path, *sets: str) -> Plan:
    return plan(load(file, sets))


def measured(file: Path, *sets: str) -> dict[str, Record]:
    found = planned(file, *sets)
    return {run.arm: measure(found.job(run)) for run in found.runs if run.arm in found.floors and run.seed == 1}


def score(record: Record, metric: str) -> float:
    value = next(score.value for score in record.scores if (score.split, score.metric) == ("test", metric))
    assert value is not None
    return value


@pytest.mark.parametrize("family", ["encoder_decoder", "decoder"])
def test_chance_knows_nothing_and_counting_knows_more(write: Write, family: str) -> None:
    found = measured(write(FLOORS), f"network.family={family}")
    vocabulary = 9  # four letters and five marks
    losses = {name.removeprefix("floor:"): score(record, "loss") for name, record in found.items()}
    assert losses["uniform"] == pytest.approx(log(vocabulary), abs=1e-4)
    assert max(losses["ngram"], losses["majority"]) < losses["uniform"] < losses["random_network"]
    assert all(record.steps == 0 for record in found.values())


def test_an_ngram_is_smoothed_as_worked_by_hand() -> None:
    start, end, a, b = 0, 1, 2, 3
    inputs, targets = Ragged.of([[start, a], [start, a, b]]), Ragged.of([[a, end], [a, b, end]])
    none = np.zeros(2, dtype=np.int64)
    split = Split(None, inputs, targets, False, none, none, none, [])
    found = Ngram(split, 4).after(torch.tensor([[start, a]])).exp()[0]
    single = (np.array([0, 2, 2, 1]) + 3 / 4) / (5 + 3)  # three different tokens, five in all
    after_a = (np.array([0, 1, 0, 1]) + 2 * single) / (2 + 2)
    after_start_a = (np.array([0, 1, 0, 1]) + 2 * after_a) / (2 + 2)
    assert found[1].tolist() == pytest.approx(after_start_a.tolist(), abs=1e-6)
    assert found.sum(-1).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_labels_have_floors_too(write: Write) -> None:
    found = measured(write(FLOORS), ALWAYS, "network.family=encoder")
    assert score(found["floor:uniform"], "loss") == pytest.approx(log(2), abs=1e-4)
    assert 0 <= score(found["floor:ngram"], "accuracy") <= 1
    assert score(found["floor:majority"], "loss") == pytest.approx(log(2), abs=0.1)


def test_floors_are_no_arms_and_counted_ones_need_one_seed(write: Write) -> None:
    found = planned(write(FLOORS))
    assert [row.name for row in found.arms] == ["baseline"]
    assert {name: sum(run.arm == name for run in found.runs) for name in found.floors} == {
        "floor:majority": 1,
        "floor:ngram": 1,
        "floor:uniform": 2,
        "floor:random_network": 2,
    }
    assert len(found.trained) == 2


def test_a_floor_is_measured_again_only_when_what_it_knows_of_changes(write: Write) -> None:
    file = write(FLOORS)

    def ids(*sets: str) -> dict[str, str]:
        return {run.arm: run.id for run in planned(file, *sets).runs if run.arm.startswith("floor:") and run.seed == 1}

    base = ids()
    assert ids("training.steps=7") == base
    wider = ids("network.width=32")
    assert {name for name in base if wider[name] != base[name]} == {"floor:random_network"}
    other = ids("task.letters=5")
    assert not set(other.values()) & set(base.values())
