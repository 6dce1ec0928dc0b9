"""`paribus export`: write scores as a table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli import options
from paribus.cli.output import plain
from paribus.errors import ParibusError, StoreError, plural, suggestion

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "json", "parquet")


def export(*experiments: str, format_: str = "csv", out: Path | None = None, store: options.Store = None) -> int:
    """Write scores as a table: one row for each score of each run.

    Parameters
    ----------
    experiments
        Their names; all if left out.
    format_
        csv, json or parquet.
    out
        The file to write; the table is printed if left out.
    """
    from paribus.store.folder import open_store

    if format_ not in FORMATS:
        raise ParibusError(f"--format: there is no format '{format_}'{suggestion(format_, FORMATS)}")
    if format_ == "parquet" and out is None:
        raise ParibusError("--format parquet needs --out FILE")
    from paribus.store.frames import scores

    database = open_store(store, create=False).database
    plans = {plan.folder: plan for plan in database.plans()}
    for name in experiments:
        if name not in plans:
            raise StoreError(f"the store has no experiment called '{name}'{suggestion(name, plans)}")
    chosen = [plans[name] for name in experiments or sorted(plans)]
    table = scores((plan, database.outcomes(run.id for run in plan.runs)) for plan in chosen)
    if format_ == "parquet":
        _parquet(table, out)
    else:
        written = table.to_csv(index=False) if format_ == "csv" else table.to_json(orient="records", indent=1)
        sys.stdout.write(written) if out is None else out.write_text(written, encoding="utf-8")
    if out is not None:
        plain(f"{plural(len(table), 'row')}: {out}")
    return 0


def _parquet(table: "pd.DataFrame", out: Path | None) -> None:
    try:
        table.to_parquet(out, index=False)
    except ImportError:
        raise ParibusError("--format parquet needs pyarrow: pip install pyarrow") from None
