"""Made-up experiments with realistic numbers, as plain data."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from paribus.planning import MetricInfo, Plan, Row, Run, TaskInfo
from paribus.spec.analysis import Analysis
from paribus.store.record import Outcome, Record, Score

METRICS = [
    MetricInfo("exact_match", "exact match", "max", "", [0.0, 1.0]),
    MetricInfo("token_accuracy", "token accuracy", "max", "", [0.0, 1.0]),
    MetricInfo("loss", "loss", "min", "nats", None),
]


@dataclass(frozen=True)
class ArmLike:
    """An arm by what it scores: mean and spread, what it changes, and which seeds do not end well."""

    name: str
    mean: float
    sd: float = 0.01
    change: tuple[str, str, str] = ("", "", "")
    parameters: float = 1.0
    statuses: Mapping[int, str] | None = None
    leaks: Mapping[str, str] | None = None
    capacity: bool = False
    values: Sequence[float] | None = None


SIX = (
    ArmLike("baseline", 0.95),
    ArmLike("no_position", 0.30, 0.02, ("position", "sinusoidal", "none")),
    ArmLike("learned", 0.94, 0.008, ("position", "sinusoidal", "learned"), 1.012),
    ArmLike("one_head", 0.93, 0.012, ("mixer.heads", "4", "1")),
    ArmLike("batch_norm", 0.90, 0.02, ("norm", "layer", "batch"), 1.0, {4: "diverged"}, {"decoder 0 norm": "future"}),
    ArmLike("additive", 0.951, 0.003, ("mixer.score", "scaled_dot", "additive"), 1.08),
)


def outcome_of(run: Run, arm: ArmLike, dice: random.Random) -> Outcome:
    status = (arm.statuses or {}).get(run.seed, "ok")
    if status in ("pending", "running"):
        return Outcome(run.id, status)
    drawn = dice.gauss(arm.mean, arm.sd)
    value = arm.values[run.seed - 1] if arm.values else drawn
    steps = [60.0 * index for index in range(1, 11)]
    loss = [0.15 + 2.4 * (1 - arm.mean) + 3.2 * 2.7 ** (-step / 110) + dice.gauss(0, 0.02) for step in steps]
    ended = 6 if status == "diverged" else 10
    reason = "capacity" if arm.capacity else ""
    scores = [
        Score(
            split, metric, None if arm.capacity and split == "test_longer" else score, reason * (split == "test_longer")
        )
        for split, shift in (("test", 0.0), ("test_longer", 0.2))
        for metric, score in (
            ("exact_match", value - shift * value),
            ("token_accuracy", 1 - (1 - value) / 3 - shift / 4),
            ("loss", 0.15 + 2.4 * (1 - value) + shift),
        )
    ]
    record = Record(
        run=run.id,
        status=status,
        reason="loss is not finite" if status == "diverged" else "",
        fail_step=388 if status == "diverged" else None,
        started_at="2026-11-21T10:00:00+00:00",
        finished_at="2026-11-21T10:01:00+00:00",
        seconds=61.0 + dice.random(),
        step_seconds=52.0 + dice.random() + 4 * (arm.parameters - 1),
        steps=600 if status == "ok" else 388,
        tokens=2_140_000,
        chosen_step=600 if status == "ok" else None,
        cost={
            "parameters": round(216_000 * arm.parameters),
            "parameters_without_embeddings": round(201_000 * arm.parameters),
            "flops_per_token": 410_000.0 * arm.parameters,
        },
        scores=scores if status == "ok" else [],
        curves={
            "step": steps[:ended],
            "tokens": [step * 3566 for step in steps[:ended]],
            "seconds": [step / 10 for step in steps[:ended]],
            "train_loss": loss[:ended],
            "validation_loss": loss[:ended],
            "validation_token_accuracy": [1 - entry / 5 for entry in loss[:ended]],
        },
        order=[
            (60 * index, hashlib.sha256(f"{run.seed}{index}".encode()).hexdigest()[:16])
            for index in range(1, ended + 1)
        ],
        initial={"encoder.0.mixer.query.weight": f"64x64:{run.seed}a", f"norm.{arm.name}": f"64:{run.seed}{arm.name}"},
        environment={
            "paribus": "0.1.0",
            "torch": "2.9.0",
            "device_name": "x86_64",
            "revision": "a91e0c2",
            "results": 1,
        },
    )
    return Outcome(run.id, status, record, 1, "")


def experiment(
    arms: Sequence[ArmLike] = SIX,
    seeds: int = 5,
    tasks: Sequence[str] = ("phrases",),
    *,
    name: str = "positions",
    question: str = "Does a translator need to be told the order of the words?",
    **analysis: object,
) -> tuple[Plan, dict[str, Outcome]]:
    """A plan and what its runs left."""
    numbers = list(range(1, seeds + 1))
    runs = [
        Run(hashlib.sha256(f"{task}/{arm.name}/{seed}".encode()).hexdigest()[:16], arm.name, task, seed)
        for task in tasks
        for seed in numbers
        for arm in arms
    ]
    settings = {"kind": "phrases", "level": "numbers", "training_examples": 20000, "test_examples": 1000}
    plan = Plan(
        name=name,
        label="",
        question=question,
        digest="4f1c09aa52b0e1d7",
        file="experiments/positions.yaml",
        text=f"name: {name}\n",
        arms=[_row(arm) for arm in arms],
        tasks=[
            TaskInfo(task, "phrases", "exact_match", METRICS, ["validation", "test", "test_longer"], settings)
            for task in tasks
        ],
        seeds=numbers,
        analysis=Analysis.model_validate({"smallest_effect": 0.02, **analysis}).model_dump(),
        settings={},
        machine={},
        runs=runs,
    )
    by_name = {arm.name: arm for arm in arms}
    outcomes = {
        run.id: outcome_of(run, by_name[run.arm], random.Random(f"{run.task}{run.arm}{run.seed}")) for run in runs
    }
    return plan, outcomes


def _row(arm: ArmLike) -> Row:
    what, before, after = arm.change
    differences = [{"what": what, "where": "", "baseline": before, "arm": after}] if what else []
    return Row(arm.name, {f"network.{what}": after} if what else {}, "baseline", differences, dict(arm.leaks or {}))


@pytest.fixture
def made() -> SimpleNamespace:
    """`made.experiment(...)`, `made.Arm(...)` and the six arms `made.six`."""
    return SimpleNamespace(experiment=experiment, Arm=ArmLike, six=SIX, replace=replace)


@pytest.fixture(scope="session")
def six_arms() -> tuple[Plan, dict[str, Outcome]]:
    return experiment()


@pytest.fixture(scope="session")
def two_tasks() -> tuple[Plan, dict[str, Outcome]]:
    return experiment(SIX[:4], 5, ("phrases", "reverse"))


Maker = Callable[..., tuple[Plan, dict[str, Outcome]]]
