"""From a plan and its records to a page that answers the question, says how sure it is, and shows what it cost."""

from collections.abc import Sequence
from pathlib import Path

from paribus.report.findings import Findings, find
from paribus.report.write import USUAL, place, write

__all__ = ["USUAL", "Findings", "find", "index", "place", "together", "write"]


def together(found: Sequence[Findings]) -> Findings:
    """One report of several experiments."""
    from paribus.report.several import together as joined

    return joined(found)


def index(reports: Path) -> str:
    """The page that lists all reports of a folder."""
    from paribus.report.several import index as listed

    return listed(reports)
