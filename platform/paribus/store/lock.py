"""What was said before results were seen: the analysis, claims, arms and seeds of an experiment when it was run."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.planning import Plan

SHOWN_ONLY = ("reference", "secondary")  # of the analysis: they decide nothing


@dataclass(frozen=True)
class Lock:
    """One declaration, and the runs that had results when it was made."""

    at: str
    analysis: str  # digests
    claims: tuple[str, ...]
    arms: dict[str, str]
    seeds: tuple[int, ...]
    seen: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        return _digest([self.analysis, self.claims, self.arms, sorted(self.seeds)])

    def tree(self) -> dict[str, Any]:
        return {
            "analysis": self.analysis,
            "claims": list(self.claims),
            "arms": self.arms,
            "seeds": list(self.seeds),
            "seen": sorted(self.seen),
        }

    @classmethod
    def of_tree(cls, at: str, tree: dict[str, Any]) -> "Lock":
        return cls(
            at,
            tree["analysis"],
            tuple(tree["claims"]),
            tree["arms"],
            tuple(tree["seeds"]),
            frozenset(tree["seen"]),
        )


def declared(plan: Plan, at: str = "", seen: Iterable[str] = ()) -> Lock:
    """What a plan declares."""
    analysis = {key: value for key, value in plan.analysis.items() if key not in SHOWN_ONLY}
    claims = tuple(_digest({**claim, "text": ""}) for claim in plan.claims)
    arms = {arm.name: _digest(plan.settings.get(arm.name, {})) for arm in plan.arms}
    return Lock(at, _digest(analysis), claims, arms, tuple(plan.seeds), frozenset(seen))


def since(lock: Lock, locks: Sequence[Lock], arm: str) -> Lock | None:
    """The first declaration of this analysis that has an arm as it is now."""
    return next(
        (old for old in locks if old.analysis == lock.analysis and old.arms.get(arm) == lock.arms.get(arm)), None
    )


def looks(lock: Lock, locks: Sequence[Lock]) -> int:
    """How often results were looked at: once, and once more each time that seeds were added after some were seen."""
    seeds: set[int] = set()
    count = 1
    for old in (*locks, lock):
        if seeds and set(old.seeds) - seeds and old.seen:
            count += 1
        seeds |= set(old.seeds)
    return count


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
