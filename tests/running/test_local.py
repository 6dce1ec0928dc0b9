"""The pool: warm workers, a dead one is replaced, a stop is clean, nothing is trained twice."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from paribus.planning import Plan, Run, plan
from paribus.running import Event, Finished, Moved, Summary, execute, missing
from paribus.running.local import Pool
from paribus.running.worker import main
from paribus.spec.load import load
from paribus.store.folder import Store, open_store

Write = Callable[..., Path]

CRASHING = '''"""A score that kills its process, or raises, as often as a file says."""
import os, signal, time
from pathlib import Path
from paribus.parts import Part
from paribus.parts.score.dot import Dot

class Spec(Part):
    how: str = "kill"
    times: str = "times.txt"
    def build(self, *, head_dim):
        left = int(Path(self.times).read_text())
        if left:
            Path(self.times).write_text(str(left - 1))
            if self.how == "kill":
                print("last words")
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "hang":
                time.sleep(1000)
            raise RuntimeError("wrong by purpose")
        return Dot(head_dim)
'''


class Heard:
    """A listener that remembers, and may act on what it hears."""

    def __init__(self, act: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self._act = act

    def begin(self, plan: Plan, waiting: Sequence[Run], workers: int) -> None:
        self.waiting = list(waiting)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._act(event)

    def end(self) -> None:
        pass

    @property
    def finished(self) -> list[Finished]:
        return [event for event in self.events if isinstance(event, Finished)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def run(
    planned: Plan, store: Store, heard: Heard, *, workers: int = 2, retries: int = 2, fresh: bool = False
) -> Summary:
    pool = Pool(store.runs, workers=workers, threads=1, retries=retries)
    return execute(planned, store, pool, heard, workers=workers, fresh=fresh)


@pytest.mark.slow
def test_a_request_that_comes_right_behind_its_job_is_heard(write: Write, tmp_path: Path) -> None:
    planned = plan(load(write()))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=main, args=(there, str(tmp_path / "runs"), 1, list(sys.path)), daemon=True)
    worker.start()
    job = planned.job(planned.runs[0])
    here.send({"work": "train", "job": asdict(job)})
    here.send({"stop": job.id, "status": "pruned"})
    while (message := here.recv())["type"] != "done":
        pass
    here.send(None)
    worker.join(20)
    assert message["status"] == "pruned"


def children(parent: int | None = None) -> set[int]:
    """The workers that a process has, with those that were forked for it."""
    family: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                words = (entry / "cmdline").read_text()
            except OSError:
                continue
            family.setdefault(int(fields[1]), []).append((int(entry.name), words))
    own = family.get(parent or os.getpid(), [])
    forked = [child for server, words in own if "forkserver" in words for child in family.get(server, [])]
    return {process for process, words in own if "spawn_main" in words} | {process for process, _ in forked}


def test_runs_are_trained_once_stored_and_taken_from_the_store_after(write: Write, store: Store) -> None:
    planned = plan(load(write("arms: {one_head: {network.mixer.heads: 1}}\n")))
    first, again = Heard(), Heard()
    assert run(planned, store, first) == Summary(trained=4)
    assert run(planned, store, again) == Summary(reused=4)
    assert again.events == []
    assert sorted(folder.name for folder in store.runs.iterdir()) == sorted(run.id for run in planned.runs)
    assert {file.name for file in store.run_folder(planned.runs[0].id).iterdir()} == {
        "kept.json",
        "kept.npz",
        "log.txt",
        "record.json",
        "weights.safetensors",
    }
    assert any(isinstance(event, Moved) for event in first.events)
    assert children() == set()
    # A removed run is trained again, alone, and gives the same numbers.
    target = planned.runs[2].id
    before = store.database.outcomes([target])[target].record
    store.remove(target)
    assert [run.id for run in missing(planned, store)] == [target]
    assert run(planned, store, Heard()) == Summary(trained=1, reused=3)
    after = store.database.outcomes([target])[target].record
    assert before is not None
    assert after is not None
    assert (after.scores, after.order, after.initial) == (before.scores, before.order, before.initial)


@pytest.fixture
def crashing(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """A plan with an arm whose score dies as often as it is told to."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "crashing.py").write_text(CRASHING)
    monkeypatch.syspath_prepend(tmp_path)

    def planned(times: int, how: str, *sets: str) -> Plan:
        counter = tmp_path / "times.txt"
        counter.write_text("0")
        arm = f"{{kind: lab.crashing, how: {how}, times: {counter}}}"
        found = plan(load(write(f"arms: {{dying: {{network.mixer.score: {arm}}}}}\n"), ["seeds=1", *sets]))
        counter.write_text(str(times))
        return found

    return planned


