"""Train one run: from plain settings to a record, in the folder that the run's files go to."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from paribus.cost import cost
from paribus.network import Network, build
from paribus.parts import spec_class
from paribus.planning import Job
from paribus.spec.machine import seconds
from paribus.spec.training import Training
from paribus.store.record import WEIGHTS, Record, Score
from paribus.training import probes
from paribus.training.checkpoint import Checkpoints, Keeper
from paribus.training.data import Order
from paribus.training.environment import environment, forget_peak, peak_bytes
from paribus.training.evaluation import Evaluator, Hear
from paribus.training.group import Place, leading
from paribus.training.kept import Listener, keep
from paribus.training.module import Diverged, Learner, Micro
from paribus.training.settings import Settings, device_of
from paribus.training.streams import fingerprints
from paribus.training.trainer import go_on, learner_of, stream_of, trainer_of

EVERY = 20  # steps between looks at the losses, so that a GPU is not waited for at each
REPORT = 0.25  # seconds between progress messages

Progress = Callable[[dict[str, Any]], None]
Asked = Callable[[], str]  # the status to end with, empty while the run may go on


class Stopped(Exception):
    """Training was ended from outside: interrupted, or out of time."""

    def __init__(self, status: str, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def train(
    run: Job, folder: Path, progress: Progress, asked: Asked, resume: Path | None = None, keeper: Keeper | None = None
) -> Record:
    """The record of one run, gone on with from its checkpoint under `resume` if there is one.

    Each new checkpoint is shown to `keeper`, which may copy it.
    Whatever ends it early is told by the record's status.
    """
    started = datetime.now(UTC)
    settings = Settings.of(run)
    device = device_of(settings.machine)
    network = build(settings.network, settings.data.sizes(), settings.seed)
    initial = fingerprints(network)
    costs = cost(settings.network, settings.data.sizes(), settings.data.lengths())
    checkpoints = Checkpoints(resume, settings.machine.checkpoint, settings.machine.devices, keeper)
    watch = Watch(run, settings, network, costs.flops_per_token, device, progress, asked, checkpoints)
    status, reason, fail_step = "ok", "", None
    scores: list[Score] = []
    peak = None
    forget_peak(device)
    try:
        watch.fit(folder)
        heard = Listener(settings.data)
        scores = watch.test(heard.hear)
        if any(score.reason == "not finite" for score in scores):
            raise Diverged(watch.step)
        scores += watch.probed()
        save_file(watch.best_weights, folder / WEIGHTS)
        peak = peak_bytes(device)
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
        peak_memory=peak if peak is not None else peak_bytes(device),
        cost=costs.tree(),
        scores=scores,
        curves=watch.curves(),
        order=watch.order,
        initial=initial,
        environment=environment(device, settings.machine),
        probes=watch.probes,
        notes=checkpoints.notes,
    )


# What a checkpoint brings back of a `Watch`; network, optimizer and losses not yet looked at come besides.
GATHERED = (
    "step", "tokens", "evaluating", "best", "best_step", "best_weights", "without_better", "last_look",
    "train_losses", "newest_loss", "order", "points", "probes", "done",
)  # fmt: skip


@dataclass
class Watch(Callback):
    """Sees every step of a run: losses, evaluations, the best weights, time and requests to stop."""

    job: Job
    settings: Settings
    network: Network
    flops_per_token: float
    device: torch.device
    progress: Progress
    asked: Asked
    checkpoints: Checkpoints

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluating: float = 0.0  # seconds of evaluations and checkpoints
    best: float = -math.inf
    best_step: int | None = None
    without_better: int = 0
    last_look: int = 0
    train_losses: list[float] = field(default_factory=list)  # since the last evaluation
    newest_loss: float | None = None
    done: bool = False  # before the budget was spent
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    order: list[tuple[int, str]] = field(default_factory=list)
    points: list[dict[str, float | None]] = field(default_factory=list)
    probes: dict[str, dict[str, float]] = field(default_factory=dict)

    def fit(self, folder: Path) -> None:
        """Train to the end of the budget, or until something ends it."""
        training = self.settings.training
        place = Place(0, self.settings.machine.devices)
        self._before = self.checkpoints.newest()
        self._recall()
        stream = stream_of(self.settings, place, self.flops_per_token, self.step)
        self._steps = stream.steps()
        self._evaluations = evaluation_steps(training, self._steps)
        self._began = time.perf_counter() - self.seconds
        self._told = 0.0
        self._limit = seconds(self.settings.machine.time_limit) if self.settings.machine.time_limit else math.inf
        self._hash = stream.hash_before_start()
        learner = learner_of(self.settings, self.network, place, self.device)
        trainer = trainer_of(self.settings, place, self.device, self._steps - self.step, self, folder)
        self.evaluator = Evaluator(
            self.network, self.settings.decoding, self.device, trainer.precision_plugin.val_step_context
        )
        if self.step < self._steps and not self.done:
            with leading(self.job, place, self.device, self._before, folder):
                trainer.fit(learner, train_dataloaders=stream)

    def _recall(self) -> None:
        """Bring back what the checkpoint holds; the optimizer waits until Lightning has made it."""
        if self._before is not None:
            for name in GATHERED:
                setattr(self, name, self._before["gathered"][name])
            self.seconds = self._before["seconds"]
            self.network.load_state_dict(self._before["network"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        if self._before is not None:
            go_on(trainer, self._before)
            pl_module.put_back(self._before["losses"])
            self._before = None
        self._began = time.perf_counter() - self.seconds
        if self.step:
            self._tell(f"going on from step {self.step}")

    def _save(self, trainer: lightning.Trainer, learner: Learner) -> None:
        began = time.perf_counter()
        self.checkpoints.save(
            {
                "seconds": began - self._began,
                "gathered": {name: getattr(self, name) for name in GATHERED},
                "network": self.network.state_dict(),
                "optimizer": trainer.optimizers[0].state_dict(),
                "precision": trainer.precision_plugin.state_dict(),
                "losses": learner.pending(),
            }
        )
        self.evaluating += time.perf_counter() - began

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        if self.checkpoints.exist():  # a long run: what comes now may take long too
            self._save(trainer, pl_module)
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
        early = self.settings.training.early_stop is not None
        if self.step == 0 or self.step + 1 == self._steps or (early and self.step + 1 in self._evaluations):
            began = time.perf_counter()
            whole = self.settings.data.split("training").reading(self._newest.rows).to(self.device)
            looked = probes.attention(self.network, whole.batch, self.evaluator.precision)
            seen = {**probes.gradients(self.network), **looked}
            finite = {name: value for name, value in seen.items() if math.isfinite(value)}  # JSON has no others
            self.probes["last" if self.step else "first"] = finite
            self.evaluating += time.perf_counter() - began

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(batch, Micro) and isinstance(pl_module, Learner)
        self.tokens += batch.tokens
        self._hash.update(batch.rows.tobytes())
        if batch.micro + 1 < self.settings.training.accumulate:
            return
        self.step = batch.step + 1
        due = self.step in self._evaluations
        if due or self.step - self.last_look >= EVERY or self.step == 1:
            self.train_losses += pl_module.take_losses(self.last_look + 1)
            self.newest_loss = self.train_losses[-1]
            self.last_look = self.step
            self._tell()
        if due:
            self.done = self._evaluate()
            trainer.should_stop = self.done or trainer.should_stop
        status = self.asked()
        late = time.perf_counter() - self._began > self._limit
        if self.checkpoints.due(self.step) or status == "interrupted" or late:
            self._save(trainer, pl_module)
        if status:
            raise Stopped(status, f"stopped at step {self.step} of {self._steps}")
        if late:
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
        recent = self.train_losses
        self.points.append(
            {
                "step": self.step,
                "tokens": self.tokens,
                "seconds": began - self._began - self.evaluating,
                "train_loss": sum(recent) / len(recent) if recent else None,
                **{f"validation_{name}": score.value for name, score in scores.items()},
            }
        )
        self.train_losses = []
        self.order.append((self.step * training.accumulate, self._hash.hexdigest()[:16]))
        self.evaluating += time.perf_counter() - began
        self._tell(f"validation {training.monitor} {watched:.4g}" if watched is not None else "", evaluated=True)
        return training.early_stop is not None and self.without_better >= training.early_stop.patience

    def _keep(self, watched: float | None) -> None:
        """Keep the weights if they are to be tested: the first best, or the last."""
        training = self.settings.training
        direction = getattr(spec_class("metric", training.monitor), "direction", "min")
        value = -math.inf if watched is None else watched if direction == "max" else -watched
        better = value > self.best
        self.without_better = 0 if better else self.without_better + 1
        self.best = max(value, self.best)
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
                    "loss": self.newest_loss,
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
