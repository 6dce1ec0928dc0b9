"""A few steps, an evaluation and a test of a run, only to see how long they take and how much memory they need."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from paribus.network import build
from paribus.parts.optimizer import OptimizerSpec
from paribus.planning import Job
from paribus.training.data import Split
from paribus.training.environment import forget_peak, peak_bytes
from paribus.training.evaluation import BATCH, Evaluator
from paribus.training.kept import SCORED
from paribus.training.module import Stream, loss_of
from paribus.training.settings import Settings, device_of

FEWEST, MOST, LONG_ENOUGH = 3, 30, 0.5  # steps, and seconds after which there are enough of them


def timing(job: Job) -> dict[str, Any]:
    """Seconds and tokens of a step, seconds of a look and of the test, peak bytes, examples tested, and parameters."""
    settings = Settings.of(job)
    device = device_of(settings.machine)
    forget_peak(device)
    training, data = settings.training, settings.data
    network = build(settings.network, data.sizes(), settings.seed).to(device).train()
    assert isinstance(training.optimizer, OptimizerSpec)
    optimizer = training.optimizer.build(network, fused=device.type in ("cpu", "cuda") and settings.precision == 32)
    # One of several devices trains on its share; what they tell each other is not counted.
    stream = iter(Stream(data.split("training"), training, settings.seed, 0.0, size=settings.machine.devices))
    took: list[float] = []
    tokens: list[int] = []
    while len(took) < FEWEST or (len(took) < MOST and sum(took) < LONG_ENOUGH):
        micros = list(islice(stream, training.accumulate))
        began = time.perf_counter()
        optimizer.zero_grad()
        for micro in micros:
            with _precision(settings, device):
                loss = loss_of(network, micro.reading.to(device), training.label_smoothing)
            (loss / micro.asked).backward()
        nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm or float("inf"))
        optimizer.step()
        _wait(device)
        took.append(time.perf_counter() - began)
        tokens.append(sum(micro.tokens for micro in micros))
    evaluator = Evaluator(network, settings.decoding, device, lambda: _precision(settings, device))
    cheap = [metric for metric in settings.task.metrics if metric != "exact_match"]
    validation = data.split("validation")
    others = [data.split(name) for name in settings.task.splits if name != "training"]
    return {
        "step": median(took[1:]),  # the first one warms up
        "tokens": sum(tokens) / len(tokens),
        "look": _looked(evaluator, validation, cheap, min(training.evaluate.examples, len(validation)), device),
        "test": sum(_looked(evaluator, split, settings.task.metrics, len(split), device) for split in others),
        "memory": peak_bytes(device),
        "scored": sum(min(len(split), SCORED) for split in others),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _looked(evaluator: Evaluator, split: Split, metrics: Sequence[str], count: int, device: torch.device) -> float:
    """Seconds that so many examples take, by those of one batch."""
    rows = np.arange(min(BATCH, len(split)))
    began = time.perf_counter()
    evaluator.scores("", split, metrics, rows)
    _wait(device)
    return (time.perf_counter() - began) * count / len(rows)


def _precision(settings: Settings, device: torch.device) -> AbstractContextManager[object]:
    kinds: dict[int | str, torch.dtype] = {"bf16": torch.bfloat16, 16: torch.float16}
    if settings.precision not in kinds:
        return nullcontext()
    return torch.autocast(device.type, dtype=kinds[settings.precision])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
