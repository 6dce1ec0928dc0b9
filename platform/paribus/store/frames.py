"""What a store holds as pandas frames."""

from collections.abc import Mapping

import pandas as pd

from paribus.planning import Plan
from paribus.store.record import Outcome

COLUMNS = ["experiment", "arm", "task", "seed", "run", "status", "split", "metric", "value", "reason"]


def scores(plan: Plan, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for each score; a run without scores is one row without a value."""
    rows = []
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
    return pd.DataFrame(rows, columns=COLUMNS)
