"""What a store holds as pandas frames."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from paribus.planning import Plan
from paribus.store.record import Outcome

COLUMNS = ["experiment", "arm", "task", "seed", "run", "status", "split", "metric", "value", "reason"]


def scores(experiments: Iterable[tuple[Plan, Mapping[str, Outcome]]]) -> pd.DataFrame:
    """One row for each score of some experiments; a run without scores is one row without a value."""
    rows = []
    for plan, outcomes in experiments:
        rows += _rows(plan, outcomes)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for run in plan.runs:
        outcome = outcomes[run.id]
        base = {
            "experiment": plan.folder,
            "arm": run.arm,
            "task": run.task,
            "seed": run.seed,
            "run": run.id,
            "status": outcome.status,
        }
        found = outcome.record.scores if outcome.record is not None else []
        rows += [{**base, **vars(score)} for score in found] or [{**base, "reason": outcome.error}]
    return rows
