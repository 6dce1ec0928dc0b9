"""What differences by seed say of their mean; positive is better."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import exp, isnan, lgamma, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from paribus.stats.interval import NOWHERE, Interval, around

Array = NDArray[np.float64]

EXACT_UNTIL = 16  # pairs up to which all sign flips are counted; beyond, this many are drawn
DRAWS = 9_999


@dataclass(frozen=True)
class Paired:
    """Estimates and tests of n differences; nan where n or their spread does not allow one."""

    n: int
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

    @property
    def df(self) -> int:
        return max(0, self.n - 1)

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
        return (self.wins + self.ties / 2) / self.n if self.n else nan

    @property
    def least_margin(self) -> float:
        """Any margin from here on would make the arm equivalent."""
        return max(abs(self.narrow.low), abs(self.narrow.high))


def paired(arm: Array, baseline: Array, *, alpha: float, comparisons: int, smallest_effect: float | None) -> Paired:
    """Contrast of two arrays of equal length, in the same order of seeds, oriented so that more is better."""
    differences = arm - baseline
    n = len(differences)
    if n == 0:
        return Paired(0)
    mean = float(differences.mean())
    signs = np.sign(differences)
    wins, ties, losses = (int((signs == sign).sum()) for sign in (1, 0, -1))
    if n == 1:
        return Paired(1, mean, wins=wins, ties=ties, losses=losses)
    sd = float(differences.std(ddof=1))
    scale = max(float(np.abs(arm).max()), float(np.abs(baseline).max()))
    if sd <= 1e-12 * scale:  # the rounding of subtraction is no spread: t would come out as large as one likes
        return Paired(n, mean, 0.0, 0.0, wins=wins, ties=ties, losses=losses)
    se = sd / sqrt(n)
    df = n - 1
    margin = smallest_effect
    return Paired(
        n,
        mean,
        sd,
        se,
        interval=around(mean, se, df, 1 - alpha),
        simultaneous=around(mean, se, df, 1 - alpha / max(1, comparisons)),
        narrow=around(mean, se, df, 1 - 2 * alpha),
        t=mean / se,
        p=float(2 * stats.t.sf(abs(mean) / se, df)),
        p_signflip=sign_flip(differences),
        signflip_floor=floor(n - ties),
        p_tost=nan if margin is None else float(stats.t.sf((margin - abs(mean)) / se, df)),
        p_not_worse=nan if margin is None else float(stats.t.sf((mean + margin) / se, df)),
        dz=mean / sd,
        gz=hedges(df) * mean / sd if n > 2 else nan,
        wins=wins,
        ties=ties,
        losses=losses,
    )


def sign_flip(differences: Array) -> float:
    """The two-sided p of the mean when each difference may as well have had the other sign."""
    ordered = np.sort(differences)  # so that drawn flips do not depend on the order of seeds
    flipped = np.abs(_flips(len(ordered)) @ ordered)
    # Sums of equal numbers in another order differ by rounding; a tie must stay a tie.
    as_far = int((flipped >= abs(ordered.sum()) * (1 - 1e-12)).sum())
    return as_far / len(flipped) if len(ordered) <= EXACT_UNTIL else (as_far + 1) / (DRAWS + 1)


@cache
def _flips(n: int) -> Array:
    """All patterns of signs of n differences, or a fixed draw of them where they are too many."""
    if n > EXACT_UNTIL:
        return np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, n))
    return np.array(list(product((-1.0, 1.0), repeat=n)))


def floor(n: int) -> float:
    """The least two-sided p that sign flips of n differences other than zero can give."""
    return min(1.0, 2.0 ** (1 - n))


def hedges(df: int) -> float:
    """The factor that takes the bias of few pairs out of a standardised difference."""
    return exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)


def welch(arm: Array, baseline: Array) -> float:
    """The p of Welch's t test, which forgets the pairs."""
    if min(len(arm), len(baseline)) < 2 or arm.std() + baseline.std() == 0:
        return nan
    of = [(float(values.mean()), float(values.std(ddof=1)), len(values)) for values in (arm, baseline)]
    return float(stats.ttest_ind_from_stats(*of[0], *of[1], equal_var=False).pvalue)


def correlation(arm: Array, baseline: Array) -> float:
    """How much the two scores of a seed go together."""
    if len(arm) < 3 or arm.std() == 0 or baseline.std() == 0:
        return nan
    return float(np.corrcoef(arm, baseline)[0, 1])


def superiority(arm: Array, baseline: Array) -> float:
    """The share of all pairs of runs, whatever their seeds, in which the arm wins; a tie is half a win."""
    if not len(arm) or not len(baseline):
        return nan
    signs = np.sign(arm[:, None] - baseline[None, :])
    return float((signs.mean() + 1) / 2)
