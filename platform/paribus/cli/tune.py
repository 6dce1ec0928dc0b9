"""`paribus tune`: only the tuning of an experiment, gone on with where it stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from paribus.cli import options
from paribus.cli.output import duration, err, note, plain, table
from paribus.errors import plural

if TYPE_CHECKING:
    from paribus.planning import Plan
    from paribus.running import Limits
    from paribus.running.tracking import Uploads
    from paribus.spec.load import Loaded
    from paribus.store.folder import Store
    from paribus.tuning import Tuned
    from paribus.tuning.driver import Watcher
    from paribus.tuning.study import Outcome, Search


def tune(
    file: Path,
    /,
    *,
    arm: Annotated[list[str] | None, Parameter(negative="")] = None,
    trials: str | None = None,
    enqueue: Annotated[list[str] | None, Parameter(negative="")] = None,
    set_: options.Sets = None,
    workers: options.Workers = None,
    on: options.On = "local",
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    gpus_per_run: options.GpusPerRun = None,
    max_hours: options.MaxHours = None,
    max_failures: options.MaxFailures = None,
    quiet: options.Quiet = False,
) -> int:
    """Search for the best settings of every arm; `paribus run` then compares them.

    Parameters
    ----------
    file
        The experiment.
    arm
        Search for this arm only, such as --arm baseline; may be given several times.
    trials
        More trials than the file says, for good: +10 adds ten to those there are, 40 makes forty in all.
    enqueue
        Settings to try next, such as "training.optimizer.lr=0.003 network.dropout=0.1"; may be given several times.
    """
    from paribus.processes import load_ahead

    if on == "local":
        load_ahead()
    from paribus import api
    from paribus.errors import ParibusError, suggestion
    from paribus.running import Limits
    from paribus.store.folder import open_store

    loaded, plan = api.prepared(file, sets=set_ or [])
    if loaded.experiment.tuning is None:
        raise ParibusError(f"{file} has no `tuning`; `paribus run {file}` trains it as it is")
    known = [row.name for row in plan.arms]
    for name in arm or []:
        if name not in known:
            raise ParibusError(f"--arm: no arm is called '{name}'{suggestion(name, known)}")
    opened = open_store(store, artifacts=artifacts)
    api.vet(loaded, plan, opened, note)
    copies = api.uploads(loaded, plan, opened, note)
    try:
        found = search(
            loaded,
            plan,
            opened,
            workers,
            quiet=quiet,
            copies=copies,
            arms=arm or [],
            trials=trials,
            enqueue=[_settings(text) for text in enqueue or []],
            gpus=gpus_per_run,
            limits=Limits(max_failures, max_hours),
            on=on,
        )
    finally:
        if copies is not None:
            copies.close()
    if found.summary.interrupted:
        note(f"{found.summary.stopped or 'interrupted'}; the same command goes on with what is missing")
        return 130
    if found.plan is not None:
        opened.database.save_plan(found.plan)
        plain(f"`paribus run {file}` trains the winners on the final seeds and compares them")
    return 1 if found.summary.broken else 0


def search(
    loaded: "Loaded",
    plan: "Plan",
    store: "Store",
    workers: int | None,
    *,
    quiet: bool,
    copies: "Uploads | None" = None,
    arms: Sequence[str] = (),
    trials: str | None = None,
    enqueue: Sequence[dict[str, Any]] = (),
    gpus: float | None = None,
    limits: "Limits | None" = None,
    on: str = "local",
) -> "Tuned":
    """Do all trials that are missing, and print the ledger."""
    from paribus import api
    from paribus.tuning import tune

    engine, count = api.engine(plan, store, workers, copies, gpus, on, note)
    watcher = watcher_for(quiet)
    found = tune(
        loaded, plan, store, engine, watcher, workers=count, arms=arms, trials=trials, enqueue=enqueue, limits=limits
    )
    show(found.taught, over=not found.summary.interrupted)
    return found


def show(taught: dict[str, Any], *, over: bool) -> None:
    """The ledger and, of a tuning that is over, what to know before believing it."""
    from paribus.report.tuning import ledger, warnings

    lines = ledger(taught)
    several = len({line.task for line in lines}) > 1
    rows = [
        (
            f"{line.arm} {line.task}".strip() if several else line.arm,
            len(line.dimensions),
            line.trials,
            line.pruned,
            line.failed,
            duration(line.seconds),
            "—" if line.best is None else f"{line.best:.4g}",
        )
        for line in lines
    ]
    metric = taught["searches"][0]["metric"]["name"] if taught["searches"] else ""
    heads = ["arm", "keys", "trials", "pruned", "failed", "device time", f"best {metric}"]
    table(f"Tuning by {taught['sampler']}, judged on {taught['split']}", heads, rows, right=heads[1:])
    for row, line in zip(rows, lines, strict=True):
        if line.best is not None:
            plain(f"best of {row[0]}: {line.told}")
    for warning in warnings(taught) if over else ():
        note(f"{warning.code}: {warning.evidence}")


def _settings(text: str) -> dict[str, Any]:
    """`a.b=1 c.d=e` as keys and values."""
    from paribus.errors import ParibusError
    from paribus.spec.source import parse

    found = {}
    for word in text.split():
        key, sign, value = word.partition("=")
        if not sign:
            raise ParibusError(f"--enqueue: got {word!r}, needs key=value, several of them with spaces between")
        found[key] = parse(f"value: {value}", f"--enqueue {text}").data.get("value")
    return found


class _Quiet:
    """Only what went wrong."""

    def begin(self, searches: "Sequence[Search]", workers: int) -> None:
        pass

    def waits(self, name: str) -> None:
        note(f"another driver is at the search {name}; waiting until it is done, or gone")

    def moved(self, search: "Search", number: int, news: dict[str, Any]) -> None:
        pass

    def end(self) -> None:
        pass

    def told(self, search: "Search", number: int, outcome: "Outcome") -> None:
        if outcome.state == "failed":
            note(f"failed: {search.arm.name} trial {number}: {outcome.reason}")


class _Lines(_Quiet):
    """One line a trial."""

    def begin(self, searches: "Sequence[Search]", workers: int) -> None:
        missing = sum(max(0, search.target - len(search.proposed)) + len(search.running) for search in searches)
        of = f"{plural(missing, 'trial')} of {plural(len(searches), 'search', 'searches')}"
        note(f"tuning: {of} on {plural(workers, 'worker')}")

    def told(self, search: "Search", number: int, outcome: "Outcome") -> None:
        place = f"{search.arm.name} {search.task}".strip()
        value = "" if outcome.values[0] is None else f"{search.objectives[0].name} {outcome.values[0]:.4g}"
        best = search.good()
        so_far = f"best {best[0].values[0]:.4g}" if best else ""
        words = [
            f"[{number + 1}/{search.target}] {outcome.state:<6} {place} trial {number}",
            value,
            so_far,
            outcome.reason,
        ]
        note("  ".join(word for word in words if word))


class _Moving(_Quiet):
    """A table of the searches, with the best so far."""

    def begin(self, searches: "Sequence[Search]", workers: int) -> None:
        from rich.live import Live

        self._searches = list(searches)
        self._news: dict[tuple[str, int], str] = {}
        self._live = Live(console=err, refresh_per_second=4, get_renderable=self._draw, transient=True)
        self._live.start()

    def moved(self, search: "Search", number: int, news: dict[str, Any]) -> None:
        self._news[search.name, number] = f"{number} at {news['step'] / max(1, news['steps']):.0%}"

    def told(self, search: "Search", number: int, outcome: "Outcome") -> None:
        self._news.pop((search.name, number), None)

    def end(self) -> None:
        self._live.stop()

    def _draw(self) -> Any:
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        from paribus.report.tuning import setting_words

        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for head in ("search", "trials", "pruned", "failed", "best so far", "with", "at work"):
            shown.add_column(head)
        for search in self._searches:
            states = [search.outcome(trial).get("state") for trial in search.trials]
            good = search.good()
            at_work = [text for (name, _), text in list(self._news.items()) if name == search.name]
            shown.add_row(
                escape(f"{search.arm.name} {search.task}".strip()),
                f"{len([state for state in states if state])}/{search.target}",
                str(states.count("pruned")),
                str(states.count("failed")),
                f"{search.objectives[0].name} {good[0].values[0]:.4g}" if good else "",
                escape(setting_words(good[0].params)) if good else "",
                escape(", ".join(at_work)),
            )
        return shown


def watcher_for(quiet: bool) -> "Watcher":
    """The way of showing that fits where stderr goes."""
    if quiet:
        return _Quiet()
    return _Moving() if err.is_terminal and not err.is_dumb_terminal else _Lines()
