"""What may be said of a contrast: one word by an ordered rule, and tags that qualify it."""

from dataclasses import dataclass
from math import isnan
from typing import Literal, get_args

from paribus.stats.correction import Correction
from paribus.stats.paired import Paired, floor

Verdict = Literal[
    "better",
    "negligibly better",
    "worse",
    "negligibly worse",
    "equivalent",
    "inconclusive",
    "identical",
    "insufficient",
    "unstable",
    "failed",
    "not applicable",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
FAILURES = ("diverged", "crashed", "timeout")
EXCLUDED = "excluded"  # by a person, with a reason; such a run counts for nothing


@dataclass(frozen=True)
class Rule:
    """What decides."""

    direction: Literal["max", "min"]
    smallest_effect: float | None = None
    alpha: float = 0.05
    correction: Correction = "holm"
    min_pairs: int = 3
    unstable_failure_rate: float = 1 / 3
    comparisons: Literal["baseline", "all"] = "baseline"
    pairing: Literal["seed", "none"] = "seed"
    variance: Literal["per_arm", "pooled"] = "per_arm"

    @property
    def sign(self) -> int:
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True)
class Counts:
    """What became of an arm's runs."""

    planned: int
    ok: int
    failed: int
    applicable: bool = True

    @property
    def waiting(self) -> int:
        return self.planned - self.ok - self.failed

    @property
    def failure_rate(self) -> float:
        return self.failed / self.planned if self.planned else 0.0


def judge(counts: Counts, paired: Paired, p: float, p_tost: float, rule: Rule) -> Verdict:
    """The verdict; both p values are corrected for the number of arms."""
    if not counts.applicable:
        return "not applicable"
    if counts.planned and counts.failed == counts.planned:
        return "failed"
    if counts.failure_rate >= rule.unstable_failure_rate:
        return "unstable"
    if paired.n >= 2 and paired.identical:
        return "identical"
    if paired.n < rule.min_pairs or isnan(p):
        return "insufficient"
    found = compared(paired, p <= rule.alpha, p_tost <= rule.alpha)
    return "inconclusive" if flips(found, counts, paired) else found


def compared(paired: Paired, differs: bool, equivalent: bool) -> Verdict:
    """The verdict on pairs that all finished."""
    if differs and equivalent:
        return "negligibly better" if paired.mean > 0 else "negligibly worse"
    if differs:
        return "better" if paired.mean > 0 else "worse"
    return "equivalent" if equivalent else "inconclusive"


def flips(found: Verdict, counts: Counts, paired: Paired) -> bool:
    """Whether a good verdict goes when a failed run counts as a lost pair."""
    good = found in ("better", "negligibly better", "equivalent")
    return good and counts.failed > 0 and paired.won <= counts.planned / 2


def tags(
    verdict: Verdict, counts: Counts, paired: Paired, ps: tuple[float, float, float], rule: Rule
) -> tuple[str, ...]:
    """What qualifies a verdict; `ps` are the corrected p values of difference, equivalence and not being worse."""
    p, p_tost, p_not_worse = ps
    found: list[str] = []
    if verdict in ("not applicable", "failed"):
        return ()
    margin = rule.smallest_effect
    if margin is not None and verdict in ("better", "worse"):
        least = paired.simultaneous.low if verdict == "better" else -paired.simultaneous.high
        found += ["by at least the smallest effect"] * (least >= margin)
    if p_not_worse <= rule.alpha and verdict not in ("better", "unstable"):
        found.append("not worse")
    if counts.failed and paired.n:
        found.append("given it finishes")
    if not isnan(p) and verdict == "inconclusive":
        found += ["worst case flips it"] * flips(
            compared(paired, p <= rule.alpha, p_tost <= rule.alpha), counts, paired
        )
    if not isnan(paired.p_signflip):
        found.append(_exact(paired, rule.alpha))
    found += ["provisional"] * (counts.waiting > 0)
    return tuple(found)


def _exact(paired: Paired, alpha: float) -> str:
    """How the exact sign-flip test compares with the uncorrected t test."""
    if floor(paired.n - paired.ties) > alpha:
        return "exact test cannot reach alpha"
    agrees = (paired.p <= alpha) == (paired.p_signflip <= alpha)
    return f"exact test {'agrees' if agrees else 'disagrees'}"
