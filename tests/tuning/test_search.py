"""Searches propose what a plain Optuna script proposes, and go on after a kill as if nothing had happened.

The engine here trains nothing: what a run is worth is a formula of its settings, so that the best settings are known.
"""

import gc
import math
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy

from paribus.errors import StoreError
from paribus.planning import Job, plan
from paribus.report.findings import Findings, find
from paribus.report.html import page
from paribus.report.numbers import listed
from paribus.report.tuning import warnings
from paribus.running import Event, Finished, Limits, Moved, Summary
from paribus.spec.load import Loaded, load
from paribus.store.claims import Claims
from paribus.store.folder import Store, open_store
from paribus.store.record import Record, Score
from paribus.tuning import Tuned, Unwatched, claim_of, places, searches, tune
from paribus.tuning.merging import merge
from paribus.tuning.samplers import seed_of
from paribus.tuning.storage import open_storage
from paribus.tuning.study import Outcome, Search

BEST_RATE = 3e-3
EVALUATIONS = 10


def worth(settings: dict[str, Any]) -> float:
    """A loss that is least (0) at a rate of 3e-3, no dropout and two heads."""
    rate = settings["training"]["optimizer"]["lr"]
    network = settings["network"]
    mixer = network["encoder"]["layers"][0]["mixer"]
    heads = mixer.get("heads", 2)
    return math.log10(rate / BEST_RATE) ** 2 + network["encoder"]["dropout"] + 0.1 * abs(math.log2(heads) - 1)


def record_of(job: Job, loss: float, status: str = "ok", steps: int = 6) -> Record:
    scores = [Score("validation", "loss", loss, ""), Score("test", "loss", loss + 0.01, "")]
    scores += [Score(split, "exact_match", math.exp(-loss), "") for split in ("validation", "test")]
    shares = range(1, EVALUATIONS + 1)
    return Record(
        run=job.id,
        status=status,
        reason="" if status == "ok" else "no number any more",
        fail_step=None,
        started_at="",
        finished_at="",
        seconds=1.0,
        step_seconds=1.0,
        steps=steps,
        tokens=100,
        chosen_step=6,
        peak_memory=None,
        cost={"parameters": 1000.0, "flops_per_token": 10.0},
        scores=scores if status == "ok" else [],
        curves={
            "step": [float(share) for share in shares],
            "validation_loss": [loss + (EVALUATIONS - share) / 10 for share in shares],
        },
        order=[],
        initial={},
        environment={},
    )


@dataclass
class Formula:
    """Does jobs in order, `workers` at once in turns; may fail or break off where it is told to."""

    workers: int = 1
    fails: Callable[[Job], bool] = lambda job: False
    dies_after: int | None = None
    done: list[Job] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._given_up: set[str] = set()
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def add(self, jobs: Sequence[Job]) -> None:
        self._waiting.extend(jobs)

    def give_up(self, job: str) -> None:
        self._given_up.add(job)

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        self._waiting = deque(jobs)
        busy: dict[str, tuple[Job, int]] = {}
        while (self._waiting or busy) and not self._stopped.is_set():
            while self._waiting and len(busy) < self.workers:
                job = self._waiting.popleft()
                busy[job.id] = (job, 0)
            # The newest goes first, so that trials end in another order than they began in.
            job, step = busy[list(busy)[-1]]
            if self.dies_after is not None and len(self.done) >= self.dies_after and step:
                raise Died
            whole = record_of(job, worth(job.settings))
            if self.fails(job):
                busy.pop(job.id)
                self.done.append(job)
                yield Finished(job, "diverged", "no number any more", record_of(job, 0.0, "diverged"))
            elif job.id in self._given_up:
                busy.pop(job.id)
                self.done.append(job)
                yield Finished(job, "pruned", "given up", record_of(job, 0.0, "pruned", steps=step))
            elif step == EVALUATIONS:
                busy.pop(job.id)
                self.done.append(job)
                yield Finished(job, "ok", "", whole)
            else:
                self.steps += 1
                busy[job.id] = (job, step + 1)
                curves = {name: values[: step + 1] for name, values in whole.curves.items()}
                yield Moved(job, 0, {"step": step, "steps": 6, "curves": curves, "loss": None, "note": ""})


class Died(Exception):
    """Stands for a driver that is killed: nothing after it is written."""