def test_a_worker_that_is_killed_is_replaced_and_its_run_tried_again(
    crashing: Callable[..., Plan], store: Store
) -> None:
    planned, heard = crashing(1, "kill"), Heard()
    summary = run(planned, store, heard, workers=1)
    assert (summary.trained, summary.broken) == (2, {})
    died = next(event for event in heard.finished if event.status == "crashed")
    assert not died.final
    assert "last words" in died.reason
    assert "killed by SIGKILL" in died.reason
    dying = next(run.id for run in planned.runs if run.arm == "dying")
    assert [status for _, status, _ in store.database.attempts(dying)] == ["crashed", "ok"]


def test_a_run_that_keeps_dying_is_recorded_and_the_others_go_on(crashing: Callable[..., Plan], store: Store) -> None:
    planned = crashing(9, "kill")
    summary = run(planned, store, Heard(), workers=1, retries=1)
    assert summary.trained == 1
    assert list(summary.broken.values()) == ["crashed: the worker was killed by SIGKILL (out of memory?)"]


def test_an_error_in_a_users_part_is_told_with_its_traceback_and_not_tried_again(
    crashing: Callable[..., Plan], store: Store
) -> None:
    heard = Heard()
    summary = run(crashing(9, "raise"), store, heard, workers=1)
    assert summary.trained == 1
    assert list(summary.broken.values()) == ["crashed: RuntimeError: wrong by purpose"]
    assert any("Traceback" in event.reason and "crashing.py" in event.reason for event in heard.finished)
    assert sum(event.status == "crashed" for event in heard.finished) == 1


def test_a_diverged_run_is_a_result_and_is_not_trained_again(write: Write, store: Store) -> None:
    sets = [
        "seeds=1",
        "training.optimizer.lr=1e30",
        "training.clip_norm=null",
        "network.norm=none",
        "training.schedule=constant",
    ]
    planned = plan(load(write(), sets))
    summary = run(planned, store, Heard(), workers=1)
    assert summary.diverged == [planned.runs[0].id]
    assert missing(planned, store) == []


def test_ctrl_c_ends_cleanly_and_the_next_call_goes_on(write: Write, store: Store) -> None:
    planned = plan(load(write(), ["training.steps=100000", "training.evaluate.every=1000"]))

    interrupted: list[Event] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, Moved) and event.news["step"] > 20 and not interrupted:
            interrupted.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    heard = Heard(interrupt)
    began = time.monotonic()
    summary = run(planned, store, heard)
    assert summary.interrupted
    assert time.monotonic() - began < 60
    assert children() == set()
    assert list(store.leftovers()) == []
    assert len(missing(planned, store)) == 2
    assert {status for _, status, _ in store.database.attempts(planned.runs[0].id)} <= {"interrupted"}


