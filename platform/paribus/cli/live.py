"""What is shown while runs are trained: a table that moves on a terminal, plain lines elsewhere."""

import json
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from paribus.cli.output import count, duration, err
from paribus.errors import plural
from paribus.planning import Plan, Run
from paribus.running import Event, Finished, Listener, Moved

SIGNS = {
    "ok": "[green]✓[/]",
    "diverged": "[magenta]✕[/]",
    "crashed": "[red]![/]",
    "timeout": "[red]⧖[/]",
    "interrupted": "[yellow]‖[/]",
    "pruned": "[dim]✂[/]",
}
MOST_SEEDS = 24  # columns of the table that moves
PLAIN_EVERY = 15.0  # seconds between lines about a run that goes on


class _Clock:
    """How long it will still take, from how long runs took so far and how far the present ones are."""

    def __init__(self, runs: int, workers: int) -> None:
        self.began = time.monotonic()
        self.runs = runs
        self.workers = workers
        self.done = 0
        self.parts: dict[str, float] = {}  # run -> share that is done

    def left(self) -> float | None:
        """Seconds; None while nothing is known."""
        progress = self.done + sum(self.parts.values())
        spent = time.monotonic() - self.began
        if progress < 0.05 or spent < 1:
            return None
        return (self.runs - progress) * spent / progress


class Shown:
    """What both ways of showing keep: the runs, who is at what, and the metric that decides."""

    def __init__(self) -> None:
        self.names: dict[str, Run] = {}
        self.deciding: dict[str, tuple[str, str]] = {}  # task -> metric and split

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        self.plan = plan
        self.names = {run.id: run for run in waiting}
        self.clock = _Clock(len(waiting), workers)
        self.deciding = {task.name: plan.deciding(task) for task in plan.tasks}
        self.several = len(plan.tasks) > 1

    def heard(self, event: Event) -> None:
        if isinstance(event, Moved):
            self.clock.parts[event.job.id] = event.news["step"] / max(1, event.news["steps"])
        else:
            self.clock.parts.pop(event.job.id, None)
            self.clock.done += event.final

    def name(self, run: str) -> str:
        found = self.names[run]
        task = f" {found.task}" if self.several else ""
        return f"{found.arm}{task} seed {found.seed}"

    def value(self, event: Finished) -> str:
        metric, split = self.deciding[self.names[event.job.id].task]
        scores = event.record.scores if event.record else []
        found = next((s.value for s in scores if s.split == split and s.metric == metric), None)
        return "" if found is None else f"{metric} {found:.4g}"


class Lines(Shown):
    """One line a finished run, and now and then one about those that go on."""

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        super().begin(plan, waiting, workers)
        self._told: dict[str, float] = {}
        _say(f"training {plural(len(waiting), 'run')} on {plural(workers, 'worker')}")

    def hear(self, event: Event) -> None:
        self.heard(event)
        if isinstance(event, Finished):
            took = duration(event.record.seconds) if event.record else ""
            reason = f"  {event.reason.splitlines()[-1]}" if event.reason else ""
            again = "" if event.final else "; it is tried again"
            _say(
                f"[{self.clock.done}/{self.clock.runs}] {event.status:<8} {self.name(event.job.id)}  "
                f"{self.value(event)}  {took}{reason}{again}  {self._left()}".rstrip()
            )
        elif time.monotonic() - self._told.setdefault(event.job.id, time.monotonic()) > PLAIN_EVERY:
            self._told[event.job.id] = time.monotonic()
            _say(f"        {self.name(event.job.id)}  {_news(event)}")

    def end(self) -> None:
        pass

    def _left(self) -> str:
        left = self.clock.left()
        return "" if left is None or self.clock.done == self.clock.runs else f"about {duration(left)} left"


