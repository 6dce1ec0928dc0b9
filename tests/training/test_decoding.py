"""Outputs that a made-up network writes: with their end, without it, and cut."""

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

from paribus.parts import spec_class
from paribus.parts.task import END, PAD
from paribus.promises.metric import Oracle
from paribus.training.data import Dataset, Split
from paribus.training.decoding import Output, greedy
from paribus.training.evaluation import Evaluator
from paribus.training.kept import Listener

LENGTH = 3


@pytest.fixture
def data() -> Dataset:
    task: Any = spec_class("task", "copy")
    sizes = {"training_examples": 20, "validation_examples": 8, "test_examples": 8}
    return Dataset(task(letters=4, shortest=LENGTH, longest=LENGTH, **sizes), "encoder_decoder")


def oracle(data: Dataset, split: Split, then: int) -> Oracle:
    """A network that writes every right answer, and then one token for ever."""
    vocabulary = data.source_vocabulary
    answers = {
        (*vocabulary.encode(one.source), END): [*data.target_vocabulary.encode(one.target), then]
        for one in split.examples
    }
    return Oracle(answers, len(data.target_vocabulary), right=True)


def exact_match(data: Dataset, then: int, longest: int | None) -> tuple[float | None, list[int]]:
    """As a score, and example by example."""
    split, heard = data.split("test"), Listener(data)
    decoding = spec_class("decoding", "greedy").model_validate({"max_length": longest})
    judge = Evaluator(oracle(data, split, then), decoding, torch.device("cpu"), contextlib.nullcontext)
    (score,) = judge.scores("test", split, ["exact_match"], hear=heard.hear)
    return score.value, heard.scores["test"]["exact"].tolist()


@pytest.mark.parametrize("longest", [None, LENGTH, LENGTH + 1])
def test_an_output_with_its_end_is_exact_also_where_it_is_as_long_as_may_be(data: Dataset, longest: int | None) -> None:
    assert exact_match(data, END, longest) == (1.0, [1] * 8)


@pytest.mark.parametrize("then", [PAD, 5], ids=["padding", "letter"])
@pytest.mark.parametrize("longest", [None, LENGTH, LENGTH + 1])
def test_an_output_that_never_ends_is_not_exact(data: Dataset, then: int, longest: int | None) -> None:
    assert exact_match(data, then, longest) == (0.0, [0] * 8)


def test_an_output_is_cut_at_the_greatest_length_and_says_so(data: Dataset) -> None:
    split = data.split("test")
    reading = split.reading(np.arange(2))
    network = oracle(data, split, END)
    answers = [tuple(data.target_vocabulary.encode(split.examples[row].target)) for row in range(2)]
    assert greedy(network, reading, split, LENGTH) == [Output(answer, ended=True) for answer in answers]
    cut = [Output(answer[: LENGTH - 1], ended=False) for answer in answers]
    assert greedy(network, reading, split, LENGTH - 1) == cut
