"""`paribus check-part`: whether a part keeps the promises of its family, each with the smallest failing example."""

from collections import Counter
from typing import Annotated, Any

from cyclopts import Parameter

from paribus.cli import options
from paribus.cli.output import as_json, plain
from paribus.errors import ParibusError, PartError, suggestion


def check_part(
    module: str,
    /,
    *,
    family: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json: options.Json = False,
) -> int:
    """Ask a part for every promise of its family; exit code 1 where one is broken.

    Parameters
    ----------
    module
        An import path such as mylab.scores.tilted, or a part of paribus such as score.additive.
    family
        What it is, where that cannot be told from the module.
    set_
        A setting of the part, such as --set hidden=32; may be given several times.
    """
    from paribus.parts import FAMILIES
    from paribus.promises import check

    if family is not None and family not in FAMILIES:
        raise PartError(f"--family: no family is called '{family}'{suggestion(family, FAMILIES)}")
    found, kind = _found(module, family)
    spec = _spec(found, kind, set_ or [])
    outcomes = check(found, spec)
    broken = any(outcome.verdict == "broken" for outcome in outcomes)
    if json:
        as_json([vars(outcome) for outcome in outcomes])
        return 1 if broken else 0
    plain(f"{kind}, a part of the family {found}: {FAMILIES[found]}\n")
    for outcome in outcomes:
        plain(f"{outcome.verdict:<16}{outcome.promise}")
        if outcome.text:
            plain(f"{'':<16}  {outcome.text}")
    if not outcomes:
        plain(f"the family {found} promises nothing that could be asked")
    counts = Counter(outcome.verdict for outcome in outcomes)
    plain(f"\n{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
    return 1 if broken else 0


def _found(module: str, family: str | None) -> tuple[str, str]:
    """(family, kind) of a part of paribus or of an import path."""
    import sys
    from pathlib import Path

    from paribus.parts import FAMILIES, kinds, outside_spec
    from paribus.parts.families import families_of

    first, _, rest = module.replace("/", ".").partition(".")
    if first in FAMILIES and rest:
        if rest not in kinds(first):
            raise PartError(f"no {first} is called '{rest}'{suggestion(rest, kinds(first))}")
        return first, rest
    if "." not in module:
        raise PartError(
            f"got '{module}', needs an import path such as mylab.scores.tilted, or one such as score.additive"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    told = families_of(outside_spec(module))
    if family is not None or len(told) == 1:
        return family or told[0], module
    could = f"could be of {' or '.join(told)}" if told else "does not tell its family"
    raise PartError(f"'{module}' {could}; give --family, one of: {', '.join(told or FAMILIES)}")


def _spec(family: str, kind: str, sets: list[str]) -> Any:
    """The part with the settings that were given."""
    from pydantic import ValidationError

    from paribus.parts import Swappable, spec_class
    from paribus.spec.source import parse
    from paribus.spec.wording import said

    fields: dict[str, Any] = {"kind": kind}
    for text in sets:
        key, sign, value = text.partition("=")
        source = parse(f"value: {value or 'null'}", f"--set {text}")
        if not sign or not key or source.problems:
            raise ParibusError(f"--set: got '{text}', needs field=value")
        *path, last = key.split(".")
        inner = fields
        for name in path:
            inner = inner.setdefault(name, {})
        inner[last] = source.data["value"]
    model = spec_class(family, kind)
    given = {name: value for name, value in fields.items() if name != "kind"}
    try:
        return Swappable(family).validate(fields)
    except ValidationError as error:
        told = []
        for detail in error.errors():
            path = [str(piece) for piece in detail["loc"]]
            message = said(detail, model, path, given)
            needs = "; give --set" if detail["type"] == "missing" else ""
            told.append(f"{kind}: {'.'.join(path)}: {message}{f'{needs} {path[-1]}=VALUE' if needs else ''}")
        raise PartError("\n".join(told)) from None
