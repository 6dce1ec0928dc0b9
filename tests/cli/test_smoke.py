"""What `--smoke` makes of an experiment; that it trains is asked of every experiment of the project."""

from collections.abc import Callable
from pathlib import Path

from paribus.cli.smoke import shortened
from paribus.planning import plan
from paribus.report.results import reproduce
from paribus.spec.load import load

FILE = """
name: budgets
tasks: {copy: {kind: copy}, reverse: {kind: reverse, test_examples: 500}}
training: {steps: 600, schedule: {kind: cosine, warmup: 60}}
arms:
  longer: {training.steps: 9000, training.schedule.warmup: 500}
  tokens: {training.tokens: 10000000}
  flops: {training: {flops: 1.0e+12, evaluate: {every: 7}}}
  constant: {training.schedule: constant}
vary: [{one_at_a_time: {training.steps: [800000]}}]
"""


def test_budgets_that_arms_set_are_cut_short_too(write: Callable[..., Path]) -> None:
    whole = load(write(text=FILE))
    short = shortened(whole)
    assert [arm.name for arm in short.arms] == [arm.name for arm in whole.arms]
    for arm in short.arms:
        training = arm.setting.training
        assert (training.steps, training.tokens, training.flops) == (2, None, None), arm.name
        assert training.schedule.model_dump()["warmup"] == 0
        assert (training.evaluate.every, training.evaluate.examples) == (1.0, 32)
        for task in arm.setting.tasks.values():
            assert (task.model_dump()["validation_examples"], task.model_dump()["test_examples"]) == (32, 32)
    assert short.arms[4].setting.training.schedule.kind == "constant"
    planned = plan(short, arms=["tokens"], seeds=[1], label="smoke")
    assert reproduce(planned) == "paribus run small.yaml --arms tokens --smoke"