@dataclass
class Lab:
    """A file and a store to tune in."""

    loaded: Loaded
    store: Store

    def tune(self, engine: Formula | None = None, **options: Any) -> Tuned:
        chosen = engine or Formula()
        fixed = plan(self.loaded)
        return tune(self.loaded, fixed, self.store, chosen, Unwatched(), workers=chosen.workers, **options)

    def searches(self) -> list[Search]:
        return searches(self.loaded, [arm.name for arm in self.loaded.arms], open_storage(self.store))


def trials(tuned: Tuned) -> dict[str, list[tuple[Any, ...]]]:
    """What every trial of every search was and came to."""
    return {
        search["name"]: [(t["number"], t["state"], t["settings"], t["values"], t["runs"]) for t in search["trials"]]
        for search in tuned.taught["searches"]
    }


@pytest.fixture
def lab(write: Any, tmp_path: Path) -> Callable[..., Lab]:
    def made(more: str, *, store: str = "store") -> Lab:
        return Lab(load(write(more)), open_store(str(tmp_path / store)))

    return made


MakeLab = Callable[..., Lab]
SPACE = "space: {training.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}, network.dropout: {low: 0.0, high: 0.5}}"
ARMS = "arms: {one_head: {network.mixer.heads: 1}}\nanalysis: {metric: loss}\n"
SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes")


def plain(name: str, seed: int, count: int, heads: int) -> list[dict[str, float]]:
    """What a script that asks and tells makes of the same search."""
    made = {
        "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
        "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
        "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
        "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True),
    }[name]
    study = optuna.create_study(direction="minimize")
    study.sampler = made(seed)
    for number in range(count):
        if name != "qmc":
            study.sampler = made(seed + number)
        trial = study.ask()
        dropout = trial.suggest_float("network.dropout", 0.0, 0.5)
        rate = trial.suggest_float("training.optimizer.lr", 1e-4, 1e-1, log=True)
        study.tell(trial, math.log10(rate / BEST_RATE) ** 2 + dropout + 0.1 * abs(math.log2(heads) - 1))
    return [trial.params for trial in study.trials]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:.*independent.*")
def test_trials_equal_those_of_a_plain_script_and_approach_the_optimum(name: str, lab: MakeLab) -> None:
    made = lab(f"{ARMS}tuning: {{trials: 25, sampler: {name}, {SPACE}}}\n")
    tuned = made.tune()
    for search, heads in zip(tuned.taught["searches"], (2, 1), strict=True):
        tuning = made.loaded.experiment.tuning
        assert tuning is not None
        expected = plain(name, seed_of(tuning, search["arm"], ""), 25, heads)
        assert [trial["settings"] for trial in search["trials"]] == expected
        best = min(trial["values"][0] for trial in search["trials"])
        sys.stdout.write(f"{name} {search['arm']}: best {best:.4f}, optimum {0.1 * (heads == 1):.4f}\n")
        assert best < (0.35 if name in ("random", "qmc") else 0.2) + 0.1 * (heads == 1)


def test_every_arm_has_the_same_trials_and_the_winner_goes_to_the_final_seeds(lab: MakeLab) -> None:
    made = lab(f"{ARMS}tuning: {{trials: 12, {SPACE}}}\n")
    tuned = made.tune()
    assert [len(search["trials"]) for search in tuned.taught["searches"]] == [12, 12]
    assert tuned.plan is not None
    assert tuned.plan.seeds == [1, 2]
    for search in tuned.taught["searches"]:
        best = min(search["trials"], key=lambda trial: trial["values"][0])
        assert search["winner"] == best["number"]
        rate = tuned.plan.settings[search["arm"]][""]["training"]["optimizer"]["lr"]
        assert rate == best["settings"]["training.optimizer.lr"]
    assert {run["seed"] for run in tuned.taught.get("fixed", [])} == set()
    assert {run["seed"] for run in (tuned.plan.tuning or {})["fixed"]} == {1, 2}


def test_a_grid_is_run_to_its_end_each_point_once(lab: MakeLab) -> None:
    space = "space: {training.optimizer.lr: {choices: [1e-3, 3e-3, 1e-2]}, network.depth: {low: 1, high: 2}}"
    tuned = lab(f"analysis: {{metric: loss}}\ntuning: {{sampler: grid, {space}}}\n").tune()
    points = [tuple(trial["settings"].values()) for trial in tuned.taught["searches"][0]["trials"]]
    assert sorted(points) == [(d, r) for d in (1, 2) for r in ("0.001", "0.003", "0.01")]


