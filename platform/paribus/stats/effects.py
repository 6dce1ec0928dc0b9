"""Effects and interactions of a grid of settings: ordinary least squares with the seed as a block.

Factors are coded so that their columns sum to zero, so a main effect is one averaged over the other factors. An
interaction of two factors is told as a difference of differences. statsmodels' formulas give the same, and take a
second to load.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations, product
from math import nan

import numpy as np
from numpy.typing import NDArray

from paribus.stats.correction import adjusted
from paribus.stats.distributions import f_tail, t_tail
from paribus.stats.interval import NOWHERE, Interval, around

Array = NDArray[np.float64]
Levels = tuple[str, ...]  # one of each factor, in the order of the factors
Term = tuple[int, ...]  # the factors of an effect or interaction


@dataclass(frozen=True)
class Score:
    """One run of a cell; more is better."""

    levels: Levels
    seed: Hashable
    value: float


@dataclass(frozen=True)
class Step:
    """What a level does against the first one of its factor; for two factors, by how much more it does so."""

    levels: tuple[tuple[str, str], ...]  # (factor, level) of each factor of the term
    against: tuple[tuple[str, str], ...]
    estimate: float
    interval: Interval
    p: float  # of this step alone
    at: tuple[tuple[str, str], ...] = ()  # the level of the other factor, where it is held


@dataclass(frozen=True)
class Effect:
    """A main effect (one factor) or an interaction (two)."""

    factors: tuple[str, ...]
    df: int
    f: float
    p: float
    p_holm: float  # over all effects of the design
    omega2: float  # partial omega squared, not below 0
    steps: tuple[Step, ...]
    simple: tuple[Step, ...] = ()  # of an interaction: each factor's own steps at each level of the other


@dataclass(frozen=True)
class Mean:
    """The marginal mean of a level or a pair of levels, over a balanced grid of all others."""

    levels: tuple[tuple[str, str], ...]
    mean: float
    interval: Interval


@dataclass(frozen=True)
class Design:
    """All that a factorial experiment says; without effects, `problem` tells why."""

    factors: Mapping[str, tuple[str, ...]]
    effects: tuple[Effect, ...] = ()
    means: tuple[Mean, ...] = ()
    aliased: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()  # (interaction, what it cannot be told from)
    df: int = 0  # of the residual
    mse: float = nan
    balanced: bool = True
    problem: str = ""

    @property
    def interactions(self) -> tuple[Effect, ...]:
        return tuple(effect for effect in self.effects if len(effect.factors) > 1)


def factorial(
    factors: Mapping[str, Sequence[str]], scores: Sequence[Score], *, alpha: float = 0.05, fraction: bool = False
) -> Design:
    """Effects of a full grid, or of a fraction of one, in which interactions may be aliased."""
    levels = {name: tuple(values) for name, values in factors.items()}
    known = [score for score in scores if np.isfinite(score.value)]
    problem = _problem(levels, known, fraction)
    if problem:
        return Design(levels, problem=problem)
    model = _Model(levels, known, fraction)
    if model.df < 1:
        return Design(levels, problem="there are no more runs than effects; more seeds are needed")
    if model.mse <= 1e-24 * max(1e-300, float((model.y**2).max())):
        return Design(levels, problem="the runs vary by their settings only, so no test is possible")
    terms = [term for term in model.terms if len(term) <= 2]
    found = [model.effect(term, alpha) for term in terms]
    corrected = adjusted([effect.p for effect in found], "holm")
    counts = {key: sum(score.levels == key for score in known) for key in {score.levels for score in known}}
    names = list(levels)
    return Design(
        levels,
        tuple(replace(effect, p_holm=p) for effect, p in zip(found, corrected, strict=True)),
        tuple(model.means(alpha)),
        tuple((_named(names, term), _named(names, other)) for term, other in model.aliased),
        model.df,
        model.mse,
        len(set(counts.values())) == 1,
    )


def _named(names: Sequence[str], term: Term) -> tuple[str, ...]:
    return tuple(names[index] for index in term)


def _problem(factors: Mapping[str, Levels], scores: Sequence[Score], fraction: bool) -> str:
    """Why nothing can be said of the factors."""
    if len(factors) < 1 or any(len(levels) < 2 for levels in factors.values()):
        return "every factor needs two values or more"
    if fraction:
        return "" if scores else "no run has finished"
    have = {score.levels for score in scores}
    empty = [cell for cell in product(*factors.values()) if cell not in have]
    if empty:
        told = "; ".join(", ".join(f"{n}={v}" for n, v in zip(factors, cell, strict=True)) for cell in empty[:3])
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        return f"no run finished of {told}{more}; a main effect would compare unlike things"
    return ""


@dataclass
class _Model:
    """The fit of cell effects and blocks."""

    factors: Mapping[str, Levels]
    scores: Sequence[Score]
    fraction: bool
    terms: list[Term] = field(default_factory=list)
    aliased: list[tuple[Term, Term]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = list(self.factors)
        self.seeds = list(dict.fromkeys(score.seed for score in self.scores))
        self.y = np.array([score.value for score in self.scores])
        self._choose()
        self.x = np.array([self._row(score.levels, score.seed) for score in self.scores])
        self.inverse = np.linalg.pinv(self.x.T @ self.x)
        self.beta = self.inverse @ self.x.T @ self.y
        self.df = len(self.y) - int(np.linalg.matrix_rank(self.x))
        self.sse = float(((self.y - self.x @ self.beta) ** 2).sum())
        self.mse = self.sse / self.df if self.df else nan

    def _choose(self) -> None:
        """All terms of a full grid; of a fraction, main effects and the pairs that can be told from them."""
        count = len(self.names)
        most = 2 if self.fraction else count
        wanted = [term for size in range(1, most + 1) for term in combinations(range(count), size)]
        if not self.fraction:
            self.terms = wanted
            return
        cells = list(dict.fromkeys(score.levels for score in self.scores))
        kept: dict[Term, Array] = {(): np.ones((len(cells), 1))}
        for term in wanted:
            columns = np.array([self._coded(term, cell) for cell in cells])
            whole = np.hstack([*kept.values(), columns])
            if np.linalg.matrix_rank(whole) == sum(c.shape[1] for c in kept.values()) + columns.shape[1]:
                kept[term] = columns
            else:
                self.aliased.append((term, self._twin(columns, kept)))
        self.terms = [term for term in kept if term]

    @staticmethod
    def _twin(columns: Array, kept: Mapping[Term, Array]) -> Term:
        """The term that the columns are most alike to."""
        return max(kept, key=lambda term: float(np.abs(kept[term].T @ columns).max()))

    def _coded(self, term: Term, cell: Levels) -> Array:
        """The columns of one term: products of sum-to-zero codes."""
        found: Array = np.ones(1)
        for index in term:
            found = np.kron(found, _code(self.factors[self.names[index]], cell[index])).astype(float)
        return found

    def _row(self, cell: Levels, seed: Hashable | None) -> Array:
        """The row of the design matrix; without a seed, that of the mean over all seeds."""
        blocks = np.zeros(len(self.seeds) - 1) if seed is None else _code(self.seeds, seed)
        return np.concatenate([np.ones(1), *(self._coded(term, cell) for term in self.terms), blocks])

    def _columns(self, term: Term) -> slice:
        start = 1
        for other in self.terms:
            width = int(np.prod([len(self.factors[self.names[index]]) - 1 for index in other]))
            if other == term:
                return slice(start, start + width)
            start += width
        raise KeyError(term)

    def effect(self, term: Term, alpha: float) -> Effect:
        """The test that leaves the term out of the whole model (type III), and its steps."""
        at = self._columns(term)
        part, covariance = self.beta[at], self.inverse[at, at]
        df = len(part)
        square = float(part @ np.linalg.solve(covariance, part))
        f = square / df / self.mse
        omega2 = (square - df * self.mse) / (square + (len(self.y) - df) * self.mse)
        p = f_tail(f, df, self.df)
        steps, simple = tuple(self._steps(term, alpha)), tuple(self._simple(term, alpha))
        return Effect(_named(self.names, term), df, f, p, nan, max(0.0, omega2), steps, simple)

    def _steps(self, term: Term, alpha: float) -> list[Step]:
        found = []
        choices = [self.factors[self.names[index]] for index in term]
        for chosen in product(*(levels[1:] for levels in choices)):
            weights = np.zeros_like(self.beta)
            for corner in product((0, 1), repeat=len(term)):
                cell = {
                    index: levels[0] if low else level
                    for index, levels, level, low in zip(term, choices, chosen, corner, strict=True)
                }
                weights += (-1) ** sum(corner) * self._marginal(cell)
            estimate, interval, p = self._told(weights, alpha)
            named = list(zip(_named(self.names, term), chosen, strict=True))
            base = list(zip(_named(self.names, term), (levels[0] for levels in choices), strict=True))
            found.append(Step(tuple(named), tuple(base), estimate, interval, p))
        return found

    def _simple(self, term: Term, alpha: float) -> list[Step]:
        """What each factor of a pair does while the other one is held."""
        found = []
        for moved, held in permutations(term) if len(term) == 2 else ():
            (name, levels), (other, places) = ((self.names[i], self.factors[self.names[i]]) for i in (moved, held))
            for place, level in product(places, levels[1:]):
                weights = self._marginal({moved: level, held: place}) - self._marginal({moved: levels[0], held: place})
                told = self._told(weights, alpha)
                found.append(Step(((name, level),), ((name, levels[0]),), *told, at=((other, place),)))
        return found

    def _marginal(self, cell: Mapping[int, str]) -> Array:
        """The weights of the mean of all cells of the balanced grid that have these levels."""
        choices = [(cell[index],) if index in cell else self.factors[name] for index, name in enumerate(self.names)]
        rows = [self._row(levels, None) for levels in product(*choices)]
        weights: Array = np.mean(rows, axis=0)
        return weights

    def means(self, alpha: float) -> list[Mean]:
        """Of every level and every pair of levels that the model tells apart."""
        found = []
        for term in self.terms:
            if len(term) > 2:
                continue
            for chosen in product(*(self.factors[self.names[index]] for index in term)):
                mean, interval, _ = self._told(self._marginal(dict(zip(term, chosen, strict=True))), alpha)
                found.append(Mean(tuple(zip(_named(self.names, term), chosen, strict=True)), mean, interval))
        return found

    def _told(self, weights: Array, alpha: float) -> tuple[float, Interval, float]:
        estimate = float(weights @ self.beta)
        se = float(np.sqrt(self.mse * (weights @ self.inverse @ weights)))
        if not se:
            return estimate, NOWHERE, nan
        return estimate, around(estimate, se, self.df, 1 - alpha), float(2 * t_tail(abs(estimate) / se, self.df))


def _code(levels: Sequence[Hashable], level: Hashable) -> Array:
    """Sum-to-zero coding: the last level is minus one everywhere."""
    index = list(levels).index(level)
    if index == len(levels) - 1:
        return -np.ones(len(levels) - 1)
    found = np.zeros(len(levels) - 1)
    found[index] = 1
    return found
