"""`paribus explain`: what a key of an experiment file means."""

from dataclasses import asdict
from itertools import groupby

from paribus.cli import options
from paribus.cli.output import as_json, plain


def explain(key: str, /, *, json: options.Json = False) -> int:
    """Say what a key of an experiment file means.

    Parameters
    ----------
    key
        Dotted, such as network.mixer.heads, or only its end.
    """
    from paribus.spec.explaining import explain as find

    found = find(key)
    if json:
        as_json([asdict(entry) for entry in found])
        return 0
    for name, entries in groupby(found, lambda entry: entry.key):
        plain(name + (f"  ({found[0].place})" if found[0].place else ""))
        for told, alike in groupby(entries, lambda e: (e.description, e.default, e.values, e.below)):
            description, default, values, below = told
            owners = [entry.kind for entry in alike if entry.kind]
            plain(f"  {description}" + (f"  [{', '.join(owners)}]" if owners else ""))
            plain(f"  default: {default}")
            if values:
                plain(f"  one of: {', '.join(values)}")
            if below:
                plain(f"  below it: {', '.join(below)}")
    return 0
