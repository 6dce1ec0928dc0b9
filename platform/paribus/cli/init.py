"""`paribus init`: a commented experiment file to start from."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from paribus.cli.output import plain
from paribus.errors import ParibusError, suggestion

SCHEMA = "paribus.schema.json"
TEMPLATES = Path(__file__).parent / "templates"


def init(name: str = "experiment", /, *, template: Annotated[str, Parameter()] = "translation") -> int:
    """Write a commented experiment file to start from, and the schema for editors beside it.

    Parameters
    ----------
    name
        Of the experiment; the file is NAME.yaml.
    template
        translation (pairs, encoder-decoder) or labels (parity, encoder).
    """
    from paribus.spec.experiment import NAME

    known = [file.stem for file in TEMPLATES.glob("*.yaml")]
    if template not in known:
        raise ParibusError(f"--template: there is no template '{template}'{suggestion(template, known)}")
    if not re.fullmatch(NAME, name):
        raise ParibusError(f"got '{name}', needs a-z, A-Z, 0-9, - and _, the first a letter or a digit")
    file = Path(f"{name}.yaml")
    if file.exists():
        raise ParibusError(f"{file} is there already; give another name, or move it away")
    text = (TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8").replace("NAME", name)
    file.write_text(f"# yaml-language-server: $schema={SCHEMA}\n{text}", encoding="utf-8")
    plain(f"wrote {file}")
    plain(_schema(Path(SCHEMA)))
    plain(f"next: paribus check {file}   paribus run {file} --smoke   paribus run {file}")
    return 0


def _schema(file: Path) -> str:
    """Put the schema of this version into its place, unless somebody's own is there; says what was done."""
    from paribus.spec.catalogue import json_schema

    tree = json_schema()
    text = json.dumps({**tree, "$comment": _mark(tree)}, ensure_ascii=False, indent=1) + "\n"
    before = file.read_text(encoding="utf-8") if file.exists() else None
    if before == text:
        return f"{file} is there already and up to date"
    if before is not None and not _as_written(before):
        return f"kept {file}, which is not as paribus wrote it; `paribus schema` prints the one of this version"
    file.write_text(text, encoding="utf-8")
    return f"{'wrote' if before is None else 'brought up to date:'} {file} (which editors use to complete and check it)"


def _as_written(text: str) -> bool:
    """Whether a schema is as some version of paribus wrote it."""
    try:
        tree = json.loads(text)
        return bool(tree.pop("$comment") == _mark(tree))
    except (ValueError, AttributeError, KeyError, TypeError):
        return False


def _mark(tree: dict[str, Any]) -> str:
    from paribus.planning import hashed

    return f"written by paribus init, {hashed(tree)}"
