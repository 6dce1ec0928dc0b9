"""TensorBoard: one folder of event files for each run."""

from pathlib import Path
from typing import ClassVar

from paribus.parts.tracker import Story, Tracker, TrackerSpec


class Spec(TrackerSpec):
    library: ClassVar[str] = "tensorboard"
    extra: ClassVar[str] = "'paribus[tensorboard]'"

    def build(self, *, folder: Path) -> "Board":
        return Board(folder / "tensorboard")


class Board(Tracker):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, story: Story) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        folder = self._folder / story.experiment / story.name.replace("/", "-") / story.id
        with SummaryWriter(str(folder)) as writer:
            for row in story.history:
                for key, value in row.items():
                    if key != "step":
                        writer.add_scalar(key, value, int(row["step"]))
            for key, value in story.summary.items():
                if isinstance(value, int | float):
                    writer.add_scalar(f"summary/{key}", value, 0)
            writer.add_text("config", str(story.config))