class Moving(Shown):
    """Arms by seeds, and what each worker is at; of more arms than fit, those that are trained now."""

    console = err

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        super().begin(plan, waiting, workers)
        self._cells = {run.id: "[dim]·[/]" for run in waiting}
        self._rows: dict[tuple[str, str], dict[int, str]] = {}
        for run in plan.trained:
            self._rows.setdefault((run.arm, run.task), {})[run.seed] = run.id
        self._over = Counter((run.arm, run.task) for run in plan.trained if run.id not in self._cells)
        self._workers: dict[int, tuple[Run, str]] = {}
        self._lost: deque[str] = deque(maxlen=5)
        self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self._draw, transient=True)
        self._live.start()

    def hear(self, event: Event) -> None:
        self.heard(event)
        run = self.names[event.job.id]
        name = escape(self.name(run.id))
        if isinstance(event, Moved):
            share = event.news["step"] / max(1, event.news["steps"])
            self._cells[run.id] = f"[cyan]{share:4.0%}[/]"
            self._workers[event.worker] = (run, f"{name}  {escape(_news(event))}")
            return
        self._cells[run.id] = SIGNS[event.status] if event.final else "[red]↻[/]"
        self._over[run.arm, run.task] += event.final
        if event.reason:
            self._lost.append(f"{event.status} {name}: {escape(event.reason.splitlines()[-1])}")

    def end(self) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        left = self.clock.left()
        head = f"{self.clock.done} of {plural(self.clock.runs, 'run')}" + (
            "" if left is None else f", about {duration(left)} left"
        )
        workers = list(self._workers.items())  # another thread goes on hearing
        lines = [Text.from_markup(line) for _, (_, line) in sorted(workers, key=lambda pair: pair[0])]
        lost = [Text.from_markup(f"[red]{line}[/]") for line in list(self._lost)]
        return Group(self._table([run for _, (run, _) in workers]), *lines, *lost, Text(head))

    def _table(self, at_work: Sequence[Run]) -> Table:
        """A cell for each seed, or how many are done where there are too many."""
        shown = list(self._rows)
        if len(shown) > max(10, self.console.height - 12):
            trained = {(run.arm, run.task) for run in at_work}
            shown = [row for row in shown if row in trained][: max(10, self.console.height - 12)]
        seeds = self.plan.seeds if len(self.plan.seeds) <= MOST_SEEDS else []
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("arm")
        for name in [str(seed) for seed in seeds] or ["done"]:
            table.add_column(name, justify="center")
        for arm, task in shown:
            runs = self._rows[arm, task]
            # A run that is not waiting was trained before.
            cells = [self._cells.get(runs[seed], "[green dim]✓[/]") for seed in seeds]
            table.add_row(escape(f"{arm} {task}".strip()), *(cells or [f"{self._over[arm, task]} of {len(runs)}"]))
        return table


class Quiet(Shown):
    """Only what went wrong."""

    def hear(self, event: Event) -> None:
        self.heard(event)
        if isinstance(event, Finished) and event.status != "ok":
            _say(f"{event.status} {self.name(event.job.id)}: {event.reason.splitlines()[-1] if event.reason else ''}")

    def end(self) -> None:
        pass


class JsonLines(Shown):
    """Each event as one JSON object on stdout."""

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        super().begin(plan, waiting, workers)
        line({"event": "begin", "experiment": plan.folder, "runs": len(waiting), "workers": workers})

    def hear(self, event: Event) -> None:
        self.heard(event)
        run = self.names[event.job.id]
        who = {"run": run.id, "arm": run.arm, "task": run.task, "seed": run.seed}
        if isinstance(event, Moved):
            line(
                {"event": "progress", **who, **{name: value for name, value in event.news.items() if name != "curves"}}
            )
            return
        scores = [vars(score) for score in event.record.scores] if event.record else []
        ended = {"status": event.status, "reason": event.reason, "final": event.final, "scores": scores}
        line({"event": "run", **who, **ended})

    def end(self) -> None:
        pass


def line(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _news(event: Moved) -> str:
    news = event.news
    words = [f"step {news['step']}/{news['steps']}"]
    if news["loss"] is not None:
        words.append(f"loss {news['loss']:.3f}")
    if news["speed"]:
        words.append(f"{count(news['speed'])} tokens/s")
    if news["note"]:
        words.append(news["note"])
    return "  ".join(words)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def listener(quiet: bool, json_lines: bool = False) -> Listener:
    """The way of showing that was asked for, or fits where stderr goes."""
    if json_lines:
        return JsonLines()
    if quiet:
        return Quiet()
    return Moving() if err.is_terminal and not err.is_dumb_terminal else Lines()
