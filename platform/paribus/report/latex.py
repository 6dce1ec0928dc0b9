"""Findings as LaTeX: a table to \\input, every number as a macro, and a small document that shows both."""

import re
from collections.abc import Iterable, Iterator
from unicodedata import name as name_of

from paribus.report.comparison import Line, Section
from paribus.report.findings import Findings
from paribus.report.numbers import MINUS, MISSING

LONG = 24  # letters of a name that stand in one line
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",  # two of them would become one dash
    "[": r"{[}",  # not an argument of what stands before it
    "]": r"{]}",
    MINUS: r"$-$",
    MISSING: r"--",
    "±": r"\(\pm\)",
    "→": r"\(\rightarrow\)",
    "↑": r"\(\uparrow\)",
    "↓": r"\(\downarrow\)",
    "·": r"\(\cdot\)",
    "×": r"\(\times\)",
    "≥": r"\(\ge\)",
    "≤": r"\(\le\)",
    "✕": r"\(\times\)",
    "◌": r"\(\circ\)",
    "“": "``",
    "”": "''",
}
PREAMBLE = r"""% Needs: \usepackage{booktabs,siunitx,textcomp} and \usepackage[T1]{fontenc}
\providecommand{\paribusletter}[1]{\ifdefined\Umathcode\char"#1\relax\else\texttt{U+#1}\fi}
"""
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def safe(text: str) -> str:
    """Text that stays text: LaTeX's signs escaped, letters that pdflatex lacks named by their number."""
    line = re.sub(r"\s+", " ", text)
    return "".join(_letter(letter) for letter in line)


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if " " <= letter <= "~" or (letter.isalpha() and letter <= "ÿ"):
        return letter
    # Marks that have no look of their own, such as a change of direction, are left away.
    return rf"\paribusletter{{{ord(letter):04X}}}" if letter.isprintable() else ""


def _name(text: str) -> str:
    """A name in a cell: long ones break between words, and long words anywhere."""
    if len(text) <= LONG:
        return safe(text)
    pieces = (r"\allowbreak{}".join(map(safe, _pieces(word))) for word in re.split(r"\s+", text))
    return rf"\parbox[t]{{4.5cm}}{{\raggedright {' '.join(pieces)}\strut}}"


def _pieces(word: str) -> list[str]:
    return [word[start : start + 8] for start in range(0, len(word), 8)] if len(word) > LONG else [word]


def files(findings: Findings) -> Iterator[tuple[str, str]]:
    """`table.tex` (one more for each further task), `claims.tex`, `numbers.tex`, and `report.tex` that shows them."""
    names = []
    for index, part in enumerate(findings.sections):
        names.append("table.tex" if index == 0 else f"table-{index + 1}.tex")
        yield names[-1], PREAMBLE + "\n".join(_table(part, findings)) + "\n"
    if findings.claims:
        names.append("claims.tex")
        yield names[-1], PREAMBLE + "\n".join(_claims(findings)) + "\n"
    yield "numbers.tex", "\n".join(_numbers(findings)) + "\n"
    yield "report.tex", "\n".join(_document(findings, names)) + "\n"


def _table(part: Section, findings: Findings) -> Iterator[str]:
    scores = [_value(line.score) for line in part.lines]
    whole, spread, gains = (
        _format(pair[0] for pair in scores),
        _format(pair[1] for pair in scores),
        _format((line.difference for line in part.lines), sign=True),
    )
    yield from (r"\begin{table}", r"\centering\small")
    yield rf"\caption{{{safe(_title(part))}.}}"
    plus = r"@{\,\(\pm\)\,}"
    columns = f"l l S[table-format={whole}]{plus}S[table-format={spread}] S[table-format={gains}] l l r r"
    yield rf"\begin{{tabular}}{{{columns}}}"
    yield r"\toprule"
    arrow = safe(part.arrow)
    heads = [
        "arm",
        "changed",
        rf"\multicolumn{{2}}{{c}}{{{safe(part.metric)} {arrow}}}",
        r"{improvement}",
        rf"{{[{safe(part.level)} CI]}}",
        "verdict",
        "parameters",
        "runs",
    ]
    yield " & ".join(heads) + r" \\"
    yield r"\midrule"
    best = _best(part)
    for line in part.lines:
        yield _row(line, best) + r" \\"
        if line.is_baseline and len(part.lines) > 1:
            yield r"\addlinespace"
    yield from (r"\bottomrule", r"\end{tabular}", "", r"\smallskip", r"\parbox{\linewidth}{\footnotesize")
    yield rf"{safe(f'Mean ± SD over {len(part.seeds)} seeds. {part.method}')}"
    yield (
        r"Bold: better than the baseline; underlined: best mean that is not shown to be better. "
        r"\(\dagger\) differs after correction; \(\ddagger\) equivalent; \(\S\) a difference that is negligible.}"
    )
    yield r"\end{table}"


def _claims(findings: Findings) -> Iterator[str]:
    """What became of the claims, a row each."""
    yield from (r"\begin{table}", r"\centering\small", r"\caption{What became of what was claimed before the runs.}")
    yield from (
        r"\begin{tabular}{p{.3\linewidth}lp{.5\linewidth}}",
        r"\toprule",
        r"claim & answer & why \\",
        r"\midrule",
    )
    several = len(findings.sections) > 1
    for claim in findings.claims:
        said = f"{claim.text or claim.stated}{f' ({claim.task})' if several else ''}"
        cells = (safe(said), safe(claim.answer), safe(claim.sentence))
        yield (
            " & ".join(rf"\raggedright {cell}" if index != 1 else cell for index, cell in enumerate(cells))
            + r" \tabularnewline"
        )
    yield from (r"\bottomrule", r"\end{tabular}", r"\end{table}")


