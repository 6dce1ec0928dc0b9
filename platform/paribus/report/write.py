"""Findings as files: each format whole or not at all, the same bytes for the same findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from paribus.errors import ParibusError
from paribus.report import documents, tables
from paribus.report.findings import Findings
from paribus.store.unfinished import abandoned, unfinished

File = tuple[str, str | bytes]  # path inside the folder, content
Maker = Callable[[Findings], Iterator[File]]


def write(
    findings: Findings,
    folder: Path,
    formats: Sequence[str] = ("html", "md", "csv", "json"),
    *,
    interactive: bool = False,
) -> list[Path]:
    """Write the report in each format, the page still or interactive; gives the files."""
    makers: dict[str, Maker] = {**FORMATS, "html": partial(_html, interactive=interactive)}
    files = chain.from_iterable(makers[chosen](findings) for chosen in formats)
    written = [place(folder / name, content) for name, content in files]
    for place_of_some in {path.parent for path in written}:
        for left in filter(abandoned, place_of_some.glob(".*.partial-*")):
            left.unlink(missing_ok=True)
    return written


def place(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, whoever else writes it at the same moment."""
    partial = unfinished(path.with_name(f".{path.name}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError as error:
        raise ParibusError(f"the report cannot be written to {path}: {error.strerror}") from None
    return path


def _html(findings: Findings, *, interactive: bool = False) -> Iterator[File]:
    from paribus.report.html import page  # with the libraries that draw

    yield "index.html", page(findings, interactive=interactive)


def _markdown(findings: Findings) -> Iterator[File]:
    from paribus.report.drawings import dark, drawings
    from paribus.report.markdown import document

    found = list(drawings(findings, chief=True))
    yield "report.md", document(findings, found)
    for drawing in found:
        yield f"figures/{drawing.name}.svg", drawing.svg
        yield f"figures/{drawing.name}-dark.svg", dark(drawing.svg)


def _latex(findings: Findings) -> Iterator[File]:
    from paribus.report.latex import files

    yield from files(findings)
    yield from _figures(findings, "pdf")


def _csv(findings: Findings) -> Iterator[File]:
    for name, (table, columns) in findings.tables.named().items():
        yield f"{name}.csv", tables.written(table, columns)
    yield "samples.jsonl", tables.lines(findings.tables.samples)
    yield "environment.json", documents.environment(findings)


def _parquet(findings: Findings) -> Iterator[File]:
    for name, (table, columns) in findings.tables.named().items():
        yield f"{name}.parquet", tables.packed(table, columns)


def _json(findings: Findings) -> Iterator[File]:
    yield "report.json", documents.report(findings)


def _figures(findings: Findings, kind: str) -> Iterator[File]:
    from paribus.report.drawings import drawings, turned

    for drawing in drawings(findings):
        yield f"figures/{drawing.name}.{kind}", turned(drawing.svg, kind)


FORMATS: Mapping[str, Maker] = {
    "html": _html,
    "md": _markdown,
    "tex": _latex,
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    **{kind: partial(_figures, kind=kind) for kind in ("pdf", "svg", "png")},
}
USUAL = ("html", "md", "csv", "json")
