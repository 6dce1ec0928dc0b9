"""`paribus init`: a commented experiment file to start from."""

import re
from pathlib import Path
from typing import Annotated

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
    import json

    from paribus.spec.catalogue import json_schema
    from paribus.spec.experiment import NAME

    known = [file.stem for file in TEMPLATES.glob("*.yaml")]
    if template not in known:
        raise ParibusError(f"--template: there is no template '{template}'{suggestion(template, known)}")
    if not re.fullmatch(NAME, name):
        raise ParibusError(f"got '{name}', needs letters, digits, - and _, the first a letter or a digit")
    file = Path(f"{name}.yaml")
    if file.exists():
        raise ParibusError(f"{file} is there already; give another name, or move it away")
    text = (TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8").replace("NAME", name)
    file.write_text(f"# yaml-language-server: $schema={SCHEMA}\n{text}", encoding="utf-8")
    Path(SCHEMA).write_text(json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    plain(f"wrote {file} and {SCHEMA} (which editors use to complete and check it)")
    plain(f"next: paribus check {file}   paribus run {file} --smoke   paribus run {file}")
    return 0
