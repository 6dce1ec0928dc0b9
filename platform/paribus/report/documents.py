"""Findings as JSON: the report for programs, and where it comes from."""

import json
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from paribus.report.findings import Findings

SCHEMA_VERSION = 1


def report(findings: Findings) -> str:
    """Everything that is said, as one document; tables and pictures have files of their own."""
    tree = {"schema_version": SCHEMA_VERSION, **_tree(findings)}
    for name in ("tables", "source"):
        tree.pop(name)
    return json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def environment(findings: Findings) -> str:
    """What the numbers depend on."""
    found = {"schema_version": SCHEMA_VERSION, "provenance": dict(findings.provenance)}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


_PICTURES = {"curves", "differences", "dots", "examples", "values"}  # their numbers are in the tables


def _tree(value: Any) -> Any:
    """Plain data; what is no number is null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _tree(getattr(value, field.name)) for field in fields(value) if field.name not in _PICTURES}
    if isinstance(value, dict):
        return {str(key): _tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
