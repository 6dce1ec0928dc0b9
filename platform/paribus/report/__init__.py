"""From a plan and its records to a page that answers the question, says how sure it is, and shows what it cost."""

from paribus.report.findings import Findings, find
from paribus.report.write import USUAL, write

__all__ = ["USUAL", "Findings", "find", "write"]
