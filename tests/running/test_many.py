"""The driver's own work on many runs: each is handed out once, and stored however it comes back."""

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from paribus.cli.live import Moving
from paribus.planning import Job, Plan, plan
from paribus.running import Backlog, Event, Finished, Moved, execute
from paribus.spec.load import load
from paribus.store.claims import Claims
from paribus.store.database import Attempt
from paribus.store.folder import Store, open_store
from paribus.store.record import Record, Score


class AtOnce:
    """An engine whose every job ends at once, some of them after they broke off twice."""

    def __init__(self, breaks: Callable[[Job], bool] = lambda job: False) -> None:
        self.waiting: deque[Job] = deque()
        self.begun = 0
        self._breaks = breaks

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        self.begun += 1
        self.add(jobs)
        while self.waiting:
            job = self.waiting.popleft()
            news = {"step": 1, "steps": 2, "loss": None, "speed": None, "note": "", "curves": None}
            yield Moved(job, 0, news)
            if self._breaks(job):
                yield Finished(job, "crashed", "out of memory", final=False)
                yield Finished(job, "crashed", "out of memory", final=False)
            yield Finished(job, "ok", "", Record(job.id, "ok", scores=[Score("test", "loss", 0.5)]))

    def add(self, jobs: Sequence[Job]) -> None:
        self.waiting.extend(jobs)

    def give_up(self, job: str) -> None:
        raise AssertionError

    def stop(self) -> None:
        raise AssertionError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def planned(write: Callable[..., Path]) -> Plan:
    return plan(load(write("arms: {one_head: {network.mixer.heads: 1}}\n"), ["seeds=200"]))


def drawn(moving: Moving) -> str:
    moving.console = Console(file=io.StringIO(), width=100, height=30)
    moving.console.print(moving._draw())
    assert isinstance(moving.console.file, io.StringIO)
    return moving.console.file.getvalue()


def test_seed_by_seed_what_takes_longest_comes_first_once_that_is_known(
    write: Callable[..., Path], store: Store
) -> None:
    arms = "arms: {one: {network.depth: 1}, three: {network.depth: 3}, four: {network.depth: 4}}\n"
    planned = plan(load(write(arms), ["seeds=3"]))
    runs = {run.id: run for run in planned.runs}
    depths = {"baseline": 2.0, "one": 1.0, "three": 3.0, "four": 4.0}
    began = []
    with Claims(store.database) as claims:
        backlog = Backlog(planned, planned.runs, claims, fresh=False)
        while backlog:
            for job in backlog.take(2)[0]:
                run = runs[job.id]
                began.append((run.seed, run.arm))
                backlog.learn(Finished(job, "ok", "", Record(job.id, "ok", seconds=depths[run.arm])))
    longest_first = ("four", "three", "baseline", "one")
    assert began[:4] == [(1, arm) for arm in ("baseline", "one", "three", "four")]
    assert began[4:] == [(seed, arm) for seed in (2, 3) for arm in longest_first]


def test_many_runs_are_stored_each_once_by_few_transactions(planned: Plan, store: Store) -> None:
    engine, shown = AtOnce(breaks=lambda job: job.seed % 50 == 0), Moving()
    shown.console = Console(file=io.StringIO(), force_terminal=True)
    wrote: list[int] = []
    add = store.database.add_attempts

    def counted(attempts: Sequence[Attempt]) -> None:
        wrote.append(len(attempts))
        add(attempts)

    store.database.add_attempts = counted  # type: ignore[method-assign]
    summary = execute(planned, store, engine, shown, workers=2)
    assert (summary.trained, summary.broken) == (400, {})
    assert set(store.database.statuses(run.id for run in planned.runs).values()) == {"ok"}
    tries = {run.id: [status for _, status, _ in store.database.attempts(run.id)] for run in planned.runs}
    assert sorted({tuple(found) for found in tries.values()}) == [("crashed", "crashed", "ok"), ("ok",)]
    assert engine.begun == 1  # it never ran dry
    assert len(wrote) < 60, wrote
    assert store.database.drivers() == {}
    assert "200 of 200" in drawn(shown)
    assert "400 of 400 runs" in drawn(shown)


def test_of_more_arms_than_fit_the_table_shows_those_that_are_trained(planned: Plan) -> None:
    arms = [replace(planned.arms[1], name=f"arm_{index}") for index in range(100)]
    runs = [replace(planned.runs[index], arm=arm.name, seed=1) for index, arm in enumerate(arms)]
    many, shown = replace(planned, arms=arms, runs=runs, seeds=[1], settings={a.name: {"": {}} for a in arms}), Moving()
    shown.console = Console(file=io.StringIO(), force_terminal=True)
    shown.begin(many, runs, 2)
    news = {"step": 1, "steps": 4, "loss": None, "speed": None, "note": "", "curves": None}
    shown.hear(Moved(many.job(runs[57]), 1, news))
    shown.end()
    text = drawn(shown)
    assert "arm_57" in text
    assert "25%" in text
    assert "arm_56" not in text


def test_an_attempt_that_broke_off_never_hides_a_result_of_the_same_transaction(store: Store) -> None:
    ok, crashed = Attempt("a", "ok", "", Record("a", "ok")), Attempt("a", "crashed", "odd")
    store.database.add_attempts([crashed, ok, crashed])
    assert store.database.statuses(["a"]) == {"a": "ok"}
    assert [status for _, status, _ in store.database.attempts("a")] == ["crashed", "ok", "crashed"]
    store.database.add_attempts([crashed])
    assert store.database.outcomes(["a"])["a"].record == Record("a", "ok")
