"""Every exception that paribus raises for a reason a user can act on.

ParibusError            message only, exit code 2
├── SpecError           an experiment file says something wrong; carries every problem with its place
├── PartError           a part cannot be found or imported
├── StoreError          the store cannot be opened, or does not hold what was asked for
├── MachineError        this machine lacks what the experiment asks for
└── Broken              a part does not do what its family promises
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches


class ParibusError(Exception):
    """A mistake that the user can mend; printed without a traceback."""


class PartError(ParibusError):
    """A part cannot be found, imported or used where it stands."""


class StoreError(ParibusError):
    """The store cannot be opened, or does not hold what was asked for."""


class MachineError(ParibusError):
    """This machine lacks what the experiment asks for."""


class Broken(ParibusError):
    """A part does not do what its family promises: what was seen, and the smallest example that shows it."""

    def __init__(self, seen: str, example: str = "", *, promise: str = "") -> None:
        self.seen = seen
        self.example = example
        self.promise = promise
        where = f" ({example})" if example else ""
        super().__init__(f"{promise}: {seen}{where}" if promise else f"{seen}{where}")

    def of(self, promise: str) -> "Broken":
        """The same, naming the promise that is broken."""
        return Broken(self.seen, self.example, promise=promise)


@dataclass(frozen=True)
class Place:
    """Where in a file something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.in_file else self.file

    @property
    def in_file(self) -> bool:
        """Whether it is no place of the command line."""
        return not self.file.startswith("--")

    def caret(self) -> str:
        """The line itself with a caret under the place, or nothing when the line is unknown."""
        if not self.text.strip():
            return ""
        start = 0
        shown = self.text
        if len(shown) > 110:  # a very long line: show what surrounds the place
            start = max(0, self.column - 60)
            shown = shown[start : start + 110]
        under = "".join("\t" if letter == "\t" else " " for letter in shown[: self.column - 1 - start])
        return f"    {shown.rstrip()}\n    {under}^"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its place, its key as written, and what would be right."""

    key: str
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        head = f"{self.place}  " if self.place else ""
        body = f"{self.key}: {self.message}" if self.key else self.message
        caret = self.place.caret() if self.place else ""
        return f"{head}{body}" + (f"\n{caret}" if caret else "")


class SpecError(ParibusError):
    """Everything that is wrong in one or more experiment files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        files = {problem.place.file for problem in problems if problem.place and problem.place.in_file}
        count = plural(len(problems), "problem")
        where = f" in {plural(len(files), 'file')}" if files else ""
        lines = [str(problem) for problem in problems]
        super().__init__("\n".join([*lines, f"{count}{where}; nothing was run"]))


def suggestion(wrong: object, known: Iterable[str], *, listing: str = "Known") -> str:
    """The end of a message about an unknown word: what may have been meant, and what there is."""
    words = sorted(known)
    close = get_close_matches(str(wrong), words, n=1, cutoff=0.6)
    meant = f"; did you mean '{close[0]}'?" if close and close[0] != str(wrong) else "."
    return f"{meant} {listing}: {', '.join(words)}" if words else ""


def plural(count: int, noun: str, several: str = "") -> str:
    """`1 run`, `2 runs`"""
    return f"{count} {noun}" if count == 1 else f"{count} {several or f'{noun}s'}"


def shown(value: object) -> str:
    """A value as YAML would write it, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    text = (
        repr(value)
        if not isinstance(value, Mapping)
        else "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    )
    return text if len(text) <= 60 else f"{text[:57]}..."