def killed_and_resumed(lab: MakeLab, more: str, moments: tuple[int, ...], workers: int) -> Tuned:
    made = lab(more, store=f"killed-{workers}")
    done = 0
    for moment in moments:
        with pytest.raises(Died):
            made.tune(Formula(workers=workers, dies_after=moment - done))
        made = lab(more, store=f"killed-{workers}")
        done = moment
    return made.tune(Formula(workers=workers))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pruner"), [("tpe", "none"), ("tpe", "hyperband"), ("cmaes", "none"), ("qmc", "median"), ("gp", "median")]
)
def test_a_search_that_was_killed_goes_on_as_if_nothing_had_happened(name: str, pruner: str, lab: MakeLab) -> None:
    more = f"{ARMS}tuning: {{trials: 14, sampler: {name}, pruner: {pruner}, {SPACE}}}\n"
    straight = lab(more, store="straight").tune()
    resumed = killed_and_resumed(lab, more, (3, 11, 20), workers=1)
    assert trials(resumed) == trials(straight)
    assert resumed.plan == straight.plan


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_with_a_fixed_order_any_number_of_workers_gives_the_same(pruner: str, lab: MakeLab) -> None:
    more = f"{ARMS}tuning: {{trials: 14, order: fixed, pruner: {pruner}, {SPACE}}}\n"
    straight = lab(more, store="straight").tune()
    two = lab(more, store="two").tune(Formula(workers=2))
    three = lab(more, store="three").tune(Formula(workers=3))
    resumed = killed_and_resumed(lab, more, (5, 12, 20), workers=2)
    assert trials(two) == trials(straight)
    assert trials(three) == trials(straight)
    assert trials(resumed) == trials(straight)
    assert resumed.plan == straight.plan


def test_failed_trials_are_told_as_worse_than_all_and_shown(lab: MakeLab) -> None:
    made = lab(f"analysis: {{metric: loss}}\ntuning: {{trials: 20, sampler: random, {SPACE}}}\n")
    tuned = made.tune(Formula(fails=lambda job: job.settings["training"]["optimizer"]["lr"] > 2e-2))
    found = tuned.taught["searches"][0]["trials"]
    failed = [trial for trial in found if trial["state"] == "failed"]
    assert failed
    assert all(trial["reason"] == "diverged: no number any more" for trial in failed)
    assert all(trial["settings"]["training.optimizer.lr"] > 2e-2 for trial in failed)
    study = made.searches()[0]
    told = {trial.number: trial.values for trial in study.trials}
    good = [trial["values"][0] for trial in found if trial["state"] == "ok"]
    late = [trial for trial in failed if trial["number"] > 10]
    assert all(told[trial["number"]][0] > max(good) for trial in late)


def test_a_bounded_metric_gives_failures_its_worst_value(lab: MakeLab) -> None:
    made = lab(f"tuning: {{trials: 6, sampler: random, {SPACE}}}\n")
    made.tune(Formula(fails=lambda job: True))
    study = made.searches()[0]
    assert study.objectives[0].name == "exact_match"
    assert [trial.values for trial in study.trials] == [[0.0]] * 6
    assert study.good() == []


def test_enqueued_settings_come_first_and_more_trials_can_be_added(lab: MakeLab) -> None:
    more = f"analysis: {{metric: loss}}\ntuning: {{trials: 4, {SPACE}}}\n"
    straight = lab(more.replace("trials: 4", "trials: 7"), store="straight").tune()
    made = lab(more)
    made.tune()
    extended = lab(more).tune(trials="+3")
    assert trials(extended) == trials(straight)
    enqueued = lab(more, store="enqueued").tune(enqueue=[{"training.optimizer.lr": 0.003}])
    first = enqueued.taught["searches"][0]["trials"][0]
    assert first["settings"]["training.optimizer.lr"] == 0.003
    assert first["enqueued"]
    assert len(enqueued.taught["searches"][0]["trials"]) == 4


def test_runs_of_a_trial_are_kept_before_they_are_trained_and_never_thrown_away(lab: MakeLab) -> None:
    made = lab(f"analysis: {{metric: loss}}\ntuning: {{trials: 4, seeds: 2, {SPACE}}}\n")
    with pytest.raises(Died):
        made.tune(Formula(dies_after=0))
    kept = made.store.database.trial_runs("small")
    assert [key[2:] for key in kept] == [(0, 1_000_001), (0, 1_000_002)]
    running = made.searches()[0].running
    assert [trial.user_attrs["runs"] for trial in running] == [list(kept.values())]
    assert set(kept.values()) <= made.store.database.needed()