def test_a_worker_that_hangs_is_ended_when_its_time_is_over(
    crashing: Callable[..., Plan], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paribus.running.local.GRACE", 1.0)
    planned = crashing(1, "hang", "machine.time_limit=1s")
    summary = run(planned, store, Heard(), workers=1)
    assert summary.trained == 1
    assert list(summary.broken.values()) == [
        "timeout: the time limit of 1 s was over and the worker gave no sign; it was ended"
    ]


def test_a_worker_is_replaced_after_its_share_of_jobs(write: Write, store: Store) -> None:
    planned = plan(load(write(), ["training.steps=1", "training.schedule=constant"]))
    pool = Pool(store.runs, workers=1, threads=1, retries=0, recycled=1)
    workers = set()

    def look(event: Event) -> None:
        workers.update(children())

    assert execute(planned, store, pool, Heard(look), workers=1).trained == 2
    assert len(workers) == 2
    assert children() == set()


def test_workers_end_when_their_driver_is_gone(write: Write, tmp_path: Path) -> None:
    file = write()
    code = (
        "if __name__ == '__main__':\n"
        "    import paribus, sys\n"
        f"    paribus.run({str(file)!r}, sets=['training.steps=100000'], workers=2, store='store')\n"
    )
    (tmp_path / "driver.py").write_text(code)
    driver = subprocess.Popen([sys.executable, "driver.py"], cwd=tmp_path)
    workers: set[int] = set()
    deadline = time.monotonic() + 60
    while len(workers) < 2 or not list((tmp_path / "store" / "runs").glob("*.partial*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
        workers = children(driver.pid)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{worker}").exists() and _alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its driver"
        time.sleep(0.1)


def _alive(process: int) -> bool:
    try:
        return (Path(f"/proc/{process}") / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_pool_takes_more_jobs_while_it_runs_and_gives_up_the_one_it_is_asked_to(write: Write, store: Store) -> None:
    long = ["training.steps=100000", "training.evaluate.every=10"]
    endless, short = plan(load(write(), long)), plan(load(write()))
    jobs = [endless.job(endless.runs[0]), short.job(short.runs[0])]
    pool = Pool(store.runs, workers=1, threads=1, retries=0)
    ended: dict[str, str] = {}
    seen: list[float | None] = []
    for event in pool.run(jobs[:1], "train"):
        if isinstance(event, Finished):
            ended[event.job.id] = event.status
            if event.job == jobs[0]:
                assert event.record is not None
                assert event.record.steps < 100_000
                assert event.record.curves["validation_loss"][: len(seen)] == seen
        elif event.news["curves"] and event.job == jobs[0] and not seen:
            seen = event.news["curves"]["validation_loss"]
            pool.add([endless.job(endless.runs[1]), *jobs[1:]])
            pool.give_up(endless.runs[1].id)
            pool.give_up(jobs[0].id)
    assert ended == {jobs[0].id: "pruned", endless.runs[1].id: "pruned", jobs[1].id: "ok"}
    assert seen
    assert children() == set()


def resident(process: int) -> int:
    """Bytes that a process holds for itself; what is mapped from files comes and goes as the system needs room."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(next(row for row in status.splitlines() if row.startswith("RssAnon")).split()[1])


@pytest.mark.slow
def test_without_recycling_memory_grows_by_less_than_50_mb_over_100_small_runs(write: Write, store: Store) -> None:
    planned = plan(load(write(), ["seeds=110", "training.steps=4"]))
    sizes: list[tuple[int, int]] = []  # of the worker and of this process, after each run

    def look(event: Event) -> None:
        if isinstance(event, Finished):
            [worker] = children()
            sizes.append((resident(worker), resident(os.getpid())))

    pool = Pool(store.runs, workers=1, threads=1, retries=0, recycled=None)
    assert execute(planned, store, pool, Heard(look), workers=1).trained == 110
    # The first ten fill caches; what grows after them would grow for ever.
    for held in zip(*sizes[10:], strict=True):
        assert max(held) - held[0] < 50 * 10**6, [round(size / 10**6) for size in held[::10]]
    assert children() == set()


def test_ctrl_c_does_not_reach_the_first_process_before_it_can_ignore_it() -> None:
    words = """
import multiprocessing, signal
from paribus.processes import uninterrupted
process = multiprocessing.get_context("spawn").Process(target=signal.raise_signal, args=(signal.SIGINT,))
with uninterrupted():
    process.start()
process.join()
print("ended with", process.exitcode)
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ended with 0\n", "")
