"""What commands print with: results on stdout, progress on stderr, JSON on request."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paribus.errors import plural

if TYPE_CHECKING:
    from paribus.planning import Plan

MANY = 500  # rows

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A plain table on stdout; columns named in `right` hold numbers."""
    if len(rows) > MANY:
        _write_many(columns, rows, right)
        return
    shown = Table(title=escape(title) or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        shown.add_column(escape(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    out.print(shown)


def _write_many(columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str]) -> None:
    """The same without folding: of rows by the thousand rich makes seconds."""
    cells = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    numbers = [column in right for column in columns]
    for index, row in enumerate(cells):
        told = [
            " " * (width - cell_len(cell)) + cell if number else cell + " " * (width - cell_len(cell))
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        plain(f"  {'   '.join(told)}".rstrip())
        if index == 0:
            plain(f" {'─' * (sum(widths) + 3 * len(widths) - 1)}")


def plain(text: str) -> None:
    """Text on stdout as it is: no markup, no wrapping."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Text on stderr as it is."""
    sys.stderr.write(text + "\n")


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


def runs_told(plan: "Plan") -> str:
    """How many runs a plan has, the untrained ones named: `30 runs`, `30 runs and 11 of floors`."""
    trained = len(plan.trained)
    floors = len(plan.runs) - trained
    return plural(trained, "run") + (f" and {floors} of floors" if floors else "")


def count(number: float) -> str:
    """A large number in short: 12.3k, 4.5M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"


def size(number: float) -> str:
    """Bytes in short: 12 MB, 3.4 GB."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= limit:
            return f"{number / limit:.2g} {unit}" if number < 10 * limit else f"{number / limit:.0f} {unit}"
    return f"{number / 1e3:.0f} kB"
