"""Copies of results for a tracker, sent by a process of its own: no run waits for it or hears of its trouble."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from paribus.planning import Job
from paribus.processes import started
from paribus.running import Engine, Event, Finished
from paribus.running.worker import ignore_signals
from paribus.store.record import RESULTS, Record
from paribus.store.unfinished import unfinished

PATIENCE = 30.0  # seconds that a driver waits for a tracker in all


class Uploads:
    """What a driver hands to a tracker; after the first failure it says so once, and is off."""

    def __init__(self, tracker: Mapping[str, Any], folder: Path, say: Callable[[str], None], experiment: str) -> None:
        self._tracker = dict(tracker)
        self._folder = folder
        self._say = say
        self.experiment = experiment
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._pending = 0
        self._heard = 0.0
        self.sent: list[str] = []
        self.lost = ""

    def run(self, story: Mapping[str, Any]) -> None:
        """One run that is over."""
        self._send({"run": dict(story)})

    def report(self, table: Sequence[Mapping[str, Any]], page: Path) -> None:
        """The comparison of all."""
        rows = [{key: _finite(cell) for key, cell in row.items()} for row in table]
        self._send({"report": [self.experiment, rows, str(page)]})

    def _send(self, message: dict[str, Any]) -> None:
        self._listen()
        if self.lost:
            return
        if self._connection is None:
            self._start()
        assert self._connection is not None
        try:
            self._connection.send(message)
        except OSError:
            self._lose("its process ended")
            return
        self._pending += 1

    def _start(self) -> None:
        self._connection, there = multiprocessing.Pipe()
        arguments = (there, self._tracker, str(self._folder))
        self._process = started(main, arguments, "paribus-tracker", fork=False)
        there.close()
        self._heard = time.monotonic()

    def _listen(self, seconds: float = 0.0) -> None:
        """Take in what the process has said."""
        while self._connection is not None and not self.lost and self._connection.poll(seconds):
            try:
                answer = self._connection.recv()
            except (EOFError, OSError):
                self._lose("its process ended")
                return
            self._pending -= 1
            self._heard = time.monotonic()
            if answer["lost"]:
                self._lose(answer["lost"])
            elif answer["run"]:
                self.sent.append(answer["run"])
            seconds = 0.0

    def _lose(self, reason: str) -> None:
        self.lost = reason
        again = f"; `paribus wandb push {self.experiment}` sends it later" if self._tracker["kind"] == "wandb" else ""
        self._say(f"tracking by {self._tracker['kind']} was lost ({reason}); the runs go on, the store has all{again}")

    def close(self) -> None:
        """Wait for what is under way, but not for long."""
        if self._connection is None or self._process is None:
            return
        while self._pending and not self.lost:
            left = self._heard + PATIENCE - time.monotonic()
            if left <= 0:
                self._lose(f"no answer within {PATIENCE:.0f} s")
                break
            self._listen(min(left, 1.0))
        if not self.lost:
            self._connection.send(None)
            self._process.join(5)
        if self._tracker["kind"] == "wandb" and self._tracker["mode"] == "online":
            Sent(self._folder).add(self.sent)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._connection.close()
        self._connection = None


def _finite(cell: Any) -> Any:
    return None if isinstance(cell, float) and not isfinite(cell) else cell


def main(connection: Connection, tracker: dict[str, Any], folder: str) -> None:
    """What the tracker's process does: one thing after the other, until the first failure."""
    import os

    ignore_signals()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    from paribus.parts import Swappable
    from paribus.parts.tracker import Story

    built = None
    while (message := connection.recv()) is not None:
        try:
            built = built or Swappable("tracker").validate(tracker).build(folder=Path(folder))
            if "run" in message:
                built.run(Story(**message["run"]))
            else:
                experiment, table, page = message["report"]
                built.report(experiment, table, Path(page))
        except BaseException as error:  # whatever a tracker raises, SystemExit too
            text = str(error).strip().splitlines()
            connection.send({"lost": f"{type(error).__name__}: {text[0] if text else 'no reason given'}", "run": ""})
            return
        connection.send({"lost": "", "run": message["run"]["id"] if "run" in message else ""})


class Sent:
    """Which runs have reached a server, remembered beside the store."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wandb" / "sent.json"
        self.runs: set[str] = set(json.loads(self._file.read_text())) if self._file.is_file() else set()

    def add(self, runs: Sequence[str]) -> None:
        if not set(runs) - self.runs:
            return
        self.runs |= set(runs)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = unfinished(self._file)
        partial.write_text(json.dumps(sorted(self.runs)))
        partial.replace(self._file)


class Tracked:
    """An engine whose results are handed to a tracker as well."""

    def __init__(self, engine: Engine, uploads: Uploads, name: Callable[[str], tuple[str, str]]) -> None:
        self._engine = engine
        self._uploads = uploads
        self._name = name  # run -> (name, job type)
        self._experiment = uploads.experiment

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        for event in self._engine.run(jobs, work):
            if isinstance(event, Finished) and event.final and event.record is not None and event.status in RESULTS:
                name, kind = self._name(event.job.id)
                self._uploads.run(story(event.job, event.record, name, kind, self._experiment))
            yield event

    def add(self, jobs: Sequence[Job]) -> None:
        self._engine.add(jobs)

    def give_up(self, job: str) -> None:
        self._engine.give_up(job)

    def stop(self) -> None:
        self._engine.stop()


def story(job: Job, record: Record, name: str, kind: str, experiment: str) -> dict[str, Any]:
    """A run as trackers show it."""
    config = {**job.settings, "seed": job.seed, "environment": record.environment}
    scores = {f"{score.split}/{score.metric}": score.value for score in record.scores if score.value is not None}
    facts = asdict(record)
    kept = ("status", "steps", "tokens", "seconds", "chosen_step")
    costs = {f"cost/{key}": value for key, value in record.cost.items()}
    return {
        "id": job.id,
        "name": name,
        "experiment": experiment,
        "job_type": kind,
        "config": config,
        "history": history(record),
        "summary": {**scores, **costs, **{key: facts[key] for key in kept if facts[key] is not None}},
        "tags": [name.split("/")[0], f"seed {job.seed}"],
    }


def history(record: Record) -> list[dict[str, float]]:
    """The curves as rows, under the names that trackers group by: `validation/loss`."""
    names = {name: name.replace("validation_", "validation/").replace("train_", "training/") for name in record.curves}
    count = len(record.curves.get("step", []))
    rows = []
    for index in range(count):
        values = {names[name]: column[index] for name, column in record.curves.items()}
        rows.append({name: value for name, value in values.items() if value is not None})
    return rows
