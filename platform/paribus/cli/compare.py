"""`paribus compare`: the same contrasts and page for results that were made elsewhere."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from paribus.cli.output import plain
from paribus.errors import ParibusError

if TYPE_CHECKING:
    import pandas as pd


def compare(
    table: Path,
    /,
    *,
    baseline: str,
    metric: str = "",
    direction: Literal["max", "min"] = "max",
    smallest_effect: float | None = None,
    alpha: float = 0.05,
    correction: Literal["holm", "bh", "none"] = "holm",
    pairing: Literal["seed", "none"] = "seed",
    min_pairs: int = 3,
    unstable_failure_rate: float = 1 / 3,
    format_: Annotated[str, Parameter(name="--format")] = "html,md,csv",
    to: Path | None = None,
) -> int:
    """Compare the arms of a table that was made elsewhere.

    Parameters
    ----------
    table
        A CSV with columns arm, seed and value, and where they are known status and task; or a tracker's export.
    baseline
        The arm that the others are compared with.
    metric
        Which metric, where the table has several.
    direction
        max if more is better, min if less is.
    smallest_effect
        The difference that would matter; without it nothing can be called equivalent.
    alpha
        Risk of one false claim among all arms.
    correction
        For the number of arms: holm, bh or none.
    pairing
        seed if runs of one seed belong together, none if seeds share nothing.
    min_pairs
        Fewer pairs are insufficient for a verdict.
    unstable_failure_rate
        Share of failed runs that makes an arm unstable.
    format_
        Which formats, with commas between.
    to
        The folder of the report; reports/TABLE@compare if left out.
    """
    from pydantic import ValidationError

    from paribus import report
    from paribus.cli.report import chosen_formats
    from paribus.planning import MetricInfo
    from paribus.report.outside import taken_in
    from paribus.spec.analysis import Analysis
    from paribus.stats.table import observations, tidy

    formats = chosen_formats(format_)
    frame, name = tidy(read(table), metric=metric, baseline=baseline)
    tasks = observations(frame, baseline)
    for task, arms in tasks.items():
        if len(arms) == 1:
            where = f" of task {task}" if task else ""
            raise ParibusError(f"{table}: the only arm{where} is {baseline}; a comparison needs another")
    given = {
        "smallest_effect": smallest_effect,
        "alpha": alpha,
        "correction": correction,
        "pairing": pairing,
        "min_pairs": min_pairs,
        "unstable_failure_rate": unstable_failure_rate,
    }
    try:
        analysis = Analysis.model_validate(given)
    except ValidationError as error:
        detail = error.errors()[0]
        told = str(detail["loc"][0]).replace("_", "-")
        raise ParibusError(f"--{told}: got {detail['input']}; {detail['msg']}") from None
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", table.stem) or "table"
    info = MetricInfo(name, name.replace("_", " "), direction, "", None)
    command = _again(table, baseline, metric, direction, given, to)
    plan, outcomes = taken_in(tasks, info, analysis, name=stem, file=str(table), command=command)
    findings = report.find(plan, outcomes)
    paths = report.write(findings, to or Path("reports") / plan.folder, formats)
    plain(findings.table_text)
    plain(findings.answer)
    plain(f"\nReport: {paths[0]}")
    return 0


def read(table: Path) -> "pd.DataFrame":
    """The table of a file, with commas, semicolons or tabs between its columns."""
    import pandas as pd

    try:
        with table.open(encoding="utf-8-sig") as file:
            head = file.readline()
        sep = max(",;\t", key=head.count)
        # Only what is empty is missing: an arm may be called NA or none.
        return pd.read_csv(table, sep=sep, encoding="utf-8-sig", keep_default_na=False, na_values=["", "nan", "NaN"])
    except FileNotFoundError:
        raise ParibusError(f"there is no file {table}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ParibusError(f"{table} cannot be read as a table: {str(error).splitlines()[0]}") from None


def _again(
    table: Path, baseline: str, metric: str, direction: str, given: Mapping[str, object], to: Path | None
) -> str:
    """The command that makes the page again."""
    words = ["paribus", "compare", str(table), "--baseline", baseline]
    words += ["--metric", metric] if metric else []
    words += ["--direction", direction]
    usual: dict[str, object] = {
        "smallest_effect": None,
        "alpha": 0.05,
        "correction": "holm",
        "pairing": "seed",
        "min_pairs": 3,
        "unstable_failure_rate": 1 / 3,
    }
    for key, value in given.items():
        words += [f"--{key.replace('_', '-')}", str(value)] if value != usual[key] else []
    return shlex.join([*words, *(["--to", str(to)] if to else [])])
