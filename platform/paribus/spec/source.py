"""The text of a YAML file as plain data, with the place of every key and value. Data only: no tags, no code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from paribus.errors import Place, Problem, SpecError

Keys = tuple[object, ...]

LARGEST = 1_000_000  # bytes; experiment files are a few thousand
MOST_VALUES = 50_000  # after aliases are followed
_CORE = "tag:yaml.org,2002:"
_PLAIN = {f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge")}


@dataclass
class Source:
    """What a file says and where it says it."""

    file: str
    data: dict[str, Any]
    keys: dict[Keys, Place] = field(default_factory=dict)
    values: dict[Keys, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Keys, *, at_key: bool = False) -> Place | None:
        """Where a path stands, or the deepest part of it that the file has."""
        for length in range(len(path), 0, -1):
            wanted = self.keys if at_key and length == len(path) else self.values
            place = wanted.get(path[:length]) or self.keys.get(path[:length])
            if place:
                return place
        return None

    def __contains__(self, path: object) -> bool:
        return path in self.values


def read(file: FilePath) -> Source:
    """The file's data and places; raises SpecError where there is nothing that could be read on."""
    name = str(file)

    def stop(message: str, place: Place | None = None) -> SpecError:
        return SpecError([Problem("", message, place or Place(name, 1, 1))])

    try:
        if file.stat().st_size > LARGEST:
            raise stop(
                f"the file has {file.stat().st_size:,} bytes, more than the {LARGEST:,} that an experiment may have"
            )
        raw = file.read_bytes()
    except FileNotFoundError:
        raise stop("there is no such file") from None
    except IsADirectoryError:
        raise stop("this is a folder; needs an experiment file") from None
    except OSError as error:
        raise stop(f"the file cannot be read: {error.strerror}") from None
    if b"\0" in raw:
        raise stop("the file holds binary data; needs YAML text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise stop(f"the file is not UTF-8 text (byte {error.start})") from None
    return parse(text, name)


def parse(text: str, name: str) -> Source:
    """The data and places of a text; `name` stands for the file in messages."""
    lines = text.splitlines()
    source = Source(name, {})
    tab = next((number for number, line in enumerate(lines, 1) if _tab_indents(line)), None)
    if tab:
        column = lines[tab - 1].index("\t") + 1
        raise SpecError(
            [Problem("", "a tab indents this line; YAML needs spaces", Place(name, tab, column, lines[tab - 1]))]
        )
    try:
        documents = list(YAML(typ="rt", pure=True).compose_all(text))
    except MarkedYAMLError as error:
        raise SpecError([_syntax(error, name, lines)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise SpecError(
            [Problem("", f"this is not YAML: {str(error) or type(error).__name__}", Place(name, 1, 1))]
        ) from None
    root = documents[0] if documents else None
    if root is None or (isinstance(root, ScalarNode) and not root.value):
        raise SpecError([Problem("", "the file is empty; `paribus init` writes one to start from", Place(name, 1, 1))])
    if len(documents) > 1:
        place = _place(documents[1], name, lines)
        raise SpecError([Problem("", "a second document starts here; an experiment is one document", place)])
    if not isinstance(root, MappingNode):
        raise SpecError([Problem("", "needs `key: value` lines at the top", _place(root, name, lines))])
    if _size(root, {}) > MOST_VALUES:
        message = f"aliases make this file more than {MOST_VALUES:,} values long"
        raise SpecError([Problem("", message, _place(root, name, lines))])
    source.data = _Reader(source, lines).mapping(root, ())
    return source


def _tab_indents(line: str) -> bool:
    return "\t" in line[: len(line) - len(line.lstrip())] and bool(line.strip())


def _place(node: Node, name: str, lines: list[str]) -> Place:
    mark = node.start_mark
    return Place(name, mark.line + 1, mark.column + 1, lines[mark.line] if mark.line < len(lines) else "")


def _syntax(error: MarkedYAMLError, name: str, lines: list[str]) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    what = " ".join(part for part in (error.context, error.problem) if part)
    place = Place(name, line + 1, column + 1, lines[line] if line < len(lines) else "")
    return Problem("", f"this is not YAML: {what}", place)


def _size(node: Node, known: dict[int, int]) -> int:
    """How many values a node becomes once aliases are followed; a node inside itself counts as too many."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_VALUES + 1
    inner: Iterator[Node]
    if isinstance(node, MappingNode):
        inner = (item for pair in node.value for item in pair)
    else:
        inner = iter(node.value if isinstance(node, SequenceNode) else ())
    known[id(node)] = min(MOST_VALUES + 1, 1 + sum(_size(item, known) for item in inner))
    return known[id(node)]


class _Reader:
    """Turns nodes into data and notes the places on the way."""

    def __init__(self, source: Source, lines: list[str]) -> None:
        self._source = source
        self._lines = lines
        self._scalars = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: Keys) -> Any:
        self._source.values[path] = _place(node, self._source.file, self._lines)
        tag = str(node.tag)
        if tag not in _PLAIN and tag != f"{_CORE}timestamp":
            self._complain(path, f"the tag {_shown(tag)} is not allowed; a file is plain data", node)
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if tag == f"{_CORE}timestamp":
            return node.value
        return self._scalar(node, path)

    def _scalar(self, node: Node, path: Keys) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (YAMLError, ValueError, TypeError, OverflowError):
            self._complain(path, f"cannot read the value {str(node.value)[:60]!r}", node)
            return None

    def mapping(self, node: MappingNode, path: Keys) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag) == f"{_CORE}merge":
                self._merge(data, value_node, path)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            at = (*path, key)
            if key in data and at in self._source.keys:
                first = self._source.keys[at].line
                self._complain(at, f"this key stands here twice; it was set in line {first} already", key_node)
                continue
            self._source.keys[at] = _place(key_node, self._source.file, self._lines)
            data[key] = self.value(value_node, at)
        return data

    def _key(self, node: Node, path: Keys) -> str | None:
        if not isinstance(node, ScalarNode):
            self._complain(path, "a key must be a plain word", node)
            return None
        return str(node.value)

    def _merge(self, data: dict[str, Any], node: Node, path: Keys) -> None:
        """`<<: *other` gives the keys that the mapping does not set itself."""
        for inner in node.value if isinstance(node, SequenceNode) else [node]:
            if not isinstance(inner, MappingNode):
                self._complain(path, "`<<` needs a mapping", inner)
                continue
            for key, value in self.mapping(inner, path).items():
                data.setdefault(key, value)
        for key in data:
            self._source.keys.pop((*path, key), None)

    def _complain(self, path: Keys, message: str, node: Node) -> None:
        self._source.problems.append(Problem(label(path), message, _place(node, self._source.file, self._lines)))


def _shown(tag: str) -> str:
    return tag.replace(_CORE, "!!")


def label(path: Keys) -> str:
    """A path as a user would write it: names with dots or spaces inside are quoted, numbers stand in brackets."""
    text = ""
    for piece in path:
        if isinstance(piece, int):
            text += f"[{piece}]"
        else:
            text += ("." if text else "") + (f"'{piece}'" if re.search(r"[. ]", str(piece)) else str(piece))
    return text
