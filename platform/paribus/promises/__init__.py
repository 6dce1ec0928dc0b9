"""What parts promise, family by family, as plain functions that raise: for tests, `check-part` and `run`.

for outcome in check("score", Spec()):
    print(outcome)
"""

import importlib
from pathlib import Path

from paribus.parts import FAMILIES, Part
from paribus.promises.promise import DoesNotApply, Outcome, Promise, named

__all__ = ["DoesNotApply", "Outcome", "Promise", "check", "named", "promises_of"]


def promises_of(family: str) -> tuple[Promise, ...]:
    """The promises of a family in their order; none where outputs are not judged by them."""
    if not (Path(__file__).parent / f"{family}.py").is_file() or family not in FAMILIES:
        return ()
    found: tuple[Promise, ...] = importlib.import_module(f"paribus.promises.{family}").PROMISES
    return found


def check(family: str, spec: Part, seed: int = 1) -> list[Outcome]:
    """What becomes of every promise of the family with this part."""
    return [promise.outcome(spec, seed) for promise in promises_of(family)]
