"""How long runs will take: by runs of the same settings, else by a few steps, else by FLOPs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paribus.api import Silent, prepared, prober
from paribus.planning import Plan, plan
from paribus.running import Summary, execute
from paribus.running.forecast import Likely, forecast, need, places, stored
from paribus.running.local import Pool
from paribus.spec.load import load
from paribus.store.folder import Store, open_store
from paribus.store.record import Record

Write = Callable[..., Path]
COSTS = {
    ("baseline", ""): {"flops_per_token": 100.0, "parameters": 1000},
    ("small", ""): {"flops_per_token": 50.0, "parameters": 500},
}


@pytest.fixture
def planned(write: Write) -> Plan:
    return plan(load(write("arms: {small: {network.mixer.heads: 1}}\n"), ["seeds=3"]))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def known(planned: Plan, store: Store) -> dict[tuple[str, str], Likely]:
    return stored(planned, store, store.database.statuses(run.id for run in planned.runs))


def test_runs_of_the_same_settings_say_how_long_the_others_take(planned: Plan, store: Store) -> None:
    base = [run for run in planned.runs if run.arm == "baseline"]
    times = {"started_at": "2026-01-01T10:00:00+00:00", "finished_at": "2026-01-01T10:01:00+00:00"}
    store.database.add(Record(base[0].id, "ok", seconds=50.0, peak_memory=7_000, cost={"parameters": 1000}, **times))
    store.database.add(Record(base[1].id, "diverged", seconds=1.0))
    found = known(planned, store)
    # The whole of a run counts, its test included; weights of four bytes beside some more.
    assert found == {("baseline", ""): Likely(60.0, 7_000, 54_000, "stored")}
    likely = forecast(planned, planned.runs, found, COSTS, None, lambda text: None)
    assert likely["small", ""] == Likely(30.0, 7_000, 52_000, "scaled")
    needed = need([base[2], *(run for run in planned.runs if run.arm == "small")], likely, COSTS, at_once=2)
    assert needed is not None
    assert (needed.seconds, needed.disk, needed.memory) == (60.0 + 3 * 30.0, 54_000 + 3 * 52_000, 14_000)
    assert needed.known == ("stored", "scaled")


def test_of_nothing_known_nothing_is_said(planned: Plan, store: Store) -> None:
    likely = forecast(planned, planned.runs, known(planned, store), COSTS, None, lambda text: None)
    assert likely == {}
    assert need(planned.runs, likely, COSTS, at_once=2) is None


def test_floors_are_not_timed(write: Write) -> None:
    planned = plan(load(write("floors: [majority]\n")))
    assert places(planned, planned.runs) == [("baseline", "")]


@pytest.mark.slow
def test_arms_that_cost_the_same_are_probed_once(write: Write, tmp_path: Path) -> None:
    text = "arms: {faster: {training.optimizer.lr: 0.1}, small: {network.mixer.heads: 1}}\n"
    _, planned = prepared(write(text))
    costs: Any = {(arm.name, ""): {"flops_per_token": 100.0, "parameters": 1000} for arm in planned.arms}
    told: list[str] = []
    likely = forecast(planned, planned.runs, {}, costs, prober(planned, tmp_path / "probe"), told.append)
    assert {one.known for one in likely.values()} == {"probed"}
    assert likely["baseline", ""] == likely["faster", ""]
    assert likely["baseline", ""] != likely["small", ""]
    assert all(0 < one.seconds < 600 and (one.memory or 0) > 10**7 for one in likely.values())
    assert told[0] == "timing a few steps; --no-probe leaves that out"


@pytest.mark.slow
def test_the_command_says_what_is_needed_and_leaves_nothing_behind(write: Write, tmp_path: Path) -> None:
    file = write("arms: {small: {network.mixer.heads: 1}}\n")
    before = set(tmp_path.rglob("*"))
    words = [sys.executable, "-m", "paribus", "plan", str(file), "--workers", "2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "with 2 at once" in done.stdout
    assert "judged by a few steps of each arm" in done.stdout
    assert "small: about " in done.stderr
    tree = json.loads(subprocess.run([*words, "--json"], cwd=tmp_path, capture_output=True, check=True).stdout)
    assert tree["need"]["known"] == ["probed"]
    assert tree["need"]["hours"] == pytest.approx(tree["seconds"] / 2 / 3600)
    for arm in tree["arms"]:
        assert set(arm["run"][""]) == {"seconds", "memory", "disk", "known"}
    assert set(tmp_path.rglob("*")) == before
    quick = subprocess.run([*words, "--no-probe"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert quick.stderr == ""
    assert "at once" not in quick.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sets"),
    [("copy-smoke", ["seeds=1"]), ("positions", ["seeds=1", "training.steps=100", "training.evaluate.every=0.5"])],
)
def test_disk_and_memory_are_forecast_within_a_factor_of_two(name: str, sets: list[str], tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / "experiments" / f"{name}.yaml"
    _, planned = prepared(file, sets=sets, arms=["no_position"])
    costs: Any = {place: {"flops_per_token": 100.0, "parameters": 1000} for place in places(planned, planned.runs)}
    likely = forecast(planned, planned.runs, {}, costs, prober(planned, tmp_path / "probe"), lambda text: None)
    store = open_store(str(tmp_path / "store"))
    pool = Pool(store.runs, workers=1, threads=1, retries=0)
    assert execute(planned, store, pool, Silent(), workers=1) == Summary(trained=2)
    seen = stored(planned, store, store.database.statuses(run.id for run in planned.runs))
    for place, before in likely.items():
        after = seen[place]
        assert before.memory is not None
        assert after.memory is not None
        assert 0.5 < before.disk / after.disk < 2, place
        assert 0.5 < before.memory / after.memory < 2, place
