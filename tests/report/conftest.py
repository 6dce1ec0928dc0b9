"""Made-up experiments with realistic numbers, as plain data."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from paribus.planning import FLOOR, MetricInfo, Plan, Row, Run, TaskInfo
from paribus.spec.analysis import Analysis
from paribus.spec.claims import Claim
from paribus.store.kept import Head, Kept, Sample, Shown
from paribus.store.record import Outcome, Record, Score

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
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


def kept_of(plan: Plan) -> Callable[[str], Kept | None]:
    """What the runs of an experiment keep: two layers of two heads at each place, ten samples."""
    runs = {run.id: run for run in plan.runs}

    def read(run: str) -> Kept | None:
        arm, seed = runs[run].arm, runs[run].seed
        dice = np.random.default_rng(int(run[:8], 16))
        paths = [f"{side}.{layer}.mixer" for side in ("encoder", "decoder") for layer in (0, 1)]
        paths += ["decoder.0.cross", "decoder.1.cross"]
        heads = [
            Head(
                path.split(".")[0], int(path.split(".")[1]), "cross" if "cross" in path else "self", head, *_means(dice)
            )
            for path in paths
            for head in (0, 1)
        ]
        samples = [
            Sample(
                row,
                f"source {row}",
                f"目标{row}",
                f"目标{row}" if row % (seed + 1) else f"{arm}错",
                bool(row % (seed + 1)),
            )
            for row in range(10)
        ]
        tokens = [*"abcdefgh", "<end>"]
        maps = {f"{index}/{path}": dice.dirichlet(np.ones(9), (2, 9)) for index in (0, 1) for path in paths}
        shown = [Shown(7, tokens, ["<start>", *"一二三四五六七八"]), Shown(3, tokens, ["<start>", *"八七六五四三二一"])]
        scores = {
            split: {
                "loss": dice.random(120).astype(np.float32) * lengths,
                "asked": lengths + 1,
                "right": lengths,
                "exact": (dice.random(120) < 0.8).astype(np.int8),
                "source_length": lengths,
                "target_length": lengths,
            }
            for split, lengths in (("test", np.arange(120) % 6 + 2), ("test_longer", np.arange(120) % 5 + 8))
        }
        return Kept(heads, samples, shown, maps, scores, {"source": 7, "target": 7})

    return read


def _means(dice: np.random.Generator) -> list[float]:
    return [round(float(value), 4) for value in dice.random(6)]


FACTORS = {"norm": ["layer", "rms"], "mixer.heads": ["4", "1"]}
Whole = tuple[Plan, dict[str, Outcome], Callable[[str], Kept | None]]


def everything() -> Whole:
    """A plan, what its runs left, and what they keep: two tasks, a grid, a path, a search, claims, floors, failures."""
    layer, heads = ("norm", "layer", "rms"), ("mixer.heads", "4", "1")
    arms = [
        ArmLike("baseline", 0.951, 0.006),
        ArmLike("no_position", 0.30, 0.02, ("position", "sinusoidal", "none")),
        ArmLike("learned", 0.94, 0.008, ("position", "sinusoidal", "learned"), 1.012, {2: "running"}),
        ArmLike("norm=rms", 0.962, 0.006, layer, 0.998),
        ArmLike("mixer.heads=1", 0.93, 0.008, heads),
        ArmLike("norm=rms,mixer.heads=1", 0.958, 0.006, ("norm", "layer", "rms"), 0.998),
        ArmLike("batch_norm", 0.90, 0.02, ("norm", "layer", "batch"), 1.0, {4: "diverged"}, {"decoder norm": "future"}),
        ArmLike("additive", 0.951, 0.003, ("mixer.score", "scaled_dot", "additive"), 1.08, {3: "excluded"}),
        ArmLike("fixed_summary", 0.88, 0.01, ("mixer", "attention", "summary"), 0.93, capacity=True),
    ]
    plan, outcomes = experiment(
        arms, 5, ("phrases", "reverse"), name="whole", question="What does a translator need of its parts?"
    )
    floors = [Run(f"f{index:015d}", f"{FLOOR}uniform", task, 1) for index, task in enumerate(("phrases", "reverse"))]
    outcomes |= {run.id: Outcome(run.id, "ok", _floor(run.id), 1, "") for run in floors}
    claims = [
        {"arm": "no_position", "expect": "worse", "text": "Without positions a translator fails."},
        {"arm": "learned", "expect": "better"},
        {"arm": "mixer.heads=1", "expect": "different", "metric": "parameters"},
    ]
    plan = replace(
        plan,
        runs=[*plan.runs, *floors],
        claims=[Claim.model_validate(claim).model_dump() for claim in claims],
        designs=[_grid(), _path()],
        tuning=_searches(["baseline", "norm=rms"]),
    )
    outcomes = {
        run: replace(outcome, record=None, error="the machine was used by others")
        if outcome.status == "excluded"
        else outcome
        for run, outcome in outcomes.items()
    }
    return plan, outcomes, kept_of(plan)


def _floor(run: str) -> Record:
    scores = [Score("test", "exact_match", 0.001, ""), Score("test", "loss", 6.2, "")]
    return Record(run=run, status="ok", scores=scores)


def _grid() -> dict[str, Any]:
    names = ["baseline", "mixer.heads=1", "norm=rms", "norm=rms,mixer.heads=1"]
    levels = product(*FACTORS.values())
    cells = [{"arm": name, "levels": list(cell)} for name, cell in zip(names, levels, strict=True)]
    return {"kind": "grid", "from": "baseline", "factors": FACTORS, "cells": cells}


def _path() -> dict[str, Any]:
    changes: Mapping[str, list[str]] = {
        "baseline": [],
        "norm=rms": ["norm"],
        "mixer.heads=1": ["heads"],
        "norm=rms,mixer.heads=1": ["norm", "heads"],
    }
    return {
        "kind": "path",
        "from": "baseline",
        "to": "norm=rms,mixer.heads=1",
        "orders": [["norm", "heads"], ["heads", "norm"]],
        "cells": [{"arm": arm, "changes": done} for arm, done in changes.items()],
    }


def _searches(arms: list[str]) -> dict[str, Any]:
    metric = {"name": "exact_match", "title": "exact match", "direction": "max"}
    return {
        "scope": "arm",
        "sampler": "random",
        "pruner": "none",
        "order": "arms",
        "seeds": 1,
        "split": "validation",
        "time_limit": None,
        "optuna": "5.0.0",
        "objectives": [metric],
        "searches": [_search(arm, task, metric) for arm in arms for task in ("phrases", "reverse")],
        "fixed": [],
        "confirm": None,
    }


def _search(arm: str, task: str, metric: Mapping[str, str]) -> dict[str, Any]:
    dice = Random(f"{arm} {task}")
    trials = []
    for number in range(12):
        rate, state = 10 ** dice.uniform(-4, -1.5), "failed" if number == 5 else "ok"
        values = [0.95 - 0.1 * abs(rate - 0.004) ** 0.5 - abs(dice.gauss(0, 0.01))] if state == "ok" else []
        trials.append(
            {
                "number": number,
                "state": state,
                "values": values,
                "settings": {"training.optimizer.lr": rate, "network.norm": dice.choice(["layer", "rms"])},
                "seconds": 31.0,
                "steps": 600,
                "reason": "" if values else "loss is not finite",
                "by_seed": values,
                "runs": [],
                "enqueued": False,
            }
        )
    best = max((trial for trial in trials if trial["values"]), key=lambda trial: trial["values"][0])
    numbers = {"low": 1e-4, "high": 3e-2, "log": True, "step": None, "choices": None, "carried": False}
    names = {"low": None, "high": None, "log": False, "step": None, "choices": ["layer", "rms"], "carried": True}
    rows = [{"key": "training.optimizer.lr", "value": 0.8, "low": 0.6, "high": 0.9}]
    return {
        "name": f"{arm} {task}",
        "arm": arm,
        "task": task,
        "metric": metric,
        "seed": 1,
        "target": 12,
        "dimensions": [{"key": "training.optimizer.lr", **numbers}, {"key": "network.norm", **names}],
        "trials": trials,
        "winner": best["number"],
        "front": [best["number"]],
        "importance": {"method": "fANOVA", "used": 11, "of": 12, "rows": rows, "reason": ""},
        "boundary": [],
    }


@pytest.fixture
def made() -> SimpleNamespace:
    """`made.experiment(...)`, `made.Arm(...)` and the six arms `made.six`."""
    return SimpleNamespace(experiment=experiment, Arm=ArmLike, six=SIX, replace=replace, kept=kept_of)


@pytest.fixture(scope="session")
def six_arms() -> tuple[Plan, dict[str, Outcome]]:
    return experiment()


@pytest.fixture(scope="session")
def kept_by_six(six_arms: tuple[Plan, dict[str, Outcome]]) -> Callable[[str], Kept | None]:
    return kept_of(six_arms[0])


@pytest.fixture(scope="session")
def two_tasks() -> tuple[Plan, dict[str, Outcome]]:
    return experiment(SIX[:4], 5, ("phrases", "reverse"))


@pytest.fixture(scope="session")
def whole() -> Whole:
    """An experiment in which everything happens that a report can tell of."""
    return everything()


Maker = Callable[..., tuple[Plan, dict[str, Outcome]]]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists() and "CI" not in os.environ:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def quiet() -> "Callable[[Browser, Path, int], list[str]]":
    """`quiet(browser, page, width)`: what a page complains of, asks for or lets stick out at that width."""
    return complaints


def complaints(browser: "Browser", path: Path, width: int) -> list[str]:
    page = browser.new_page(viewport={"width": width, "height": 844})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    heard.remove(path.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    found = [text for text in heard if not text.startswith("data:")]
    return found + ([f"{wide} pixels wide"] if wide > width else [])
