"""The searches of two stores put together: none of their trials is lost, and none stands twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from optuna import copy_study, get_all_study_names
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from paribus.planning import Run
from paribus.running import Limits
from paribus.store.claims import Claims
from paribus.store.folder import Store
from paribus.tuning import Unwatched, held
from paribus.tuning.driver import Watcher
from paribus.tuning.storage import FILE, open_storage, telling
from paribus.tuning.study import RUNS, SETTINGS

Trials = dict[tuple[str, int], list[Run]]  # experiment and number -> the runs of a trial


def merge(source: Store, target: Store, watcher: Watcher | None = None) -> tuple[int, int]:
    """Take over the searches and trials that one store holds and the other lacks; how many of each there were.

    Runs come first, with `Store.merge`: trials are made of them.
    """
    if source.database.server is None and not (source.folder / FILE).is_file():
        return 0, 0
    theirs, ours = open_storage(source), open_storage(target)
    try:
        with telling(target), Claims(target.database) as claims:
            names, known = get_all_study_names(theirs), set(get_all_study_names(ours))
            held(claims, names, watcher or Unwatched(), Limits())  # nobody is at them meanwhile
            rows, trials = _rows(source), 0
            for name in names:
                if name in known:
                    trials += _merge_search(name, theirs, ours, rows, target)
                else:
                    copy_study(from_study_name=name, from_storage=theirs, to_storage=ours)
            return len(set(names) - known), trials
    finally:
        theirs.engine.dispose()
        ours.engine.dispose()


def _merge_search(name: str, theirs: RDBStorage, ours: RDBStorage, rows: Trials, target: Store) -> int:
    """Add the trials of one search behind those that are here; how many there were."""
    there, here = theirs.get_study_id_from_name(name), ours.get_study_id_from_name(name)
    wanted = theirs.get_study_user_attrs(there).get("trials", 0)
    if wanted > ours.get_study_user_attrs(here).get("trials", 0):
        ours.set_study_user_attr(here, "trials", wanted)
    present = ours.get_all_trials(here)
    known, wishes = Counter(map(_begun, present)), Counter(map(_wish, present))
    count = len(present)
    for trial in sorted(theirs.get_all_trials(there), key=lambda trial: trial.state == TrialState.WAITING):
        counts, key = (wishes, _wish(trial)) if trial.state == TrialState.WAITING else (known, _begun(trial))
        if counts[key]:
            counts[key] -= 1
            if counts is known:
                wishes[_wish(trial)] -= 1
            continue
        ours.create_new_trial(here, template_trial=trial)
        for (experiment, number), runs in rows.items():
            if number == trial.number and {run.id for run in runs} <= set(trial.user_attrs.get(RUNS, ())):
                target.database.save_trial(experiment, count, runs)
        count += 1
    return count - len(present)


def _begun(trial: FrozenTrial) -> str:
    """What a trial is that was proposed: its settings, and the runs that they make."""
    return _text({"settings": trial.user_attrs.get(SETTINGS), "runs": trial.user_attrs.get(RUNS)})


def _wish(trial: FrozenTrial) -> str:
    """What somebody asked a trial to be."""
    return _text(trial.system_attrs.get("fixed_params"))


def _text(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, sort_keys=True)


def _rows(store: Store) -> Trials:
    """The runs of all trials of a store."""
    found: Trials = defaultdict(list)
    for experiment in store.database.trial_experiments():
        for (arm, task, number, seed), run in store.database.trial_runs(experiment).items():
            found[experiment, number].append(Run(run, arm, task, seed))
    return found
