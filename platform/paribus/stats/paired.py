"""What differences say of their mean, by seed or not; positive is better."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from math import exp, isnan, lgamma, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from paribus.stats.distributions import Numbers, t_tail
from paribus.stats.interval import NOWHERE, Interval, around, of_share

Array = NDArray[np.float64]

EXACT_UNTIL = 16  # pairs up to which all sign flips are counted; beyond, this many are drawn
DRAWS = 9_999
MANY = 200  # pairs whose drawn flips fit into memory at once


@dataclass(frozen=True)
class Paired:
    """Estimates and tests of n differences; nan where n or their spread does not allow one."""

    n: int  # of pairs; the lesser number of values where nothing is paired
    mean: float = nan
    sd: float = nan
    se: float = nan
    interval: Interval = NOWHERE  # at 1 - alpha
    simultaneous: Interval = NOWHERE  # Bonferroni, at 1 - alpha / comparisons
    narrow: Interval = NOWHERE  # at 1 - 2 alpha, which is what two one-sided tests look at
    t: float = nan
    p: float = nan
    p_signflip: float = nan
    signflip_floor: float = nan  # the least p that sign flips of this many differences can give
    p_tost: float = nan
    p_not_worse: float = nan
    dz: float = nan
    gz: float = nan
    wins: int = 0
    ties: int = 0
    losses: int = 0
    df: float = 0.0
    won: float = 0.0  # pairs that the arm wins; a tie is half a win

    @property
    def identical(self) -> bool:
        return self.n > 0 and self.ties == self.n

    @property
    def constant(self) -> bool:
        """Whether the difference is the same for all seeds, so that no test is possible."""
        return self.n > 1 and isnan(self.p)

    @property
    def share_won(self) -> float:
        """The share of pairs that the arm wins; a tie is half a win."""
        return self.won / self.n if self.n else nan

    @property
    def share_interval(self) -> Interval:
        """Where the true share lies, exactly (Clopper and Pearson); halves are rounded down."""
        return of_share(int(self.won), self.n)

    @property
    def least_margin(self) -> float:
        """Any margin from here on would make the arm equivalent."""
        return max(abs(self.narrow.low), abs(self.narrow.high))


@dataclass(frozen=True)
class Pool:
    """The spread of a difference by seed as all arms together show it."""

    sd: float
    df: float


def paired(
    arm: Array,
    baseline: Array,
    *,
    alpha: float,
    comparisons: int,
    smallest_effect: float | None,
    pool: Pool | None = None,
) -> Paired:
    """Contrast of two arrays of equal length, in the same order of seeds, oriented so that more is better."""
    differences = arm - baseline
    n = len(differences)
    if n == 0:
        return Paired(0)
    mean = float(differences.mean())
    wins, ties, losses = _tally(differences)
    seen = Paired(n, mean, wins=wins, ties=ties, losses=losses, df=n - 1.0, won=wins + ties / 2)
    if n == 1:
        return seen
    sd = float(differences.std(ddof=1))
    if no_spread(sd, arm, baseline):
        return replace(seen, sd=0.0, se=0.0)
    spread = pool or Pool(sd, n - 1.0)
    return replace(
        _tested(seen, spread.sd, spread.sd / sqrt(n), spread.df, alpha, comparisons, smallest_effect),
        p_signflip=sign_flip(differences),
        signflip_floor=floor(n - ties),
    )


def unpaired(
    arm: Mapping[Hashable, float],
    baseline: Mapping[Hashable, float],
    *,
    alpha: float,
    comparisons: int,
    smallest_effect: float | None,
) -> Paired:
    """Contrast of two means whose seeds share nothing, by Welch; wins and losses are told for the seeds in common."""
    x, y = (np.array(list(values.values()), dtype=float) for values in (arm, baseline))
    n = min(len(x), len(y))
    if n == 0:
        return Paired(0)
    mean = float(x.mean() - y.mean())
    wins, ties, losses = _tally(np.array([arm[seed] - baseline[seed] for seed in arm if seed in baseline]))
    seen = Paired(n, mean, wins=wins, ties=ties, losses=losses, df=n - 1.0, won=superiority(x, y) * len(x))
    if n == 1:
        return seen
    variances = [float(values.var(ddof=1)) / len(values) for values in (x, y)]
    se = sqrt(sum(variances))
    if no_spread(se * sqrt(n), x, y):
        return replace(seen, sd=0.0, se=0.0)
    df = se**4 / sum(v**2 / (len(values) - 1) for v, values in zip(variances, (x, y), strict=True))
    return _tested(seen, se * sqrt(n), se, df, alpha, comparisons, smallest_effect)


def _tally(differences: Array) -> tuple[int, int, int]:
    signs = np.sign(differences)
    wins, ties, losses = (int((signs == sign).sum()) for sign in (1, 0, -1))
    return wins, ties, losses


def no_spread(sd: float, *values: Array) -> bool:
    """Whether a spread is only the rounding of subtraction, with which t would come out as large as one likes."""
    return sd <= 1e-12 * max(float(np.abs(some).max()) for some in values)


def _tested(
    seen: Paired, sd: float, se: float, df: float, alpha: float, comparisons: int, margin: float | None
) -> Paired:
    mean = seen.mean
    return replace(
        seen,
        sd=sd,
        se=se,
        df=df,
        interval=around(mean, se, df, 1 - alpha),
        simultaneous=around(mean, se, df, 1 - alpha / max(1, comparisons)),
        narrow=around(mean, se, df, 1 - 2 * alpha),
        t=mean / se,
        p=float(p_different(mean, se, df)),
        p_tost=nan if margin is None else float(p_equivalent(mean, se, df, margin)),
        p_not_worse=nan if margin is None else float(t_tail((mean + margin) / se, df)),
        dz=mean / sd,
        gz=hedges(df) * mean / sd if df > 1 else nan,
    )


def p_different(mean: Numbers, se: Numbers, df: float) -> Array:
    """The two-sided p of Student's t."""
    found: Array = 2 * t_tail(np.abs(mean) / se, df)
    return found


