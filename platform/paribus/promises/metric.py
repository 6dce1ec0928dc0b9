"""What metrics promise: judged on a small task by a network that knows every answer, and by one that is always wrong.

Axes: B batch, T target time, V vocabulary.
"""

import contextlib
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from paribus.errors import Broken
from paribus.network import Batch, Network
from paribus.parts import Part, kinds, spec_class
from paribus.parts.metric import MetricSpec
from paribus.promises.promise import DoesNotApply, promise

SURE = 20.0  # the logit of the answer that is given
TASKS = (("copy", "encoder_decoder"), ("parity", "encoder"))


class Oracle(Network):
    """Gives the answer that it was told for each source, or one beside it."""

    def __init__(self, answers: dict[tuple[int, ...], list[int]], vocabulary: int, *, right: bool) -> None:
        super().__init__()
        self.answers = answers
        self.vocabulary = vocabulary
        self.right = right

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        found_BT = self._answers(batch)
        if batch.inputs_BT is None:
            return self._logits(found_BT[:, 0])
        whole_BT = functional.pad(found_BT, (0, batch.inputs_BT.shape[1] - found_BT.shape[1]))
        return self._logits(whole_BT if places_N is None else whole_BT.flatten()[places_N])

    def begin(self, batch: Batch) -> Tensor:
        return self._answers(batch)

    def step(self, ids_B: Tensor, place: int, state: Any) -> Tensor:
        return self._logits(state[:, min(place, state.shape[1] - 1)])

    def _answers(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        lengths = batch.source_lengths_B
        rows = batch.source_BS.tolist()
        if lengths is not None:
            rows = [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]
        answers = [self.answers[tuple(row)] for row in rows]
        longest = max(map(len, answers))
        return torch.tensor([answer + answer[-1:] * (longest - len(answer)) for answer in answers])

    def _logits(self, answer: Tensor) -> Tensor:
        shown = answer if self.right else (answer + 1) % self.vocabulary
        return SURE * functional.one_hot(shown, self.vocabulary).float()


def judged(spec: Part) -> dict[bool, float]:
    """The score of right and of wrong answers."""
    from paribus.training.data import Dataset
    from paribus.training.evaluation import Evaluator

    for kind, family in TASKS:
        task: Any = spec_class("task", kind)
        if spec.kind not in task.metrics:
            continue
        small = task(longest=6, training_examples=20, validation_examples=10, test_examples=10)
        data = Dataset(small, family)
        split = data.split("validation")
        vocabulary = data.sizes().target_vocabulary
        answers = {}
        for row in range(len(split)):
            assert split.source is not None
            start, target = int(split.source.starts[row]), int(split.targets.starts[row])
            source = split.source.flat[start : start + int(split.source.lengths[row])]
            answers[tuple(int(n) for n in source)] = [
                int(n) for n in split.targets.flat[target : target + int(split.targets.lengths[row])]
            ]
        decoding = spec_class("decoding", "greedy")()
        found = {}
        for right in (True, False):
            network = Oracle(answers, vocabulary, right=right)
            judge = Evaluator(network, decoding, torch.device("cpu"), contextlib.nullcontext)
            (score,) = judge.scores("validation", split, [spec.kind])
            assert score.value is not None
            found[right] = score.value
        return found
    raise DoesNotApply("no small task is judged by it")


@promise("it says what it is: a title, a direction, and bounds in order")
def described(spec: Part, seed: int) -> None:
    if not isinstance(spec, MetricSpec):
        raise Broken("its Spec does not derive from paribus.parts.metric.MetricSpec")
    if not getattr(spec, "title", "") or getattr(spec, "direction", "") not in ("max", "min"):
        raise Broken("needs a title, and max or min as its direction")
    if spec.bounds is not None and not spec.bounds[0] < spec.bounds[1]:
        raise Broken(f"its bounds are {spec.bounds}, needs the lower one first")
    if spec.kind not in kinds("metric"):
        raise DoesNotApply("only a metric of paribus can be computed so far")


@promise("the right answer gets the best score")
def right_is_best(spec: Part, seed: int) -> None:
    assert isinstance(spec, MetricSpec)
    found = judged(spec)
    better = found[True] > found[False] if spec.direction == "max" else found[True] < found[False]
    if not better:
        told = f"right answers score {found[True]:.4g}, wrong ones {found[False]:.4g}, and {spec.direction} is best"
        raise Broken(told, "10 examples")
    if spec.bounds is not None:
        best = spec.bounds[1] if spec.direction == "max" else spec.bounds[0]
        if abs(found[True] - best) > 1e-6:
            raise Broken(f"right answers score {found[True]:.4g}, the best that it declares is {best:g}", "10 examples")
        if not spec.bounds[0] <= found[False] <= spec.bounds[1]:
            raise Broken(f"wrong answers score {found[False]:.4g}, outside of its bounds {spec.bounds}", "10 examples")


PROMISES = (described, right_is_best)