def test_wilcoxon_runs_seeds_one_after_another_and_stops_what_cannot_win(lab: MakeLab) -> None:
    engine = Formula(workers=1)
    tuned = lab(
        f"analysis: {{metric: loss}}\ntuning: {{trials: 12, seeds: 6, pruner: wilcoxon, sampler: random, {SPACE}}}\n"
    ).tune(engine)
    found = tuned.taught["searches"][0]["trials"]
    pruned = [trial for trial in found if trial["state"] == "pruned"]
    assert pruned
    assert all(len(trial["by_seed"]) < 6 for trial in pruned)
    assert len(engine.done) < 12 * 6


def test_several_objectives_give_a_front_and_the_best_are_confirmed_on_fresh_seeds(lab: MakeLab) -> None:
    more = (
        "analysis: {metric: loss}\ntuning:\n  scope: experiment\n  trials: 15\n  confirm: 2\n"
        "  objectives: [metric, parameters]\n  space:\n    network.mixer: {choices: [attention, gru]}\n"
        "    network.mixer.heads: {choices: [1, 2, 4]}\n    training.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}\n"
    )
    made = lab(more)
    tuned = made.tune()
    search = tuned.taught["searches"][0]
    for trial in search["trials"]:  # heads are asked for only where there are any
        assert ("network.mixer.heads" in trial["settings"]) == (trial["settings"]["network.mixer"] == "attention")
    assert tuned.plan is not None
    assert tuned.plan.seeds == [2_000_001, 2_000_002]
    counts = {row["arm"]: row["tuned_trials"] for row in reported(made, tuned).tables.runs}
    assert counts == {arm.name: 0 if arm.name == "baseline" else 15 for arm in tuned.plan.arms}
    assert [arm.name for arm in tuned.plan.arms] == ["baseline", *(f"trial-{n}" for n in search["front"][:2])]
    assert tuned.plan.tuning is not None
    unsearched = next(warning for warning in warnings(tuned.plan.tuning) if warning.code == "TUNING")
    assert unsearched.evidence == (
        "The baseline has the settings of the file; network.mixer, network.mixer.heads and training.optimizer.lr were "
        f"searched for {listed(arm.name for arm in tuned.plan.arms[1:])} only."
    )
    made.store.database.save_plan(tuned.plan)
    again = lab(more).tune()
    assert again.plan is not None
    assert again.plan.seeds == tuned.plan.seeds
    other = lab(more.replace("confirm: 2", "confirm: 1")).tune()
    assert other.plan is not None
    assert len(search["front"]) == 1 or other.plan.seeds == [2_000_003, 2_000_004]


def reported(made: Lab, tuned: Tuned) -> Findings:
    """The report once winners and fixed recipes have run."""
    assert tuned.plan is not None
    jobs = [tuned.plan.job(run) for run in tuned.plan.runs]
    jobs += [plan(made.loaded).job(run) for run in plan(made.loaded).runs]
    for job in jobs:
        made.store.database.add(record_of(job, worth(job.settings)))
    return find(tuned.plan, made.store.database.outcomes(job.id for job in jobs))


def test_a_report_shows_ledger_both_recipes_ranking_and_what_held_up(lab: MakeLab) -> None:
    made = lab(f"{ARMS}tuning: {{trials: 24, sampler: random, {SPACE}}}\n")
    tuned = made.tune()
    findings = reported(made, tuned)
    block = next(block for block in findings.blocks if any(grid.title.startswith("Ledger") for grid in block.grids))
    grids = {grid.title.split(":")[0]: grid for grid in block.grids}
    assert [row[0] for row in grids["Ledger"].rows] == ["baseline", "one_head"]
    assert [row[2:6] for row in grids["Ledger"].rows] == [("24", "24", "0", "0")] * 2
    both = grids["The recipe of the file, and tuned"].rows
    assert [row[0] for row in both] == ["baseline", "one_head"]
    assert all(float(row[3]) < float(row[1]) for row in both)  # a lower loss once tuned
    held = grids["How the winners held up"].rows
    assert [(row[3], row[5]) for row in held] == [("0", "0.01")] * 2
    importance = grids["What explains the differences between trials of baseline"].rows
    assert {row[0] for row in importance} == {"training.optimizer.lr", "network.dropout"}
    assert [title for title in grids if title.startswith("Fewer trials would")]
    titles = [plot.words.title for plot in block.plots]
    assert "Expected best loss of fewer trials" in titles
    assert {row["arm"] for row in findings.tables.named()["trials"][0]} == {"baseline", "one_head"}
    assert "Ledger" in page(findings)
    runs = findings.tables.runs
    assert {(row["arm"], row["tuned_trials"]) for row in runs} == {("baseline", 24), ("one_head", 24)}
    assert len({row["config_hash"] for row in runs}) == 2