def p_equivalent(mean: Numbers, se: Numbers, df: float, margin: float) -> Array:
    """The p of two one-sided tests within the margin: that of the nearer end."""
    found: Array = t_tail((margin - np.abs(mean)) / se, df)
    return found


def sign_flip(differences: Array) -> float:
    """The two-sided p of the mean when each difference may as well have had the other sign."""
    ordered = np.sort(differences)  # so that drawn flips do not depend on the order of seeds
    flipped = np.abs(np.concatenate([flips @ ordered for flips in _flips(len(ordered))]))
    # Sums of equal numbers in another order differ by rounding; a tie must stay a tie.
    as_far = int((flipped >= abs(ordered.sum()) * (1 - 1e-12)).sum())
    return as_far / len(flipped) if len(ordered) <= EXACT_UNTIL else (as_far + 1) / (DRAWS + 1)


def _flips(n: int) -> Iterator[Array]:
    """All patterns of signs of n differences, or a fixed draw of them where they are too many, in parts."""
    if n <= MANY:
        yield _few_flips(n)
        return
    generator, rows = np.random.default_rng(0), MANY * DRAWS // n
    for start in range(0, DRAWS, rows):
        yield generator.choice([-1.0, 1.0], (min(rows, DRAWS - start), n))


@cache
def _few_flips(n: int) -> Array:
    if n > EXACT_UNTIL:
        return np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, n))
    return np.array(list(product((-1.0, 1.0), repeat=n)))


def floor(n: int) -> float:
    """The least two-sided p that sign flips of n differences other than zero can give."""
    return min(1.0, 2.0 ** (1 - n))


def hedges(df: float) -> float:
    """The factor that takes the bias of few pairs out of a standardised difference."""
    return exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)


def welch(arm: Array, baseline: Array) -> float:
    """The p of Welch's t test, which forgets the pairs."""
    if min(len(arm), len(baseline)) < 2 or arm.std() + baseline.std() == 0:
        return nan
    one, other = (float(values.var(ddof=1)) / len(values) for values in (arm, baseline))
    df = (one + other) ** 2 / (one**2 / (len(arm) - 1) + other**2 / (len(baseline) - 1))
    return float(p_different(float(arm.mean() - baseline.mean()), sqrt(one + other), df))


def correlation(arm: Array, baseline: Array) -> float:
    """How much the two scores of a seed go together; nan where one of them varies by rounding alone."""
    if len(arm) < 3 or any(no_spread(float(scores.std()), scores) for scores in (arm, baseline)):
        return nan
    return float(np.corrcoef(arm, baseline)[0, 1])


def superiority(arm: Array, baseline: Array) -> float:
    """The share of all pairs of runs, whatever their seeds, in which the arm wins; a tie is half a win."""
    if not len(arm) or not len(baseline):
        return nan
    ordered = np.sort(baseline)
    below = np.searchsorted(ordered, arm, "left") + np.searchsorted(ordered, arm, "right")
    return float(below.sum() / (2 * len(arm) * len(baseline)))
