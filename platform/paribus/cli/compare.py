"""`paribus compare`: the same contrasts and page for results that were made elsewhere."""

import codecs
import csv
import io
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from paribus.cli.output import note, plain
from paribus.errors import ParibusError

if TYPE_CHECKING:
    import pandas as pd

    from paribus.report.outside import Arms
    from paribus.spec.analysis import Analysis


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
    from paribus import report
    from paribus.cli.report import chosen_formats
    from paribus.planning import MetricInfo
    from paribus.report.outside import taken_in
    from paribus.stats.table import observations, tidy

    formats = chosen_formats(format_)
    given = {
        "smallest_effect": smallest_effect,
        "alpha": alpha,
        "correction": correction,
        "pairing": pairing,
        "min_pairs": min_pairs,
        "unstable_failure_rate": unstable_failure_rate,
    }
    analysis = _declared(given)
    frame, name = tidy(read(table), metric=metric, baseline=baseline)
    frame = _without_floors(frame, baseline)
    tasks = observations(frame, baseline)
    _comparable(table, tasks, baseline, formats)
    stem = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", table.stem)) or "table"
    info = MetricInfo(name, name.replace("_", " "), direction, "", None)
    command = _again(table, baseline, metric, direction, given, to)
    findings = report.find(*taken_in(tasks, info, analysis, name=stem, file=str(table), command=command))
    paths = report.write(findings, to or Path("reports") / findings.title, formats)
    plain(findings.table_text)
    plain(findings.answer)
    plain(f"\nReport: {paths[0]}")
    return 0


MOST_RUNS = 5_000  # of a page: it shows every run, and a megabyte of them helps nobody
TABLES = {"csv", "json", "parquet"}


def _declared(given: Mapping[str, object]) -> "Analysis":
    """The options that belong to the analysis, checked as those of an experiment are."""
    from pydantic import ValidationError

    from paribus.spec.analysis import Analysis

    try:
        return Analysis.model_validate(given)
    except ValidationError as error:
        detail = error.errors()[0]
        told = str(detail["loc"][0]).replace("_", "-")
        raise ParibusError(f"--{told}: got {detail['input']}; {detail['msg']}") from None


def _without_floors(frame: "pd.DataFrame", baseline: str) -> "pd.DataFrame":
    """The table without untrained reference rows, which `paribus export` writes too: no arms to correct for."""
    from paribus.planning import FLOOR

    named = frame["arm"].astype(str).str.startswith(FLOOR)
    floors = [arm for arm in frame["arm"][named].unique() if arm != baseline]
    if floors:
        note(f"left out: {', '.join(floors)}; they are untrained reference rows, not arms to compare")
    return frame[~frame["arm"].isin(floors)]


def _comparable(table: Path, tasks: "Mapping[str, Arms]", baseline: str, formats: Sequence[str]) -> None:
    """Whether there is something to compare that the formats can hold; raises ParibusError."""
    for task, arms in tasks.items():
        if len(arms) == 1:
            where = f" of task {task}" if task else ""
            raise ParibusError(f"{table}: the only arm{where} is {baseline}; a comparison needs another")
    count = sum(len(runs) for arms in tasks.values() for runs in arms.values())
    if count > MOST_RUNS and not TABLES.issuperset(formats):
        told = f"{table} holds {count:,} runs; a page takes up to {MOST_RUNS:,}"
        raise ParibusError(f"{told}. --format csv,json writes the tables of any number")


DECIMAL_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?")


def read(table: Path) -> "pd.DataFrame":
    """The table of a file: commas, semicolons, tabs or bars part its columns, as spreadsheets write them too."""
    import pandas as pd

    try:
        lines = _text(table.read_bytes()).splitlines(keepends=True)
        skipped = 0
        while skipped < len(lines) and (lines[skipped].startswith(("#", "sep=")) or not lines[skipped].strip()):
            skipped += 1
        head = lines[skipped] if skipped < len(lines) else ""
        sep = max(",;\t|", key=head.count)
        _named(table, next(csv.reader([head], delimiter=sep), []))
        # Only what is empty is missing: an arm may be called NA or none. A comma at the end of rows is no column.
        frame = pd.read_csv(
            io.StringIO("".join(lines[skipped:])),
            sep=sep,
            keep_default_na=False,
            na_values=["", "nan", "NaN"],
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
        )
    except FileNotFoundError:
        raise ParibusError(f"there is no file {table}") from None
    except UnicodeDecodeError:
        raise ParibusError(f"{table} cannot be read as a table: it is not UTF-8; save it as CSV UTF-8") from None
    except OSError as error:
        raise ParibusError(f"{table} cannot be read as a table: {error.strerror}") from None
    except (csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ParibusError(f"{table} cannot be read as a table: {_misshapen(str(error), skipped)}") from None
    frame = frame.dropna(how="all").reset_index(drop=True)
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = _stripped(frame[column], decimal_comma=sep != ",")
    return frame.rename(columns=str.strip)


def _misshapen(told: str, skipped: int) -> str:
    """What pandas says of a text that is no table, in a user's words."""
    if uneven := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", told):
        expected, line, seen = map(int, uneven.groups())
        return f"line {line + skipped} has {seen} columns, the first line names {expected}; needs as many in each line"
    if "EOF inside string" in told:
        return 'a quotation mark is opened and never closed; needs a closing " or none'
    return "needs a line that names the columns, and under it a line for each run"


def _text(content: bytes) -> str:
    """The text of a file; spreadsheets write UTF-16 too, which says so at its start."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig")


def _named(table: Path, names: list[str]) -> None:
    """Whether the first line can be one of names; raises ParibusError."""
    names = [name.strip() for name in names]
    twice = next((name for index, name in enumerate(names) if name and name in names[:index]), "")
    if twice:
        raise ParibusError(f"{table}: two columns are called '{twice}'")
    number = next((name for name in names if re.fullmatch(r"[+-]?\d+\.\d+", name)), "")
    if number:
        raise ParibusError(f"{table}: the first line must name the columns; it holds the number {number}")


def _stripped(column: "pd.Series[Any]", *, decimal_comma: bool) -> "pd.Series[Any]":
    """Texts without spaces around them, and numbers where all are numbers with a comma for the point."""
    texts = column.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    known = [cell for cell in texts if cell == cell]
    if decimal_comma and known and all(isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell) for cell in known):
        return texts.map(lambda cell: float(cell.replace(",", ".")) if isinstance(cell, str) else cell)
    return texts


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