def test_unequal_trials_and_values_at_an_edge_are_warned_of(lab: MakeLab) -> None:
    narrow = "space: {training.optimizer.lr: {low: 1e-2, high: 1e-1, log: true}}"
    more = f"{ARMS}tuning: {{trials: 6, sampler: qmc, {narrow}}}\n"
    made = lab(more)
    made.tune()
    tuned = lab(more).tune(arms=["one_head"], trials="+2")
    codes = [(warning.code, warning.arms) for warning in warnings(tuned.taught)]
    assert ("TUNING", ("baseline",)) in codes
    unequal = next(warning for warning in warnings(tuned.taught) if warning.code == "TUNING")
    assert unequal.remedy == "Run the tuning again with the same number of trials for every arm."
    limited = next(warnings({**tuned.taught, "time_limit": 60.0}))
    assert limited.remedy.startswith("Run the tuning again without a time limit, and with")
    assert "BOUNDARY" in [code for code, _ in codes]


def test_ranges_of_parts_are_added_and_told(lab: MakeLab) -> None:
    made = lab(
        "arms: {additive: {network.mixer.score: additive}}\nanalysis: {metric: loss}\n"
        "tuning: {trials: 3, sampler: random, part_ranges: true}\n"
    )
    tuned = made.tune()
    keys = {search["arm"]: [d["key"] for d in search["dimensions"]] for search in tuned.taught["searches"]}
    assert keys["baseline"] == ["training.optimizer.lr"]
    assert set(keys["additive"]) == {"training.optimizer.lr", "network.mixer.score.hidden"}
    assert [warning.code for warning in warnings(tuned.taught) if "spaces" in warning.brief] == ["TUNING"]


# Several drivers

FEW = """
arms: {one_head: {network.mixer.heads: 1}}
analysis: {metric: loss}
tuning: {trials: 4, space: {training.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}}}
"""


class Waiting(Unwatched):
    """Remembers what was waited for, and lets it go."""

    def __init__(self, let_go: threading.Event) -> None:
        self.names: list[str] = []
        self._let_go = let_go

    def waits(self, name: str) -> None:
        self.names.append(name)
        self._let_go.set()


def test_a_second_driver_waits_and_then_has_the_same_trials(lab: MakeLab) -> None:
    made = lab(FEW)
    trains, second_waits = threading.Event(), threading.Event()

    def held_until_the_second_waits(job: Job) -> bool:
        trains.set()
        assert second_waits.wait(60)
        return False

    first = Formula(fails=held_until_the_second_waits)
    found: list[Tuned] = []
    driver = threading.Thread(target=lambda: found.append(made.tune(first)))
    driver.start()
    assert trains.wait(60)
    other, engine, watcher = Lab(made.loaded, open_store(str(made.store.folder))), Formula(), Waiting(second_waits)
    again = tune(other.loaded, plan(other.loaded), other.store, engine, watcher, workers=1)
    driver.join(60)
    assert {name.rpartition("/")[0] for name in watcher.names} == {"small/baseline", "small/one_head"}
    assert engine.done == []
    assert len(first.done) == 8
    assert trials(again) == trials(found[0])
    assert made.store.database.drivers() == {}


def claims_of(made: Lab) -> list[str]:
    return [claim_of(place.name) for place in places(made.loaded, ["baseline", "one_head"])]


