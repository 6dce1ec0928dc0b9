"""Plain files: one CSV of evaluations for each run, and one of all summaries."""

import csv
from pathlib import Path

from paribus.parts.tracker import Story, Tracker, TrackerSpec


class Spec(TrackerSpec):
    def build(self, *, folder: Path) -> "Files":
        return Files(folder / "csv")


class Files(Tracker):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, story: Story) -> None:
        folder = self._folder / story.experiment
        folder.mkdir(parents=True, exist_ok=True)
        columns = list(dict.fromkeys(key for row in story.history for key in row))
        with (folder / f"{story.id}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(story.history)
        lines = {"run": story.id, "name": story.name, "job_type": story.job_type, **story.summary}
        self._summarize(folder / "runs.csv", story.id, [[story.id, str(key), str(cell)] for key, cell in lines.items()])

    def _summarize(self, path: Path, run: str, rows: list[list[str]]) -> None:
        """A run that is sent again takes the place of what was there of it."""
        known: list[list[str]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                known = [row for row in csv.reader(file) if row and row[0] != run]
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([*known, *rows])
        partial.replace(path)
