"""Where results are copied to: a tracker gets finished runs and the report, in a process of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from paribus.parts import Part


@dataclass(frozen=True)
class Story:
    """A run as a tracker shows it; plain data, so that it can cross to another process."""

    id: str
    name: str  # arm/s3
    experiment: str
    job_type: str  # train, tune
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)  # one row an evaluation
    summary: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class Tracker(ABC):
    """Takes runs once they are over; whatever it raises is told once, and no run hears of it."""

    @abstractmethod
    def run(self, story: Story) -> None: ...

    def report(self, experiment: str, table: Sequence[Mapping[str, Any]], page: Path) -> None:
        """Take the comparison and the page that tells it; a tracker without a place for them takes nothing."""
        return


class TrackerSpec(Part):
    library: ClassVar[str] = ""  # that must be installed
    extra: ClassVar[str] = ""  # which brings it

    @property
    def off(self) -> bool:
        return False

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if self.library and find_spec(self.library) is None:
            message = f"got {self.kind}, which is not installed here; pip install {self.extra}"
            raise PydanticCustomError("tracker", "{message}", {"message": message})
        return self