def test_the_search_of_a_driver_that_is_gone_is_taken_over(lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lab(FEW)
    database = made.store.database
    with Claims(database):
        here = next(iter(database.drivers().values())).place
    database.enter("gone", here, 4_194_305)  # no process has so high a number
    assert database.claim("gone", claims_of(made)) == dict.fromkeys(claims_of(made), "mine")
    monkeypatch.setattr("paribus.tuning.time.sleep", lambda _: pytest.fail("waited for a driver that is gone"))
    assert len(trials(made.tune())) == 2
    assert database.drivers() == {}


def test_limits_end_a_search_and_the_waiting_for_one(lab: MakeLab) -> None:
    made = lab(FEW)
    engine = Formula()
    stopped = made.tune(engine, limits=Limits(hours=0.0))
    assert engine.done == []  # the run at work was asked to stop
    assert stopped.plan is None
    assert stopped.summary.stopped == "0 hours are over (--max-hours)"
    assert stopped.summary.interrupted
    with Claims(made.store.database) as other:
        other.take(claims_of(made))
        waited = made.tune(limits=Limits(hours=0.0))
    assert waited.summary.stopped == "0 hours are over (--max-hours)"
    assert len(trials(made.tune())) == 2


def test_failures_of_a_search_count_against_the_limit_of_the_whole_call() -> None:
    broken = Summary(broken={"a": "crashed: no reason"})
    assert Limits(failures=1).reached(broken) == ""
    assert Limits(failures=1, failed=1).reached(broken) == "more than 1 run failed (--max-failures)"


def test_a_pruned_run_leaves_no_checkpoint(lab: MakeLab) -> None:
    pruned = FEW.replace("trials: 4", "trials: 20, sampler: random, pruner: median")
    made = lab(pruned)

    def with_checkpoint(job: Job) -> bool:
        (made.store.runs / f"{job.id}.resume").mkdir(parents=True, exist_ok=True)
        return False

    found = made.tune(Formula(fails=with_checkpoint))
    states = [(trial["state"], trial["runs"][0]) for s in found.taught["searches"] for trial in s["trials"]]
    given_up = {run for state, run in states if state == "pruned"}
    assert given_up
    left = {folder.name.removesuffix(".resume") for folder in made.store.runs.glob("*.resume")}
    assert not left & given_up


# Where studies lie


# Connections are let go without being closed, as a command does at its end.
letting_go = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


def on_server(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.postgres(letting_go(test))


@pytest.fixture
def address(postgresql: Any) -> Iterator[str]:
    yield postgresql.database()
    gc.collect()


@on_server
def test_a_search_on_a_server_is_killed_goes_on_and_equals_one_in_a_file(address: str, write: Any) -> None:
    loaded = load(write(FEW))
    straight = Lab(loaded, open_store("store")).tune()
    with pytest.raises(Died):
        Lab(loaded, open_store(address)).tune(Formula(dies_after=3))
    engine = Formula()
    resumed = Lab(loaded, open_store(address)).tune(engine)
    assert len(engine.done) == 5
    assert trials(resumed) == trials(straight)


@pytest.mark.slow
@on_server
def test_a_search_waits_for_a_server_that_went_away(postgresql: Any, address: str, write: Any) -> None:
    loaded = load(write(FEW))
    straight = Lab(loaded, open_store("store")).tune()

    falls = iter([None])

    def server_falls(job: Job) -> bool:
        if len(engine.done) == 2 and next(falls, "fallen") is None:
            postgresql.stop()
            threading.Timer(3, postgresql.start).start()
        return False

    engine = Formula(fails=server_falls)
    assert trials(Lab(loaded, open_store(address)).tune(engine)) == trials(straight)
    assert trials(Lab(loaded, open_store(address)).tune()) == trials(straight)


@on_server
def test_what_was_kept_before_the_answer_was_lost_is_kept_once(address: str, write: Any) -> None:
    made = Lab(load(write(FEW)), open_store(address))
    search = made.searches()[0]
    number, settings = search.ask()
    lost = ["create_new_trial", "set_trial_state_values"]
    for name in lost:
        deafen(search._kept, name)
    search.begin(number, ["a"], settings)
    search.tell(number, Outcome("ok", [0.5]))
    assert [trial.values for trial in made.searches()[0].trials] == [[0.5]]


def deafen(storage: Any, name: str) -> None:
    """Let a storage do what it is asked, but lose the answer the first time."""
    method = getattr(storage, name)

    def deaf(*args: Any, **kwargs: Any) -> Any:
        setattr(storage, name, method)
        method(*args, **kwargs)
        raise sqlalchemy.exc.OperationalError("COMMIT", {}, psycopg.OperationalError("server closed the connection"))

    setattr(storage, name, deaf)


@on_server
def test_the_schemas_of_optuna_and_of_the_store_are_two(address: str) -> None:
    store = open_store(address)
    for _ in range(2):
        optuna.create_study(study_name="a", storage=open_storage(store), load_if_exists=True)
    assert open_store(address).database.members() == []
    with psycopg.connect(address) as connection:
        rows = connection.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'studies'")
        assert rows.fetchall() == [("public_tuning",)]
    shown = optuna.get_all_study_names(f"{_driver(address)}?options=-csearch_path%3Dpublic_tuning")
    assert shown == ["a"]


def _driver(address: str) -> str:
    return address.replace("postgresql://", "postgresql+psycopg://")


@letting_go
@pytest.mark.parametrize("server", [False, pytest.param(True, marks=pytest.mark.postgres)])
def test_drivers_that_open_the_studies_at_once_find_one_schema(
    server: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = open_store(request.getfixturevalue("address") if server else str(tmp_path / "store"))
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            open_storage(store)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


@on_server
def test_what_the_server_refuses_is_told_without_the_password(address: str) -> None:
    store = open_store(address)
    with psycopg.connect(address, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
        connection.execute(f"REVOKE CREATE ON DATABASE {name} FROM PUBLIC")
    guest = open_store(address.replace("me:secret@", "guest:secret@"))
    assert store.database.shown != guest.database.shown
    with pytest.raises(StoreError, match="permission denied") as caught:
        open_storage(guest)
    assert "secret" not in str(caught.value)


def test_an_imported_search_is_whole_goes_on_and_is_not_doubled(lab: MakeLab, tmp_path: Path) -> None:
    more = f"{ARMS}tuning: {{trials: 4, {SPACE}}}\n"
    there = lab(more, store="there")
    tuned = there.tune()
    assert tuned.plan is not None
    there.store.database.save_plan(tuned.plan)
    here = open_store(str(tmp_path / "here"))
    taken, searches_taken = here.merge(there.store), merge(there.store, here)
    assert (taken.trials, searches_taken) == (8, (2, 0))
    assert here.database.trial_runs("small") == there.store.database.trial_runs("small")
    assert here.database.locks("small") == there.store.database.locks("small")
    assert here.database.needed() == there.store.database.needed()
    assert (here.merge(there.store).trials, merge(there.store, here)) == (0, (0, 0))
    # Nothing is left to do here, and what is asked for besides is done once.
    engine = Formula()
    again = Lab(there.loaded, here).tune(engine)
    assert engine.done == []
    assert trials(again) == trials(tuned)
    further = Lab(there.loaded, here).tune(engine, trials="+1")
    assert [len(found) for found in trials(further).values()] == [5, 5]
    assert trials(there.tune(trials="+1")) == trials(further)


def test_the_trials_of_a_search_that_two_stores_went_on_with_are_put_together(lab: MakeLab, tmp_path: Path) -> None:
    more = f"arms: {{}}\ntuning: {{trials: 3, {SPACE}}}\nanalysis: {{metric: loss}}\n"
    one = lab(more, store="one")
    one.tune()
    other = Lab(one.loaded, open_store(str(tmp_path / "other")))
    other.store.merge(one.store)
    merge(one.store, other.store)
    # Each goes on by itself: the first as it was asked to, the other with settings of somebody's own.
    mine = trials(one.tune(trials="+1"))
    wish = {"training.optimizer.lr": 0.02, "network.dropout": 0.25}
    theirs = trials(other.tune(trials="+2", enqueue=[wish]))
    (name,) = mine
    assert [len(mine[name]), len(theirs[name])] == [4, 5]

    def what(found: dict[str, list[tuple[Any, ...]]]) -> list[str]:
        return sorted(str(trial[1:]) for trial in found[name])

    together = sorted({*what(mine), *what(theirs)})
    assert len(together) == 6
    for source, target, added in ((other, one, 2), (one, other, 1), (other, one, 0), (one, other, 0)):
        target.store.merge(source.store)
        assert merge(source.store, target.store) == (0, added)
        engine = Formula()
        found = target.tune(engine)
        assert engine.done == []
        assert what(trials(found)) == together
        assert [trial[0] for trial in trials(found)[name]] == list(range(6))
        runs = {run for trial in trials(found)[name] for run in trial[4]}
        assert set(target.store.database.trial_runs("small").values()) == runs
