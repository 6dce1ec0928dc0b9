"""What a search taught, as plain data: computed once when it ends, and stored with the plan."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from paribus.spec.space import Dimension
from paribus.spec.tuning import Tuning
from paribus.tuning import samplers
from paribus.tuning.study import ENQUEUED, RUNS, Search

RESAMPLES = 20
ENOUGH = 10  # trials for each dimension, below which importance is not told
EDGE = 0.1  # of the range, on the scale that it is searched on


def taught(tuning: Tuning, searches: Sequence[Search]) -> dict[str, Any]:
    """All that a report says of the searches of an experiment."""
    first = searches[0]
    return {
        "scope": tuning.scope,
        "sampler": tuning.sampler,
        "pruner": tuning.pruner,
        "order": tuning.order,
        "seeds": tuning.seeds,
        "split": tuning.split,
        "time_limit": tuning.time_limit,
        "optuna": optuna.__version__,
        "objectives": [vars(objective) for objective in first.objectives],
        "searches": [_search(search) for search in searches],
    }


def _search(search: Search) -> dict[str, Any]:
    good = search.good()
    best = good[0] if good else None
    return {
        "name": search.name,
        "arm": search.arm.name,
        "task": search.task,
        "metric": vars(search.objectives[0]),
        "seed": search.seed,
        "target": search.target,
        "dimensions": [_dimension(found) for found in search.dimensions],
        "trials": [_trial(search, trial) for trial in search.proposed],
        "winner": best.number if best else None,
        "front": [trial.number for trial in search.front()],
        "importance": importance(search),
        "boundary": boundary(search, best) if best else [],
    }


def _dimension(found: Dimension) -> dict[str, Any]:
    return {
        "key": found.key,
        "low": found.range.low,
        "high": found.range.high,
        "log": found.range.log,
        "step": found.range.step,
        "choices": None if found.range.choices is None else [str(name) for name in samplers.labels(found.range)],
        "carried": found.carried,
    }


def _trial(search: Search, trial: FrozenTrial) -> dict[str, Any]:
    outcome = search.outcome(trial)
    shown = {found.key: found.range for found in search.dimensions}
    return {
        "number": trial.number,
        "state": outcome.get("state", "running"),
        "values": outcome.get("values", []),
        "settings": {
            key: str(value) if key in shown and shown[key].choices is not None else value
            for key, value in trial.params.items()
        },
        "seconds": outcome.get("seconds", 0.0),
        "steps": outcome.get("steps", 0),
        "reason": outcome.get("reason", ""),
        "by_seed": outcome.get("by_seed", []),
        "runs": trial.user_attrs.get(RUNS, []),
        "enqueued": bool(trial.user_attrs.get(ENQUEUED)),
    }


def boundary(search: Search, best: FrozenTrial) -> list[dict[str, Any]]:
    """Dimensions whose best value stands within a tenth of the range of one of its ends."""
    found = []
    for dimension in search.dimensions:
        spread = dimension.range
        if dimension.key not in best.params or spread.choices is not None:
            continue
        assert spread.low is not None and spread.high is not None
        value = best.params[dimension.key]
        scale = math.log if spread.log else float
        share = (scale(value) - scale(spread.low)) / (scale(spread.high) - scale(spread.low))
        if share <= EDGE or share >= 1 - EDGE:
            end = "low" if share <= EDGE else "high"
            found.append({"key": dimension.key, "value": value, "end": end, "bound": getattr(spread, end)})
    return found


def importance(search: Search) -> dict[str, Any]:
    """How much of the differences each dimension explains, with the spread over resampled trials."""
    good = search.good()
    moved = [d.key for d in search.dimensions if len({str(trial.params.get(d.key)) for trial in good}) > 1]
    told: dict[str, Any] = {"method": "PED-ANOVA", "used": len(good), "of": len(search.proposed), "rows": []}
    if not moved or len(good) < ENOUGH * len(moved):
        needed = ENOUGH * max(1, len(moved))
        return {**told, "reason": f"needs {needed} trials that ended well, {ENOUGH} for each dimension that moved"}
    if len({trial.values[0] for trial in good}) < 2:
        return {**told, "reason": "all trials came out alike"}
    generator = np.random.default_rng(search.seed)
    whole = _importances(search, good)
    samples = [
        _importances(search, [good[index] for index in generator.integers(0, len(good), len(good))])
        for _ in range(RESAMPLES)
    ]
    for key in sorted(whole, key=lambda key: -whole[key]):
        values = [sample.get(key, 0.0) for sample in samples]
        low, high = np.quantile(values, [0.025, 0.975])
        told["rows"].append({"key": key, "value": whole[key], "low": float(low), "high": float(high)})
    return {**told, "reason": ""}


def _importances(search: Search, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Of some trials; dimensions that not all of them have are judged where they stand."""
    study = optuna.create_study(storage=InMemoryStorage(), direction=search.study.directions[0])
    for trial in trials:
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=trial.params,
                distributions=trial.distributions,
                value=trial.values[0],
            )
        )
    if len({trial.values[0] for trial in trials}) < 2:
        return {}
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(evaluate_on_local=True))
    return {key: float(value) for key, value in found.items() if math.isfinite(value)}
