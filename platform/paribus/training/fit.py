"""Train one run: from plain settings to a record, in the folder that the run's files go to."""

import contextlib
import hashlib
import json
import math
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from paribus.cost import cost
from paribus.errors import MachineError
from paribus.network import Network, build
from paribus.parts import Part, Swappable, spec_class
from paribus.parts.task import TaskSpec
from paribus.planning import RESULTS_VERSION, Job
from paribus.spec.machine import Machine, seconds
from paribus.spec.network import Architecture
from paribus.spec.training import Training
from paribus.store.record import Record, Score
from paribus.training import probes
from paribus.training.data import Dataset, Order, dataset
from paribus.training.evaluation import Evaluator, Hear
from paribus.training.kept import Listener, keep
from paribus.training.module import Diverged, Learner, Micro, Stream
from paribus.training.streams import fingerprints

WEIGHTS = "weights.safetensors"
EVERY = 20  # steps between looks at the losses, so that a GPU is not waited for at each
REPORT = 0.25  # seconds between progress messages

Progress = Callable[[dict[str, Any]], None]
Asked = Callable[[], str]  # the status to end with, empty while the run may go on


class Stopped(Exception):
    """Training was ended from outside: interrupted, or out of time."""

    def __init__(self, status: str, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@dataclass(frozen=True)
class Settings:
    """A run's settings, rebuilt from plain data."""

    network: Architecture
    training: Training
    task: TaskSpec
    data: Dataset
    decoding: Part
    precision: int | str
    machine: Machine
    seed: int

    @classmethod
    def of(cls, run: Job) -> "Settings":
        tree = run.settings
        network = Architecture.model_validate(tree["network"])
        task = Swappable("task").validate(tree["task"])
        assert isinstance(task, TaskSpec)
        return cls(
            network=network,
            training=Training.model_validate(tree["training"]),
            task=task,
            data=dataset(
                json.dumps(tree["task"], sort_keys=True), network.family, network.embeddings.shared_vocabulary
            ),
            decoding=Swappable("decoding").validate(tree["decoding"]),
            precision=tree["precision"],
            machine=Machine.model_validate(run.machine),
            seed=run.seed,
        )


def device_of(machine: Machine) -> torch.device:
    """What to train on; raises MachineError where this machine lacks it."""
    wanted = machine.accelerator
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        raise MachineError(f"machine.accelerator is {wanted}, but torch finds no {wanted} device here; use cpu or auto")
    return torch.device(wanted)


def train(run: Job, folder: Path, progress: Progress, asked: Asked) -> Record:
    """The record of one run; whatever ends it early is told by the record's status."""
    started = datetime.now(UTC)
    settings = Settings.of(run)
    device = device_of(settings.machine)
    network = build(settings.network, settings.data.sizes(), settings.seed)
    initial = fingerprints(network)
    costs = cost(settings.network, settings.data.sizes(), settings.data.lengths())
    watch = Watch(settings, network, costs.flops_per_token, device, progress, asked)
    status, reason, fail_step = "ok", "", None
    scores: list[Score] = []
    peak = None
    _reset_peak(device)
    try:
        watch.fit(folder)
        heard = Listener(settings.data)
        scores = watch.test(heard.hear)
        if any(score.reason == "not finite" for score in scores):
            raise Diverged(watch.step)
        scores += watch.probed()
        save_file(watch.best_weights, folder / WEIGHTS)
        peak = _peak(device)
        keep(watch.evaluator, settings.data, heard, folder)
    except Diverged as error:
        status, reason, fail_step = "diverged", str(error), error.step
    except Stopped as error:
        status, reason = error.status, str(error)
    return Record(
        run=run.id,
        status=status,
        reason=reason,
        fail_step=fail_step,
        started_at=started.isoformat(timespec="seconds"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=watch.seconds,
        step_seconds=watch.seconds - watch.evaluating,
        steps=watch.step,
        tokens=watch.tokens,
        chosen_step=watch.best_step if status == "ok" else None,
        peak_memory=peak if peak is not None else _peak(device),
        cost=costs.tree(),
        scores=scores,
        curves=watch.curves(),
        order=watch.order,
        initial=initial,
        environment=environment(device, compiled=settings.machine.compile),
        probes=watch.probes,
    )


@dataclass
class Watch(Callback):
    """Sees every step of a run: losses, evaluations, the best weights, time and requests to stop."""

    settings: Settings
    network: Network
    flops_per_token: float
    device: torch.device
    progress: Progress
    asked: Asked

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluating: float = 0.0
    best_step: int | None = None
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    order: list[tuple[int, str]] = field(default_factory=list)
    points: list[dict[str, float | None]] = field(default_factory=list)
    probes: dict[str, dict[str, float]] = field(default_factory=dict)

    def fit(self, folder: Path) -> None:
        """Train to the end of the budget, or until something ends it."""
        training = self.settings.training
        data = self.settings.data
        stream = Stream(data.split("training"), training, self.settings.seed, self.flops_per_token)
        self._steps = stream.steps()
        self._evaluations = evaluation_steps(training, self._steps)
        self._began = time.perf_counter()
        self._told = 0.0
        self._limit = seconds(self.settings.machine.time_limit) if self.settings.machine.time_limit else math.inf
        self._hash = hashlib.sha256()
        self._best = -math.inf
        self._without_better = 0
        self._last_look = 0
        self._train_losses: list[float] = []
        self._newest_loss: float | None = None
        mixed = {32: "32-true", "bf16": "bf16-mixed", 16: "16-mixed"}[self.settings.precision]
        # With mixed precision Lightning lets no gradient be clipped before a fused optimizer step.
        fused = self.device.type in ("cpu", "cuda") and mixed == "32-true"
        learner = Learner(self.network, training, self.settings.seed, fused=fused)
        trainer = lightning.Trainer(
            accelerator=self.device.type,
            devices=1,
            precision=mixed,  # type: ignore[arg-type]
            max_steps=self._steps,
            max_epochs=-1,
            accumulate_grad_batches=training.accumulate,
            gradient_clip_val=training.clip_norm,
            callbacks=[self],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        self.evaluator = Evaluator(
            self.network, self.settings.decoding, self.device, trainer.precision_plugin.val_step_context
        )
        self.network.train()
        if self.settings.machine.compile:
            self.network.compile()
        trainer.fit(learner, train_dataloaders=stream)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._began = time.perf_counter()

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.seconds = time.perf_counter() - self._began

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.seconds = time.perf_counter() - self._began

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._newest = batch

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Look inside at the first step, and at each that may be the last."""
        if self.step == 0 or self.step + 1 in self._evaluations:
            began = time.perf_counter()
            looked = probes.attention(self.network, self._newest.reading.batch, self.evaluator.precision)
            self.probes["last" if self.step else "first"] = {**probes.gradients(self.network), **looked}
            self.evaluating += time.perf_counter() - began

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(batch, Micro) and isinstance(pl_module, Learner)
        self.tokens += batch.tokens
        self._hash.update(batch.reading.rows.tobytes())
        if batch.micro + 1 < self.settings.training.accumulate:
            return
        self.step = batch.step + 1
        due = self.step in self._evaluations
        if due or self.step - self._last_look >= EVERY or self.step == 1:
            self._train_losses += pl_module.take_losses(self._last_look + 1)
            self._newest_loss = self._train_losses[-1]
            self._last_look = self.step
            self._tell()
        if due:
            trainer.should_stop = self._evaluate() or trainer.should_stop
        if status := self.asked():
            raise Stopped(status, f"stopped at step {self.step} of {self._steps}")
        if time.perf_counter() - self._began > self._limit:
            limit = self.settings.machine.time_limit
            raise Stopped("timeout", f"the time limit of {limit} was over at step {self.step} of {self._steps}")

    def _evaluate(self) -> bool:
        """Look at validation; gives whether training should end before its budget."""
        began = time.perf_counter()
        training = self.settings.training
        split = self.settings.data.split("validation")
        rows = np.arange(min(training.evaluate.examples, len(split)))
        cheap = [metric for metric in self.settings.task.metrics if metric != "exact_match"]
        metrics = list(dict.fromkeys([*cheap, training.monitor]))
        scores = {score.metric: score for score in self.evaluator.scores("validation", split, metrics, rows)}
        watched = scores[training.monitor].value
        if scores["loss"].value is None and scores["loss"].reason != "capacity":
            raise Diverged(self.step)
        self._keep(watched)
        recent = self._train_losses
        self.points.append(
            {
                "step": self.step,
                "tokens": self.tokens,
                "seconds": began - self._began - self.evaluating,
                "train_loss": sum(recent) / len(recent) if recent else None,
                **{f"validation_{name}": score.value for name, score in scores.items()},
            }
        )
        self._train_losses = []
        self.order.append((self.step * training.accumulate, self._hash.hexdigest()[:16]))
        self.evaluating += time.perf_counter() - began
        self._tell(f"validation {training.monitor} {watched:.4g}" if watched is not None else "", evaluated=True)
        return training.early_stop is not None and self._without_better >= training.early_stop.patience

    def _keep(self, watched: float | None) -> None:
        """Keep the weights if they are to be tested: the first best, or the last."""
        training = self.settings.training
        direction = getattr(spec_class("metric", training.monitor), "direction", "min")
        value = -math.inf if watched is None else watched if direction == "max" else -watched
        better = value > self._best
        self._without_better = 0 if better else self._without_better + 1
        self._best = max(value, self._best)
        if better or training.select == "last" or self.best_step is None:
            self.best_step = self.step
            self.best_weights = {
                name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()
            }

    def test(self, hear: Hear) -> list[Score]:
        """All metrics on all splits but training, once, with the chosen weights."""
        self._tell("testing")
        self.network.load_state_dict(self.best_weights)
        self.network.to(self.device)
        scores = []
        for name in self.settings.task.splits:
            if name != "training":
                split = self.settings.data.split(name)
                scores += self.evaluator.scores(name, split, self.settings.task.metrics, hear=hear)
        return scores

    def probed(self) -> list[Score]:
        """What was seen inside the network, in short."""
        scores = [score for name, seen in self.probes.items() for score in probes.summary(f"{name}_step", seen)]
        if probes.remembers(self.network):
            training = self.settings.training
            split = self.settings.data.split("training")
            order = Order(split, training.batch, self.settings.seed)
            gap = probes.train_eval_gap(self.network, split, order, self.device, self.evaluator.precision)
            scores.append(Score("training", "train_eval_gap", gap))
        return scores

    def _tell(self, note: str = "", *, evaluated: bool = False) -> None:
        now = time.perf_counter()
        if note or evaluated or now - self._told >= REPORT:
            self._told = now
            spent = now - self._began - self.evaluating
            self.progress(
                {
                    "step": self.step,
                    "steps": self._steps,
                    "loss": self._newest_loss,
                    "speed": self.tokens / spent if spent else None,
                    "seconds": now - self._began,
                    "note": note,
                    # All of them each time, so that a driver which missed some still hears of them.
                    "curves": self.curves() if evaluated else None,
                }
            )

    def curves(self) -> dict[str, list[float | None]]:
        """The points as columns."""
        names = dict.fromkeys(name for point in self.points for name in point)
        return {name: [point.get(name) for point in self.points] for name in names}


def evaluation_steps(training: Training, steps: int) -> set[int]:
    """The steps after which validation is looked at; the last one always."""
    every = training.evaluate.every
    if isinstance(every, int):
        return {*range(every, steps + 1, every), steps}
    count = max(1, round(1 / every))
    return {max(1, round(index * steps * every)) for index in range(1, count + 1) if index * every <= 1 + 1e-9} | {
        steps
    }


def environment(device: torch.device, *, compiled: bool = False) -> dict[str, Any]:
    """What the numbers of a run may depend on besides its settings."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "paribus": version("paribus"),
        "results": RESULTS_VERSION,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "device": device.type,
        "device_name": name,
        "devices": 1,
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "compile": compiled,
        "revision": _revision(),
    }


def _revision() -> str:
    """The commit of the code that is run, with a mark if it was changed since; empty outside a repository."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):  # Linux: start the high-water mark of this process anew
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "")
    return int(line.split()[1]) * 1024 if line else None
