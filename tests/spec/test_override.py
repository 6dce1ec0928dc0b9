"""The one rule for changes of settings, every corner of it by an example."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paribus.spec.arms import ROOT
from paribus.spec.experiment import Experiment
from paribus.spec.override import apply, get, put

BASE = Experiment().model_dump(by_alias=True)


def changed(changes: dict[str, Any], tree: dict[str, Any] = BASE) -> dict[str, Any]:
    result, complaints = apply(tree, changes, ROOT)
    assert not complaints
    return result


def value(tree: dict[str, Any], key: str) -> Any:
    return get(tree, key.split("."))


def test_a_dotted_key_changes_one_field() -> None:
    tree = changed({"network.mixer.heads": 8})
    assert value(tree, "network.mixer.heads") == 8
    assert changed({"network.mixer.heads": 4}, tree) == BASE


def test_a_string_changes_the_kind_and_keeps_the_fields_that_the_new_kind_has() -> None:
    tree = changed({"training.optimizer.lr": 0.5, "training.optimizer.betas": [0.5, 0.6]})
    swapped = value(changed({"training.optimizer": "sgd"}, tree), "training.optimizer")
    assert swapped == {"kind": "sgd", "lr": 0.5, "weight_decay": 0.0}
    adamw = value(changed({"training.optimizer": "adamw"}, tree), "training.optimizer")
    assert adamw == {"kind": "adamw", "lr": 0.5, "weight_decay": 0.0, "betas": [0.5, 0.6], "eps": 1e-9}


def test_what_a_mapping_with_a_kind_writes_wins_over_what_is_kept() -> None:
    tree = value(changed({"training.optimizer": {"kind": "sgd", "lr": 0.1}}), "training.optimizer")
    assert tree["kind"] == "sgd"
    assert tree["lr"] == 0.1


def test_a_mapping_without_a_kind_merges() -> None:
    tree = changed({"network.mixer": {"heads": 2, "score": "dot"}})
    assert value(tree, "network.mixer.heads") == 2
    assert value(tree, "network.mixer.score.kind") == "dot"
    assert value(tree, "network.mixer.attention_dropout") == 0.0


def test_naming_the_kind_by_a_key_equals_writing_it_short() -> None:
    assert changed({"network.mixer.kind": "gru"}) == changed({"network.mixer": "gru"})
    assert changed({"network.mixer": {"kind": "gru"}}) == changed({"network.mixer": "gru"})


def test_the_shortest_path_comes_first_whatever_is_written_first() -> None:
    one = changed({"network.mixer.score.hidden": 8, "network.mixer.score": "additive"})
    other = changed({"network.mixer.score": "additive", "network.mixer.score.hidden": 8})
    assert one == other
    assert value(one, "network.mixer.score") == {"kind": "additive", "hidden": 8}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"network.mixer": "gru", "network.mixer.kind": "attention"}, "network.mixer.kind"),
        ({"network.mixer": {"heads": 2}, "network.mixer.heads": 2}, "network.mixer.heads"),
        ({"network": {"mixer": {"score": "dot"}}, "network.mixer.score": "dot"}, "network.mixer.score"),
        ({"training.steps": 5, "training.tokens": 5}, "training.tokens"),
        ({"training": {"batch": {"examples": 5}}, "training.batch.tokens": 5}, "training.batch.tokens"),
    ],
)
def test_two_keys_that_set_one_value_are_an_error(changes: dict[str, Any], wrong: str) -> None:
    _, complaints = apply(BASE, changes, ROOT)
    assert [complaint.path for complaint in complaints] == [(wrong,)]


def test_a_kind_and_a_field_of_the_same_part_do_not_clash() -> None:
    tree = changed({"network.mixer": {"kind": "attention"}, "network.mixer.heads": 2})
    assert value(tree, "network.mixer.heads") == 2


@pytest.mark.parametrize(("unit", "others"), [("tokens", ("steps", "flops")), ("flops", ("steps", "tokens"))])
def test_setting_one_of_several_alternatives_clears_the_others(unit: str, others: tuple[str, str]) -> None:
    for tree in (changed({f"training.{unit}": 10}), changed({"training": {unit: 10}})):
        assert value(tree, f"training.{unit}") == 10
        assert [value(tree, f"training.{other}") for other in others] == [None, None]


def test_batch_sizes_clear_each_other() -> None:
    tree = changed({"training.batch": {"tokens": 4096}})
    assert value(tree, "training.batch") == {"examples": None, "tokens": 4096}


def test_lists_are_replaced_as_a_whole() -> None:
    assert value(changed({"training.optimizer.betas": [0.1, 0.2]}), "training.optimizer.betas") == [0.1, 0.2]


def test_a_change_leaves_the_tree_that_it_started_from_alone() -> None:
    before = Experiment().model_dump(by_alias=True)
    changed({"network.mixer.score": "additive", "training.tokens": 7, "network.encoder.norm": "batch"})
    assert before == BASE


leaves = st.sampled_from(
    ["network.width", "network.depth", "network.mixer.heads", "network.feedforward.width", "training.steps"]
)


@given(st.dictionaries(leaves, st.integers(1, 9)), st.randoms(use_true_random=False))
def test_changes_of_different_values_may_come_in_any_order(changes: dict[str, int], shuffle: Any) -> None:
    shuffled = list(changes.items())
    shuffle.shuffle(shuffled)
    assert changed(dict(shuffled)) == changed(changes)


@given(leaves, st.integers(1, 9), st.integers(1, 9))
def test_the_last_of_two_changes_of_one_value_counts_and_doing_it_twice_changes_nothing(
    key: str, first: int, second: int
) -> None:
    path = key.split(".")
    once = put(BASE, ROOT, path, second)
    assert put(put(BASE, ROOT, path, first), ROOT, path, second) == once
    assert put(once, ROOT, path, second) == once
