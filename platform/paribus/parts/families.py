"""Which family a part belongs to that does not lie in a family's folder: told by what it derives from."""

import sys
import typing

from paribus.parts import Part

# What a family's Specs derive from, and what they build; both where the family says so.
SPECS = {
    "position": "PositionSpec",
    "mixer": "MixerSpec",
    "task": "TaskSpec",
    "decoding": "DecodingSpec",
    "optimizer": "OptimizerSpec",
    "schedule": "ScheduleSpec",
    "metric": "MetricSpec",
}
INTERFACES = {
    "score": "Score",
    "weights": "Weights",
    "window": "Window",
    "position": "Position",
    "norm": "Norm",
    "mixer": "Mixer",
    "feedforward": "Feedforward",
    "initialisation": "Initialisation",
    "task": "Task",
}


def families_of(spec: type[Part]) -> tuple[str, ...]:
    """The families that a Spec could belong to: by its own class, else by what it builds, else by its module."""
    by_spec = _families_of([spec], SPECS)
    return by_spec or _families_of([_built_by(spec)], INTERFACES) or _families_of(_defined_beside(spec), INTERFACES)


def needed(family: str) -> str:
    """What a part of a family has to be."""
    if family in INTERFACES:
        return f"builds a paribus.parts.{family}.{INTERFACES[family]}"
    return f"has a Spec that derives from paribus.parts.{family}.{SPECS[family]}"


def misplaced(family: str, spec: type[Part]) -> str | None:
    """Why a Spec is none of the family, or nothing where it may be."""
    found = families_of(spec)
    if family in found or (not found and family in INTERFACES):
        return None
    what = f"is of the family {' or '.join(found)}" if found else "does not tell its family"
    return f"'{spec.__module__}' {what}; needs one of the family {family}, which {needed(family)}"


def _families_of(classes: list[type], table: dict[str, str]) -> tuple[str, ...]:
    """A part can only derive from what is imported already, so nothing is imported to find out."""
    found = []
    for family, name in table.items():
        interface = getattr(sys.modules.get(f"paribus.parts.{family}"), name, None)
        if isinstance(interface, type) and any(issubclass(one, interface) for one in classes):
            found.append(family)
    return tuple(found)


def _built_by(spec: type[Part]) -> type:
    """What `build` says that it gives."""
    try:
        told = typing.get_type_hints(spec.build).get("return")
    except Exception:  # an annotation that names what is imported for type checkers only
        told = None
    return told if isinstance(told, type) else type(None)


def _defined_beside(spec: type[Part]) -> list[type]:
    module = sys.modules.get(spec.__module__)
    return [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == spec.__module__]
