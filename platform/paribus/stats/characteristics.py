"""What the rule of verdicts delivers when the truth is known: shares of verdicts over many simulated experiments.

Differences by seed are normal with standard deviation 1, and the smallest effect is 1. The first arm differs truly from
the baseline, the others do not.
"""

from collections import Counter
from math import sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from paribus.stats.correction import holm
from paribus.stats.paired import p_different, p_equivalent
from paribus.stats.verdict import Verdict

WORDS: tuple[Verdict, ...] = (
    "better",
    "worse",
    "negligibly better",
    "negligibly worse",
    "equivalent",
    "inconclusive",
)


def simulated(n: int, truth: float, generator: Generator, *, arms: int = 5, tables: int = 2000) -> NDArray[np.float64]:
    """Differences by seed: tables x arms x n."""
    differences = generator.standard_normal((tables, arms, n))
    differences[:, 0] += truth
    return differences


def verdicts(differences: NDArray[np.float64], *, alpha: float = 0.05, margin: float = 1.0) -> NDArray[np.str_]:
    """The verdict of every arm of every table, where all runs finish; tables x arms."""
    n = differences.shape[-1]
    mean, se = differences.mean(-1), differences.std(-1, ddof=1) / sqrt(n)
    differs = holm(p_different(mean, se, n - 1)) <= alpha
    equal = holm(p_equivalent(mean, se, n - 1, margin)) <= alpha
    up = mean > 0
    found: NDArray[np.str_] = np.select(
        [differs & ~equal & up, differs & ~equal, differs & up, differs, equal], WORDS[:-1], "inconclusive"
    )
    return found


def shares(n: int, truth: float, generator: Generator, *, arms: int = 5, tables: int = 2000) -> dict[str, float]:
    """How often the arm that truly differs by `truth` gets each verdict."""
    found = Counter(verdicts(simulated(n, truth, generator, arms=arms, tables=tables))[:, 0].tolist())
    return {word: found[word] / tables for word in WORDS}


def after_failures(differences: NDArray[np.float64], failed: int, *, worst: bool) -> NDArray[np.str_]:
    """The verdicts where `failed` runs of every arm do not finish: the first ones, or those that would score worst."""
    planned = differences.shape[-1]
    kept = (np.sort(differences, axis=-1) if worst else differences)[..., failed:]
    found = verdicts(kept)
    lost = np.isin(found, ("better", "negligibly better", "equivalent")) & ((kept > 0).sum(-1) <= planned / 2)
    told: NDArray[np.str_] = np.where(lost, "inconclusive", found)
    return told


def better_after_failures(
    n: int, failed: int, truth: float, generator: Generator, *, tables: int = 2000
) -> list[float]:
    """How often one arm of five is called better: when all runs finish, when any fail, and when the worst do."""
    differences = simulated(n, truth, generator, tables=tables)
    ways = (verdicts(differences), *(after_failures(differences, failed, worst=worst) for worst in (False, True)))
    return [float((found[:, 0] == "better").mean()) for found in ways]


def false_claims(n: int, generator: Generator, *, arms: int = 5, tables: int = 2000) -> float:
    """The share of tables with at least one arm called better or worse where none differs."""
    found = verdicts(simulated(n, 0.0, generator, arms=arms, tables=tables), margin=1e-9)
    return float(np.isin(found, ("better", "worse")).any(axis=1).mean())
