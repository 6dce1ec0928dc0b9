"""Weights & Biases: our run ids are its ids, so what is sent again continues what is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from paribus.parts.tracker import Story, Tracker, TrackerSpec

PATIENCE = 20  # seconds that a server has to answer


class Spec(TrackerSpec):
    mode: Literal["offline", "online", "disabled"] = Field(
        "offline", description="offline writes to the store's folder; `paribus wandb push` sends it later"
    )
    project: str = Field("paribus", description="where runs go")
    entity: str | None = Field(None, description="whose project it is; null: of whoever is logged in")
    tags: list[str] = Field([], description="more tags for every run")

    library: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"

    @property
    def off(self) -> bool:
        return self.mode == "disabled"

    def build(self, *, folder: Path) -> "Wandb":
        return Wandb(self.mode, self.project, self.entity, self.tags, folder)


class Wandb(Tracker):
    def __init__(self, mode: str, project: str, entity: str | None, tags: Sequence[str], folder: Path) -> None:
        self._mode, self._project, self._entity = mode, project, entity
        self._tags = list(tags)
        self._folder = folder

    def run(self, story: Story) -> None:
        run = self._begin(story)
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        for row in story.history:
            run.log(row)
        run.summary.update(story.summary)
        run.finish()

    def report(self, experiment: str, table: Sequence[Mapping[str, Any]], page: Path) -> None:
        import wandb

        run = self._begin(Story(f"{experiment}-report", "report", experiment, "report"))
        columns: list[str | int] = list(dict.fromkeys(key for row in table for key in row))
        run.log(
            {"comparison": wandb.Table(columns=columns, data=[[row.get(str(key)) for key in columns] for row in table])}
        )
        artifact = wandb.Artifact(f"{experiment}-report".replace("@", "-").replace("=", "-"), type="report")
        artifact.add_file(str(page), name=page.name)
        run.log_artifact(artifact)
        run.finish()

    def _begin(self, story: Story) -> Any:
        import os

        import wandb

        os.environ.setdefault("WANDB_SILENT", "true")
        settings = wandb.Settings(
            silent=True,
            console="off",
            x_disable_stats=True,
            disable_git=True,
            save_code=False,
            init_timeout=PATIENCE,
        )
        if self._mode == "online" and not wandb.login(anonymous="never", relogin=False, timeout=0, verify=False):
            raise RuntimeError("nobody is logged in to W&B on this machine; `wandb login` does it")
        self._folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            mode="online" if self._mode == "online" else "offline",
            dir=str(self._folder),
            project=self._project,
            entity=self._entity,
            group=story.experiment,
            job_type=story.job_type,
            name=story.name,
            id=story.id,
            resume="allow" if self._mode == "online" else None,
            tags=[*self._tags, *story.tags],
            config=story.config,
            settings=settings,
        )
