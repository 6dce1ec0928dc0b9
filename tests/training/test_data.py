"""Batches: the same for every arm, a pure function of the seed, padded at the right."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from paribus.network import build
from paribus.parts import spec_class
from paribus.parts.task import END, PAD, SEPARATOR, START
from paribus.spec.network import Network, resolve
from paribus.spec.training import Batch, Training
from paribus.training.data import IGNORED, Dataset, Order, dataset
from paribus.training.module import Stream, loss_of

COPY = {"kind": "copy", "letters": 4, "shortest": 2, "longest": 5, "training_examples": 300}
COPY |= {"validation_examples": 40, "test_examples": 40}


def data(family: str = "encoder_decoder", **settings: Any) -> Dataset:
    return dataset(json.dumps({**COPY, **settings}), family)


def test_a_pair_is_read_and_written_with_its_marks() -> None:
    split = data().split("training")
    row = int(np.argmin(split.order))
    reading = split.reading(np.array([row]))
    letters = data().source_vocabulary.encode(split.examples[row].source)
    assert reading.batch.source_BS is not None
    assert reading.batch.inputs_BT is not None
    assert reading.batch.source_BS.tolist() == [[*letters, END]]
    assert reading.batch.inputs_BT.tolist() == [[START, *letters]]
    assert reading.targets.tolist() == [[*letters, END]]
    assert reading.asked == len(letters) + 1
    assert split.tokens[row] == 2 * len(letters)


def test_a_decoder_reads_source_and_target_as_one_and_is_asked_for_the_target_only() -> None:
    found = data("decoder")
    split = found.split("training")
    row = int(np.argmin(split.order))
    reading = split.reading(np.array([row]))
    letters = found.source_vocabulary.encode(split.examples[row].source)
    assert reading.batch.inputs_BT is not None
    assert reading.batch.source_BS is None
    assert reading.batch.inputs_BT.tolist() == [[*letters, SEPARATOR, *letters]]
    assert reading.targets.tolist() == [[*[IGNORED] * len(letters), *letters, END]]


def test_padding_is_at_the_right_and_lengths_say_where_it_starts() -> None:
    split = data().split("training")
    rows = np.array([int(np.argmin(split.order)), int(np.argmax(split.order))])
    batch = split.reading(rows).batch
    assert batch.source_BS is not None
    assert batch.source_lengths_B is not None
    for ids, length in zip(batch.source_BS, batch.source_lengths_B, strict=True):
        assert (ids[:length] != PAD).all()
        assert (ids[length:] == PAD).all()
    assert split.reading(rows[:1]).batch.source_lengths_B is None


@pytest.mark.parametrize("family", ["encoder_decoder", "decoder"])
def test_the_loss_counts_each_target_that_is_asked_for_and_no_other(family: str) -> None:
    found = data(family)
    split = found.split("training")
    reading = split.reading(np.array([int(np.argmin(split.order)), int(np.argmax(split.order))]))
    network = build(resolve(Network.model_validate({"family": family, "width": 8, "dropout": 0.0})), found.sizes(), 1)
    wanted = functional.cross_entropy(
        network(reading.batch).flatten(0, 1), reading.targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    assert reading.places_N is not None
    assert loss_of(network, reading, 0.0).item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("batch", [Batch(examples=20), Batch(tokens=120)])
def test_the_order_of_batches_is_the_same_for_every_family_and_another_for_every_seed(batch: Batch) -> None:
    def first(family: str, seed: int) -> list[list[int]]:
        rows = iter(Order(data(family).split("training"), batch, seed))
        return [next(rows).tolist() for _ in range(40)]

    assert first("encoder_decoder", 1) == first("decoder", 1)
    assert first("encoder_decoder", 1) != first("encoder_decoder", 2)


@pytest.mark.parametrize("batch", [Batch(examples=20), Batch(tokens=120)])
def test_a_pass_shows_each_example_once_and_no_two_passes_are_alike(batch: Batch) -> None:
    order = Order(data().split("training"), batch, 1)
    passes = [[row for rows in order.epoch(number) for row in rows.tolist()] for number in (0, 1)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(300))
    assert passes[0] != passes[1]
    if batch.tokens is not None:
        tokens = data().split("training").tokens
        assert all(tokens[rows].sum() <= batch.tokens for rows in order.epoch(0))


def test_batches_hold_examples_of_like_length() -> None:
    split = data().split("training")
    spread = [np.ptp(split.tokens[rows]) for rows in Order(split, Batch(examples=20), 1).epoch(0)]
    assert np.mean(spread) < 0.5 * np.ptp(split.tokens)


def test_a_smaller_training_split_is_a_part_of_a_larger_one_and_the_other_splits_stay() -> None:
    large, small = data(), data(training_examples=100)
    assert small.split("training").examples == large.split("training").examples[:100]
    for name in ("validation", "test", "test_longer"):
        assert small.split(name).examples == large.split(name).examples


@pytest.mark.parametrize("kind", ["copy", "reverse", "parity"])
def test_splits_are_disjoint_repeatable_and_longer_means_longer(kind: str) -> None:
    spec = spec_class("task", kind)(training_examples=500, validation_examples=100, test_examples=100)
    one, other = spec.build(), spec.build()
    sources = {name: {example.source for example in one.examples(name)} for name in spec.splits}
    for name in spec.splits:
        assert list(one.examples(name)) == list(other.examples(name))
        assert len(sources[name]) == len(one.examples(name))
    names = list(spec.splits)
    assert all(not sources[a] & sources[b] for a in names for b in names if a < b)
    longest = max(len(source) for source in sources["training"])
    assert min(len(source) for source in sources["test_longer"]) > longest


def test_a_stream_taken_up_later_goes_on_as_if_it_had_never_stopped() -> None:
    training = Training(steps=50, batch=Batch(examples=20), accumulate=2)
    split = data().split("training")
    whole, later = iter(Stream(split, training, 1, 0.0)), iter(Stream(split, training, 1, 0.0, start=7))
    for _ in range(14):
        next(whole)
    for _ in range(30):
        one, other = next(whole), next(later)
        assert (one.step, one.micro, one.asked, one.spent) == (other.step, other.micro, other.asked, other.spent)
        assert one.reading.rows.tolist() == other.reading.rows.tolist()


@pytest.mark.parametrize(("unit", "rate"), [("tokens", 1.0), ("flops", 100.0)])
def test_a_budget_pays_for_as_many_steps_as_it_takes_to_spend_it(unit: str, rate: float) -> None:
    training = Training.model_validate(
        {"steps": None, unit: 5000, "batch": {"examples": 20, "tokens": None}, "accumulate": 2}
    )
    split = data().split("training")
    stream = Stream(split, training, 1, 100.0)
    spent = {micro.step: micro.spent for micro, _ in zip(stream, range(2 * stream.steps()), strict=False)}
    last = stream.steps() - 1
    assert spent[last][0] < 5000 <= spent[last][1]
    first_rows = [micro.tokens for micro, _ in zip(stream, range(2), strict=False)]
    assert spent[0] == (0.0, rate * sum(first_rows))


def test_what_a_step_asks_for_counts_all_its_micro_batches() -> None:
    training = Training(steps=5, batch=Batch(examples=20), accumulate=3)
    micros = [micro for micro, _ in zip(Stream(data().split("training"), training, 1, 0.0), range(3), strict=False)]
    assert {micro.asked for micro in micros} == {sum(micro.reading.asked for micro in micros)}
    assert torch.stack([torch.tensor(micro.micro) for micro in micros]).tolist() == [0, 1, 2]
