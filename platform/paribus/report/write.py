"""Findings as files: each format whole or not at all, the same bytes for the same findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from paribus.errors import ParibusError
from paribus.report import tables
from paribus.report.findings import Findings

File = tuple[str, str | bytes]  # path inside the folder, content


def write(findings: Findings, folder: Path, formats: Sequence[str] = ("html", "md", "csv")) -> list[Path]:
    """Write the report in each format; gives the files."""
    written = []
    for chosen in formats:
        written += [place(folder / name, content) for name, content in FORMATS[chosen](findings)]
    return written


def place(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError as error:
        raise ParibusError(f"the report cannot be written to {path}: {error.strerror}") from None
    return path


def _html(findings: Findings) -> Iterator[File]:
    from paribus.report.html import page  # with the libraries that draw

    yield "index.html", page(findings)


def _markdown(findings: Findings) -> Iterator[File]:
    from paribus.report.markdown import document

    yield "report.md", document(findings)


def _csv(findings: Findings) -> Iterator[File]:
    found = findings.tables
    yield "runs.csv", tables.written(found.runs, tables.RUNS)
    yield "contrasts.csv", tables.written(found.contrasts, tables.CONTRASTS)
    yield "curves.csv", tables.written(found.curves, tables.CURVES)
    yield "warnings.csv", tables.written(found.warnings, tables.WARNINGS)
    if found.effects:
        yield "effects.csv", tables.written(found.effects, tables.EFFECTS)
    if found.claims:
        yield "claims.csv", tables.written(found.claims, tables.CLAIMS)


FORMATS: Mapping[str, Callable[[Findings], Iterator[File]]] = {"html": _html, "md": _markdown, "csv": _csv}
