"""`paribus parts`: the catalogue of what can be swapped."""

from typing import Any

from paribus.cli import options
from paribus.cli.output import as_json, plain, table
from paribus.errors import PartError, suggestion


def parts(family: str | None = None, /, *, json: options.Json = False) -> int:
    """List the swappable parts, or show those of a family.

    Parameters
    ----------
    family
        Such as score, position or norm.
    """
    from paribus.parts import FAMILIES, kinds
    from paribus.spec.catalogue import described

    if family is None:
        if json:
            as_json({name: list(kinds(name)) for name in FAMILIES})
            return 0
        table(
            "",
            ["family", "what it is", "kinds"],
            [(name, text, ", ".join(kinds(name))) for name, text in FAMILIES.items()],
        )
        plain("`paribus parts FAMILY` shows formulas and settings.")
        return 0
    if family not in FAMILIES:
        raise PartError(f"no family is called '{family}'{suggestion(family, FAMILIES)}")
    found: list[dict[str, Any]] = [described(family, kind) for kind in kinds(family)]
    if json:
        as_json(found)
        return 0
    plain(f"{family}: {FAMILIES[family]}\n")
    for part in found:
        plain(f"{part['kind']}\n    {part['summary']}")
        facts = [f"{part['parameters']:,} parameters"] if part["parameters"] is not None else []
        facts += [f"work grows as {part['cost']}"] if part["cost"] else []
        if facts:
            plain(f"    {'; '.join(facts)}")
        for name in ("leaks", "ignores"):
            if part[name]:
                plain(f"    {name}: {', '.join(part[name])}")
        for field in part["fields"]:
            told = f"    {field['name']}: {field['default']}  {field['description']}"
            plain(told + (f"; tuning range {_range(field['range'])}" if field["range"] else ""))
        plain("")
    if any(part["parameters"] is not None for part in found):
        plain(
            "Parameters at width 64, 4 heads of 16, 32 places. Q queries, K keys, D width of a head, T tokens, C width."
        )
    plain(f"A kind with a dot, such as mylab.{family}s.tilted, is a module of yours.")
    return 0


def _range(found: dict[str, Any]) -> str:
    if "choices" in found:
        return ", ".join(map(str, found["choices"]))
    return f"{found['low']} to {found['high']}" + (" on a log scale" if found.get("log") else "")