def _title(part: Section) -> str:
    unit = f" ({part.unit})" if part.unit else ""
    return f"{part.task}: {part.metric}{unit} on {part.split}"


def _best(part: Section) -> str:
    """The arm with the best mean, if it is not shown to be better than the baseline."""
    known = [(value, line) for line in part.lines if (value := _number(_value(line.score)[0])) is not None]
    if not known:
        return ""
    _, line = (max if part.arrow == "↑" else min)(known, key=lambda pair: pair[0])
    return "" if line.verdict == "better" else line.arm


def _row(line: Line, best: str) -> str:
    mean, sd = _value(line.score)
    bold = line.verdict == "better"
    name = _name(line.arm)
    name = (
        rf"\textbf{{{name}}}"
        if bold
        else rf"\underline{{{name}}}"
        if line.arm == best and len(line.arm) <= LONG
        else name
    )
    mark = {
        "better": r"\textsuperscript{\(\dagger\)}",
        "worse": r"\textsuperscript{\(\dagger\)}",
        "equivalent": r"\textsuperscript{\(\ddagger\)}",
    }
    marks = mark.get(line.verdict, r"\textsuperscript{\(\S\)}" if line.verdict.startswith("negligibly") else "")
    verdict = "baseline" if line.is_baseline else safe(line.verdict)
    failed = rf"\textsuperscript{{{line.failed} failed}}" if line.failed else ""
    return " & ".join(
        [
            name,
            _name(line.changed[0]) + (" \\dots" if len(line.changed) > 1 else "") if line.changed else "",
            _cell(mean, bold),
            _cell(sd, False),
            _cell(line.difference, bold),
            safe(line.interval),
            (rf"\textbf{{{verdict}}}" if bold else verdict) + marks,
            safe(line.parameters),
            safe(line.runs.split(" ")[0]) + failed,
        ]
    )


def _value(score: str) -> tuple[str, str]:
    mean, _, sd = score.partition(" ± ")
    return mean, sd


def _number(text: str) -> float | None:
    try:
        return float(text.replace(MINUS, "-"))
    except ValueError:
        return None


def _cell(text: str, bold: bool) -> str:
    """A cell of a column of numbers; what is no number stands in braces."""
    if _number(text) is None:
        return f"{{{safe(text) if text != MISSING else '--'}}}" if text else "{}"
    plain = text.replace(MINUS, "-")
    return rf"\bfseries {plain}" if bold else plain


def _format(texts: Iterable[str], sign: bool = False) -> str:
    """`+1.3` for numbers of one digit before the point and three behind it."""
    known = [text.replace(MINUS, "-") for text in texts if _number(text) is not None]
    before = max((len(text.lstrip("+-").split(".")[0]) for text in known), default=1)
    behind = max((len(text.partition(".")[2]) for text in known), default=0)
    signed = "+" if sign else "-" if any(text.startswith("-") for text in known) else ""
    return f"{signed}{before}.{behind}" if behind else f"{signed}{before}"


def _numbers(findings: Findings) -> Iterator[str]:
    """Each number of the tables under a name, so that a paper cannot drift from its results."""
    yield "% Numbers of this report; \\input this file, then write \\oneHeadDelta and so on."
    yield PREAMBLE.splitlines()[1]
    taken: set[str] = set()
    several = len(findings.sections) > 1
    for part in findings.sections:
        for line in part.lines:
            stem = _unused(_macro((part.task if several else "", line.arm)), taken)
            mean, sd = _value(line.score)
            low, high = ([*line.interval.strip("[]").split(", "), ""] if line.interval else ["", ""])[:2]
            facts = {
                "Mean": mean,
                "SD": sd,
                "Delta": line.difference,
                "Low": low,
                "High": high,
                "Verdict": line.verdict or "baseline",
                "Runs": line.runs.split(" ")[0],
                "Parameters": line.parameters,
            }
            yield f"% {_comment(f'{part.task}: {line.arm}')}"
            yield from (rf"\newcommand{{\{stem}{key}}}{{{safe(value)}}}" for key, value in facts.items())


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text)


def _macro(words: Iterable[str]) -> str:
    """`oneHead` for one_head, `headsOne` for heads=1: macros have letters only."""
    found = [piece for word in words for piece in re.findall(r"[A-Za-z]+|[0-9]|[^\W_]", word)]
    pieces = [
        _DIGITS[int(piece)] if piece in "0123456789" else piece if piece.isascii() else _spoken(piece)
        for piece in found
    ]
    joined = "".join(piece[:1].upper() + piece[1:] for piece in pieces)[:60]
    return joined[:1].lower() + joined[1:] or "arm"


def _spoken(letter: str) -> str:
    return "".join(re.findall("[A-Za-z]+", name_of(letter, "letter").title()))


def _unused(stem: str, taken: set[str]) -> str:
    """The stem, with letters behind it where two names give one."""
    found, number = stem, 0
    while found in taken:
        number += 1
        found = stem + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 26] * (1 + number // 26)
    taken.add(found)
    return found


def _document(findings: Findings, tables: list[str]) -> Iterator[str]:
    yield r"""% The tables and numbers of this report on their own; compile with pdflatex.
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[landscape,margin=15mm]{geometry}
\usepackage{booktabs,siunitx,textcomp,graphicx}
\sisetup{detect-weight=true,mode=text}
\begin{document}"""
    yield PREAMBLE.splitlines()[1]
    yield rf"\section*{{{safe(findings.question or findings.title)}}}"
    yield safe(findings.answer)
    yield r"\input{numbers}"
    yield from (rf"\input{{{name.removesuffix('.tex')}}}" for name in tables)
    yield r"\end{document}"
