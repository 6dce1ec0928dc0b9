"""A promise is a sentence and a function that raises where a part does not keep it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch

from paribus.errors import Broken, PartError
from paribus.parts import Part

Verdict = Literal["kept", "broken", "does not apply"]


class DoesNotApply(Exception):
    """A promise says nothing of a part, for a reason that is printed."""


@dataclass(frozen=True)
class Outcome:
    """What became of one promise."""

    promise: str
    verdict: Verdict
    text: str = ""  # what was seen and the smallest example, or why the promise does not apply

    def __str__(self) -> str:
        return f"{self.promise}: {self.verdict}" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True)
class Promise:
    """What parts of a family have in common."""

    name: str
    function: Callable[[Part, int], None]

    def demand(self, spec: Part, seed: int = 1) -> None:
        """Raise Broken where the part does not keep it, DoesNotApply where it says nothing of the part."""
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)  # the examples are so small that threads only get in each other's way
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                self.function(spec, seed)
        except Broken as broken:
            raise broken.of(self.name) from None
        finally:
            torch.set_num_threads(threads)

    def outcome(self, spec: Part, seed: int = 1) -> Outcome:
        """Whatever happens, told: a part that raises something does not keep the promise."""
        try:
            self.demand(spec, seed)
        except Broken as broken:
            example = f"; smallest example: {broken.example}" if broken.example else ""
            return Outcome(self.name, "broken", f"{broken.seen}{example}")
        except DoesNotApply as reason:
            return Outcome(self.name, "does not apply", str(reason))
        except Exception as error:  # whatever a user's module raises
            return Outcome(self.name, "broken", f"raised {type(error).__name__}: {_first_line(error)}")
        return Outcome(self.name, "kept")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"


def promise(name: str) -> Callable[[Callable[[Part, int], None]], Promise]:
    """Turns a function into the promise of that name."""
    return lambda function: Promise(name, function)


def named(promises: Iterable[Promise], name: str) -> Promise:
    """The promise of a name."""
    found = {promise.name: promise for promise in promises}
    if name not in found:
        raise PartError(f"no promise is called '{name}'")
    return found[name]
