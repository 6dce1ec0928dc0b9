"""`paribus schema`: the JSON Schema of experiment files, for editors."""

from paribus.cli.output import as_json


def schema() -> int:
    """Print the JSON Schema of experiment files (draft-07), for editors."""
    from paribus.spec.catalogue import json_schema

    as_json(json_schema())
    return 0
