"""One run as somebody would write it by hand with Lightning: lean, without a store, a checkpoint or anything kept.

    python benchmarks/by_hand.py JOB.json

It shares the network, the batches and the evaluation with paribus, and looks at validation and test as often. It prints
the scores on the test splits.
"""

import json
import logging
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from paribus.network import build
from paribus.parts.optimizer import OptimizerSpec
from paribus.parts.schedule import ScheduleSpec
from paribus.planning import Job
from paribus.training.evaluation import Evaluator
from paribus.training.fit import evaluation_steps
from paribus.training.module import Micro, Stream, loss_of
from paribus.training.settings import Settings


class Model(lightning.LightningModule):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.network = build(settings.network, settings.data.sizes(), settings.seed)
        self.evaluator = Evaluator(self.network, settings.decoding, torch.device("cpu"), nullcontext)
        self.looks = evaluation_steps(settings.training, int(settings.training.budget))
        self.best, self.weights = float("inf"), dict[str, Tensor]()

    def transfer_batch_to_device(self, batch: Micro, device: torch.device, dataloader_idx: int) -> Micro:
        return batch

    def training_step(self, batch: Micro, batch_idx: int) -> Tensor:
        return loss_of(self.network, batch.reading, 0.0) / batch.asked

    def on_train_batch_end(self, outputs: Any, batch: Micro, batch_idx: int) -> None:
        if batch.step + 1 in self.looks:
            split = self.settings.data.split("validation")
            rows = np.arange(min(self.settings.training.evaluate.examples, len(split)))
            scores = self.evaluator.scores("validation", split, ["loss", "token_accuracy"], rows)
            loss = scores[0].value
            if loss is not None and loss < self.best:
                self.best = loss
                self.weights = {name: value.clone() for name, value in self.network.state_dict().items()}

    def configure_optimizers(self) -> Any:
        training = self.settings.training
        spec, schedule = training.optimizer, training.schedule
        assert isinstance(spec, OptimizerSpec) and isinstance(schedule, ScheduleSpec)
        optimizer = spec.build(self.network, fused=True)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: schedule.factor(at, at + 1, training.budget))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def test(self) -> dict[str, float | None]:
        self.network.load_state_dict(self.weights)
        names = [name for name in self.settings.task.splits if name != "training"]
        found = [
            self.evaluator.scores(name, self.settings.data.split(name), self.settings.task.metrics) for name in names
        ]
        return {f"{score.split} {score.metric}": score.value for scores in found for score in scores}


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    settings = Settings.of(Job(**json.loads(Path(sys.argv[1]).read_text())))
    model = Model(settings)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=int(settings.training.budget),
        max_epochs=-1,
        gradient_clip_val=settings.training.clip_norm,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, Stream(settings.data.split("training"), settings.training, settings.seed, 0.0))
    print(json.dumps(model.test()))


if __name__ == "__main__":
    main()
