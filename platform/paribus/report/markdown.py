"""Findings as a page for GitHub: a pipe table, words for verdicts, and a forest drawn in text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from paribus.report.attention import Attention
from paribus.report.comparison import Axis, Forest, Line, Secondary, Section, told_difference
from paribus.report.drawings import Drawing
from paribus.report.findings import Findings
from paribus.report.grids import Block, Grid, of_gaps, of_lengths
from paribus.report.numbers import MISSING
from paribus.report.samples import Samples, told

WIDTH = 41  # letters of the axis of the forest
_SPECIAL = re.compile(r"[\\`*_\[\]|~$]|^ ?[-+#=]|^ ?\d+(?=[.)])")


def document(findings: Findings, drawings: Sequence[Drawing] = ()) -> str:
    """The page; `drawings` lie beside it in `figures`, in light and in dark."""
    return "\n".join(_lines(findings, drawings)).rstrip("\n") + "\n"


def _lines(findings: Findings, drawings: Sequence[Drawing]) -> Iterator[str]:
    yield from (f"# {safe(findings.question or findings.title)}", "", f"**{safe(findings.answer)}**", "")
    yield from (safe(" · ".join([findings.title, findings.state, findings.identity])), "")
    for part in findings.sections:
        yield from _section(part)
    yield from _pictures(drawings)
    for block in findings.blocks:
        yield from _block(block)
    yield from _warnings(findings)
    yield from ("## Method", "")
    for line in findings.method:
        yield from (safe(line), "")
    yield from ("## Provenance", "")
    yield from _table(("", ""), findings.provenance, "ll")
    lines = [line for part in findings.sections for line in part.lines if line.command]
    rows = list(dict.fromkeys((line.arm, line.command) for line in lines))
    if rows:
        yield from _details("Train one arm again beside the baseline", _table(("arm", "command"), rows, "ll"))


def _pictures(drawings: Sequence[Drawing]) -> Iterator[str]:
    if drawings:
        yield from ("## Figures", "")
    for drawing in drawings:
        words = escape(" ".join(drawing.words.split())).replace("[", "&#91;")
        name = f"figures/{drawing.name}"
        yield "<picture>"
        yield f'<source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
        yield f'<img src="{name}.svg" alt="{words}">'
        yield from ("</picture>", "", safe(drawing.caption), "")


def _block(block: Block) -> Iterator[str]:
    yield from (f"## {safe(block.title)}", "")
    for paragraph in block.paragraphs:
        yield from (safe(paragraph), "")
    for grid in block.grids:
        yield from (f"**{safe(grid.title)}**", "")
        yield from _grid(grid)


def _grid(grid: Grid) -> Iterator[str]:
    sides = "l" + "".join("l" if head in grid.words else "r" for head in grid.heads[1:])
    return _table([safe(head) for head in grid.heads], grid.rows, sides)


def safe(text: str) -> str:
    """Text that stays text: one line, with all that Markdown or HTML would read escaped."""
    line = re.sub(r"\s+", " ", "".join(letter if letter.isprintable() else " " for letter in text))
    escaped = _SPECIAL.sub(_escaped, line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    # GitHub makes mentions and links of bare names and addresses.
    return escaped.replace("@", "&#64;").replace("://", "&#58;//").replace("www.", "www&#46;")


def _escaped(found: re.Match[str]) -> str:
    """A backslash before a sign; after a number, which would start a list."""
    text = found[0].strip()
    return f"{text}\\" if text.isdigit() else f"\\{text}"


def _plain(text: str) -> str:
    """Text for a code fence, which it cannot close."""
    return "".join(letter if letter.isprintable() and letter not in "`~" else " " for letter in text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> Iterator[str]:
    """Cells of `rows` are escaped here, `heads` are not."""
    yield _row(heads)
    yield _row(["---:" if side == "r" else "---" for side in sides])
    for row in rows:
        yield _row([safe(cell) for cell in row])
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _section(part: Section) -> Iterator[str]:
    yield from (f"## {safe(part.task)}: {safe(part.metric)} on {safe(part.split)}", "")
    yield from (f"Mean ± SD over seeds, {part.better}. {safe(part.method)}", "")
    heads = ["arm", "changed", f"{safe(part.metric)} {part.arrow}", f"improvement \\[{part.level} CI\\]", "verdict"]
    yield _row([*heads, "parameters", "tokens/s", "runs"])
    yield _row(["---", "---", "---:", "---:", "---", "---:", "---:", "---:"])
    for line in part.lines:
        yield _row(_cells(line))
    for floor in part.floors:
        told = (f"*{safe(floor.name)}*", f"untrained: {safe(floor.meaning)}", safe(floor.score))
        yield _row([*told, MISSING, "floor", MISSING, MISSING, safe(floor.runs)])
    yield from ("", "```text", *_forest(part), "```", "")
    for line in part.lines:
        if not line.is_baseline:
            tags = f" ({safe(', '.join(line.tags))})" if line.tags else ""
            yield f"- **{safe(line.arm)}**: {safe(line.sentence)}{tags}"
    yield ""
    yield from _details("What each arm changes", _changes(part))
    yield from _details("Runs", _runs(part))
    yield from _details("Numbers", _numbers(part))
    costs = ((line.arm, *line.costs) for line in part.lines)
    yield from _details("Cost", _table(("arm", *part.cost_heads), costs, "l" + "r" * len(part.cost_heads)))
    if part.lengths:
        yield from _details("Length", _grid(of_lengths(part.lengths)))
        if gaps := of_gaps(part.lengths):
            yield from _details("Improvement by length", _grid(gaps))
    if part.attention:
        yield from _details("Attention", _heads(part.attention))
    if part.samples:
        yield from _details("Samples", _samples(part.samples))
    if part.secondary:
        yield from _details("Other metrics and splits (exploratory)", _secondary(part.secondary, part.level))


def _heads(found: Attention) -> Iterator[str]:
    heads = ("arm", "place", "heads", "entropy", "distance", "diagonal mass", "labels")
    rows = (
        (one.arm, one.place, str(one.heads), one.entropy, one.distance, one.diagonal, one.labels)
        for one in found.spreads
    )
    return _table(heads, rows, "llrrrrl")


def _samples(found: Samples) -> Iterator[str]:
    yield from (safe(found.caption), "")
    for sample in found.samples:
        yield f"- {safe(sample.source)} → {safe(sample.target)}: {safe(told(sample))}"
        for arm, output in sample.wrong:
            yield f"  - {safe(arm)}: {safe(output) or 'nothing'}"
    yield ""
    rows = ((one.arm, one.agree, one.only_baseline, one.only_arm) for one in found.disagreements)
    yield from _table(("arm", "agree", "only baseline right", "only arm right"), rows, "lrrr")


def _cells(line: Line) -> Iterator[str]:
    name, verdict = safe(line.arm), safe(f"{line.icon} {line.verdict}")
    yield name
    yield safe("; ".join(line.changed)) or MISSING
    yield safe(line.score)
    yield safe(f"{line.difference} {line.interval}".strip())
    yield "baseline" if line.is_baseline else f"**{verdict}**" if line.verdict == "better" else verdict
    yield from map(safe, (line.parameters, line.speed, line.runs))


def _details(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("<details>", f"<summary>{summary}</summary>", "", *lines, "</details>", "")


def _changes(part: Section) -> Iterator[str]:
    for line in part.lines:
        for difference in line.differences:
            yield f"- **{safe(line.arm)}** {safe(told_difference(difference))}"
    yield ""


def _runs(part: Section) -> Iterator[str]:
    rows = ((line.arm, *(cell.text for cell in line.cells)) for line in part.lines)
    return _table(("arm", *(f"seed {seed}" for seed in part.seeds)), rows, "l" + "r" * len(part.seeds))


def _numbers(part: Section) -> Iterator[str]:
    for line in part.lines:
        if line.numbers:
            yield from (f"**{safe(line.arm)}**", "")
            yield from _table(("", ""), line.numbers, "lr")


def _secondary(found: Iterable[Secondary], level: str) -> Iterator[str]:
    for other in found:
        yield from (f"**{safe(other.title)}**", "")
        rows = (
            (arm, score, f"{difference} {interval}".strip(), f"{icon} {verdict}".strip())
            for arm, score, difference, interval, icon, verdict in other.lines
        )
        yield from _table(("arm", "mean ± SD", f"improvement \\[{level} CI\\]", "verdict"), rows, "lrrl")


def _warnings(findings: Findings) -> Iterator[str]:
    yield from ("## Warnings", "")
    for warning in findings.warnings:
        yield from ("> [!WARNING]", f"> **{warning.code}** {safe(warning.evidence)} {safe(warning.effect)}")
        yield from (f"> {safe(warning.remedy)}", "")
    if not findings.warnings:
        yield from ("None.", "")


def _forest(part: Section) -> Iterator[str]:
    """Intervals as letters: `├──●──┤` around the mean, `┊` zero, `░` the smallest effect, `◀` beyond the axis."""
    names = [_plain(line.arm) for line in part.lines]
    width = max(len(name) for name in names)
    yield " " * width + "  " + _scale(part.axis)
    for name, line in zip(names, part.lines, strict=True):
        drawn = _drawn(part.axis, line.forest)
        said = "" if line.is_baseline else f"  {line.difference}  {line.icon} {line.verdict}"
        yield f"{name.ljust(width)}  {drawn}{said}".rstrip()


def _scale(axis: Axis) -> str:
    letters = [" "] * WIDTH
    for value, text in axis.ticks:
        start = min(max(0, _at(axis, value) - len(text) // 2), WIDTH - len(text))
        room = letters[max(0, start - 1) : start + len(text) + 1]
        if set(room) == {" "}:
            letters[start : start + len(text)] = text
    return "".join(letters)


def _at(axis: Axis, value: float) -> int:
    return round(axis.at(value) * (WIDTH - 1))


def _drawn(axis: Axis, row: Forest | None) -> str:
    letters = [" "] * WIDTH
    if axis.band:
        for place in range(_at(axis, -axis.band), _at(axis, axis.band) + 1):
            letters[place] = "░"
    letters[_at(axis, 0)] = "┊"
    if row is None:
        letters[_at(axis, 0)] = "●"
    elif row.mean == row.mean:
        _draw_interval(letters, axis, row)
    return "".join(letters)


def _draw_interval(letters: list[str], axis: Axis, row: Forest) -> None:
    if not axis.holds(row.mean):
        letters[0 if row.mean < axis.low else -1] = "◀" if row.mean < axis.low else "▶"
        return
    if row.low == row.low:
        low, high = _at(axis, row.low), _at(axis, row.high)
        letters[low : high + 1] = "─" * (high + 1 - low)
        letters[low] = "├" if axis.holds(row.low) else "─"
        letters[high] = "┤" if axis.holds(row.high) else "─"
    letters[_at(axis, row.mean)] = "●"
