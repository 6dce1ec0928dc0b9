"""One search: Optuna in memory proposes and learns, a database keeps what was proposed and what came of it.

A trial is written in one step with its settings and its run ids before it is trained, and is told in number order or as
it ends. So the memory can be rebuilt from the database at any moment, and goes on as if nothing had happened.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import optuna
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from paribus.planning import MetricInfo
from paribus.spec.arms import Arm
from paribus.spec.space import Dimension, asked, grid
from paribus.spec.tuning import Tuning
from paribus.tuning import samplers
from paribus.tuning.storage import patient

SETTINGS, RUNS, OUTCOME, ENQUEUED = "settings", "runs", "outcome", "enqueued"
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    state: str  # ok, pruned, failed
    values: list[float | None]  # one for each objective
    reason: str = ""
    by_seed: list[float | None] = field(default_factory=list)
    seconds: float = 0.0  # of all its runs, on their devices
    steps: int = 0


class _Memory(InMemoryStorage):
    """A storage that can hide trials: those of the same batch must not sway each other."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: frozenset[int] = frozenset()

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        found = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in found if trial.number not in self.hidden] if self.hidden else found


class Search:
    """The search of one arm on one task, or of a whole experiment."""

    def __init__(
        self,
        name: str,
        arm: Arm,
        task: str,
        tuning: Tuning,
        found: Sequence[Dimension],
        objectives: Sequence[MetricInfo],
        storage: RDBStorage | None,
        evaluations: int | None = None,
    ) -> None:
        self.name, self.arm, self.task, self.tuning = name, arm, task, tuning
        self.dimensions = list(found)
        self.objectives = list(objectives)
        self.seed = samplers.seed_of(tuning, arm.name, task)
        self._pruner = samplers.pruner(tuning, evaluations)
        self._kept = storage
        self._memory = _Memory()
        directions = [DIRECTIONS[objective.direction] for objective in objectives]
        self.study = optuna.create_study(study_name=name, storage=self._memory, directions=directions)
        self._study_id = self._memory.get_study_id_from_name(name)
        self._listed: list[dict[str, Any]] | None = None
        self._sequence: optuna.Study | None = None
        self._drawn: list[dict[str, Any]] = []
        self._wanted = 0
        self._ids: dict[int, int] = {}  # number -> key in the database
        self._attributes: dict[int, set[str]] = {}  # number -> Optuna's own notes that the database has
        if storage is not None:
            self._load(storage, directions)

    # What is known

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    @property
    def proposed(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.state != TrialState.WAITING]

    @property
    def running(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.state == TrialState.RUNNING]

    @property
    def target(self) -> int:
        """How many trials this search is to have."""
        size = self.points if self.tuning.sampler == "grid" else self.tuning.wanted
        return max(size, self._wanted)

    @property
    def points(self) -> int:
        """Of a grid."""
        return len(self._grid())

    def _grid(self) -> list[dict[str, Any]]:
        if self._listed is None:
            self._listed = grid(self.arm.tree, self.dimensions)
        return self._listed

    def outcome(self, trial: FrozenTrial) -> dict[str, Any]:
        """What was told of a trial."""
        return trial.user_attrs.get(OUTCOME, {})

    def chosen(self, trial: FrozenTrial) -> dict[str, Any]:
        """The settings of a trial, by key."""
        ranges = {found.key: found.range for found in self.dimensions}
        return {
            key: samplers.labels(ranges[key]).get(value, value) if key in ranges else value
            for key, value in trial.params.items()
        }

    def good(self) -> list[FrozenTrial]:
        """Trials that ended well, the best on the first objective first."""
        found = [t for t in self.trials if t.state == TrialState.COMPLETE and self.outcome(t).get("state") == "ok"]
        sign = -1 if self.objectives[0].direction == "max" else 1
        return sorted(found, key=lambda trial: (sign * trial.values[0], trial.number))

    def front(self) -> list[FrozenTrial]:
        """Trials that no other one beats on all objectives, the best on the first objective first."""
        good = self.good()
        signs = [-1 if objective.direction == "max" else 1 for objective in self.objectives]
        costs = {t.number: [sign * value for sign, value in zip(signs, t.values, strict=True)] for t in good}

        def beaten(trial: FrozenTrial) -> bool:
            own = costs[trial.number]
            return any(
                all(a <= b for a, b in zip(other, own, strict=True)) and other != own for other in costs.values()
            )

        return [trial for trial in good if not beaten(trial)]

    # Proposing

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Number and settings of the next trial; nothing is kept before `begin`."""
        waiting = next((trial for trial in self.trials if trial.state == TrialState.WAITING), None)
        number = len(self.trials) if waiting is None else waiting.number
        if self.tuning.sampler in samplers.LISTED and waiting is None:
            return number, self._point()
        name = "random" if self.tuning.sampler in samplers.LISTED else self.tuning.sampler
        self.study.sampler = samplers.sampler(name, self.seed + number)
        trial = self.study.ask()
        return number, self.choose(trial)

    def choose(self, trial: Trial) -> dict[str, Any]:
        """The settings that a trial proposes, key by key."""
        chosen: dict[str, Any] = {}
        for found in self.dimensions:
            if asked(found, self.arm.tree, chosen):
                chosen[found.key] = suggest(trial, found)
        return chosen

    def _point(self) -> dict[str, Any]:
        """A point of a list that results do not change, as a trial of its own."""
        listed = [t for t in self.trials if not t.user_attrs.get(ENQUEUED)]
        index = len(listed)
        chosen = self._grid()[index % self.points] if self.tuning.sampler == "grid" else self._drawn_point(index)
        ranges = {found.key: found.range for found in self.dimensions}
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params={key: samplers.label(ranges[key], value) for key, value in chosen.items()},
                distributions={key: samplers.distribution(ranges[key]) for key in chosen},
            )
        )
        return chosen

    def _drawn_point(self, index: int) -> dict[str, Any]:
        """A point of one quasi-random sequence, drawn in order from the start."""
        if self._sequence is None:
            sampler = samplers.sampler(self.tuning.sampler, self.seed)
            self._sequence = optuna.create_study(storage=InMemoryStorage(), sampler=sampler)
        while len(self._drawn) <= index:
            trial = self._sequence.ask()
            self._drawn.append(self.choose(trial))
            self._sequence.tell(trial, 0.0)
        return self._drawn[index]

    def begin(self, number: int, runs: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Keep a trial with its settings and its runs, in one step, before it is trained."""
        key = self._memory.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._memory.set_trial_user_attr(key, RUNS, list(runs))
        self._memory.set_trial_user_attr(key, SETTINGS, dict(settings))
        if self._kept is None:
            return
        trial = self._memory.get_trial(key)
        self._attributes[number] = set(trial.system_attrs)
        if number in self._ids:  # it was enqueued
            self._keep_begun(self._kept, trial)
        else:
            self._keep_new(self._kept, trial)

    @patient
    def _keep_new(self, kept: RDBStorage, trial: FrozenTrial) -> None:
        """A trial that the database lacks; where only the answer was lost, it has it."""
        try:
            own = kept.get_trial_id_from_study_id_trial_number(self._kept_id, trial.number)
        except KeyError:
            own = kept.create_new_trial(self._kept_id, template_trial=trial)
        self._ids[trial.number] = own

    @patient
    def _keep_begun(self, kept: RDBStorage, trial: FrozenTrial) -> None:
        """What became of a trial that was enqueued."""
        own = self._ids[trial.number]
        for name, value in trial.params.items():
            kind = trial.distributions[name]
            kept.set_trial_param(own, name, kind.to_internal_repr(value), kind)
        for name, fact in trial.user_attrs.items():
            kept.set_trial_user_attr(own, name, fact)
        for name, attribute in trial.system_attrs.items():
            kept.set_trial_system_attr(own, name, attribute)
        kept.set_trial_state_values(own, TrialState.RUNNING)

    def enqueue(self, settings: Mapping[str, Any]) -> None:
        """Propose these settings next; keys that they lack are proposed as usual."""
        self.study.enqueue_trial(dict(settings), user_attrs={ENQUEUED: True})
        if self._kept is not None:
            self._keep_new(self._kept, self.trials[-1])

    def extend(self, trials: int) -> None:
        """Raise the number of trials for good."""
        self._wanted = trials
        if self._kept is not None:
            patient(self._kept.set_study_user_attr)(self._kept_id, "trials", trials)

    # Learning

    def report(self, number: int, step: int, value: float) -> bool:
        """Take a value of a trial at work; gives whether to break the trial off."""
        key = self._memory.get_trial_id_from_study_id_trial_number(self._study_id, number)
        if step not in self._memory.get_trial(key).intermediate_values:
            self._memory.set_trial_intermediate_value(key, step, value)
        with self._hiding(number):
            return self._pruner.prune(self.study, self._memory.get_trial(key))

    @contextmanager
    def _hiding(self, number: int) -> Iterator[None]:
        """With a fixed order, trials of the same batch and later ones count for nothing."""
        if self.tuning.order == "fixed":
            first = number - number % self.tuning.batch
            self._memory.hidden = frozenset(t.number for t in self.trials if t.number >= first and t.number != number)
        try:
            yield
        finally:
            self._memory.hidden = frozenset()

    def tell(self, number: int, outcome: Outcome) -> None:
        """Keep what came of a trial."""
        key = self._memory.get_trial_id_from_study_id_trial_number(self._study_id, number)
        state, values = self._verdict(outcome)
        self._memory.set_trial_user_attr(key, OUTCOME, vars(outcome))
        self.study.tell(number, values=values, state=state)
        if self._kept is not None:
            self._keep_told(self._kept, self._memory.get_trial(key))

    @patient
    def _keep_told(self, kept: RDBStorage, trial: FrozenTrial) -> None:
        """The end of a trial, last of all."""
        own = self._ids[trial.number]
        kept.set_trial_user_attr(own, OUTCOME, trial.user_attrs[OUTCOME])
        for step, value in trial.intermediate_values.items():
            kept.set_trial_intermediate_value(own, step, value)
        for name, attribute in trial.system_attrs.items():
            if name not in self._attributes.get(trial.number, ()):
                kept.set_trial_system_attr(own, name, attribute)
        kept.set_trial_state_values(own, trial.state, trial.values)

    def _verdict(self, outcome: Outcome) -> tuple[TrialState, list[float] | None]:
        """What Optuna is told: a failed trial has the worst value that can be, or a worse one than all so far."""
        if outcome.state == "pruned":
            return TrialState.PRUNED, None
        values = [self._worst(index) if value is None else value for index, value in enumerate(outcome.values)]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return TrialState.FAIL, None
        return TrialState.COMPLETE, known

    def _worst(self, index: int) -> float | None:
        """What a failure counts; None before any trial ended well, where the metric has no bound."""
        objective = self.objectives[index]
        bad = 0 if objective.direction == "max" else 1
        if objective.bounds is not None and isfinite(objective.bounds[bad]):
            return objective.bounds[bad]
        finite = [trial.values[index] for trial in self.good()]
        if not finite:
            return None
        low, high = min(finite), max(finite)
        spread = high - low or abs(high) or 1.0
        return high + spread if bad else low - spread

    # Going on

    def _load(self, storage: RDBStorage, directions: Sequence[StudyDirection]) -> None:
        """Rebuild the memory from what is kept."""
        study = optuna.create_study(study_name=self.name, storage=storage, directions=directions, load_if_exists=True)
        self._kept_id = storage.get_study_id_from_name(self.name)
        if "paribus" not in study.user_attrs:
            study.set_user_attr("paribus", self._facts())
        self._wanted = int(study.user_attrs.get("trials", 0))
        for trial in storage.get_all_trials(self._kept_id):
            self._ids[trial.number] = storage.get_trial_id_from_study_id_trial_number(self._kept_id, trial.number)
            if trial.state == TrialState.WAITING:
                self.study.enqueue_trial(trial.system_attrs.get("fixed_params", {}), user_attrs={ENQUEUED: True})
            elif trial.state == TrialState.RUNNING:
                self._load_running(trial)
            else:
                self.study.add_trial(trial)

    def _load_running(self, trial: FrozenTrial) -> None:
        """A trial that was broken off, without what was heard of it: it is all heard again."""
        notes = {name: value for name, value in trial.system_attrs.items() if not name.startswith("completed_rung")}
        self._attributes[trial.number] = set(notes)
        facts = {name: value for name, value in trial.user_attrs.items() if name != OUTCOME}
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=facts,
                system_attrs=notes,
            )
        )

    def _facts(self) -> dict[str, Any]:
        """What somebody who looks at the database may want to know."""
        return {
            "arm": self.arm.name,
            "task": self.task,
            "sampler": self.tuning.sampler,
            "seed": self.seed,
            "pruner": self.tuning.pruner,
            "optuna": optuna.__version__,
            "objectives": [objective.name for objective in self.objectives],
        }


def suggest(trial: Trial, found: Dimension) -> Any:
    """A value of one dimension."""
    kind = samplers.distribution(found.range)
    if isinstance(kind, optuna.distributions.CategoricalDistribution):
        return samplers.labels(found.range)[trial.suggest_categorical(found.key, list(kind.choices))]
    if isinstance(kind, optuna.distributions.IntDistribution):
        return trial.suggest_int(found.key, kind.low, kind.high, step=kind.step, log=kind.log)
    assert isinstance(kind, optuna.distributions.FloatDistribution)
    return trial.suggest_float(found.key, kind.low, kind.high, step=kind.step, log=kind.log)
