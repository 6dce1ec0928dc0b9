"""Tails and quantiles of the usual distributions, from scipy.special: scipy.stats takes most of a second to load."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Numbers = Array | float


def t_tail(t: Numbers, df: float) -> Array:
    """The chance that Student's t is greater."""
    return np.asarray(special.stdtr(df, -np.asarray(t)))


def t_quantile(share: float, df: float) -> float:
    return float(special.stdtrit(df, share))


def chi2_quantile(share: Numbers, df: float) -> Array:
    return np.asarray(2 * special.gammaincinv(df / 2, share))


def f_tail(f: float, of: float, df: float) -> float:
    """The chance that F of `of` and `df` degrees of freedom is greater."""
    return float(special.fdtrc(of, df, f))


def normal_share(values: Numbers) -> Array:
    """The chance that a standard normal is less."""
    return np.asarray(special.ndtr(values))


def normal_quantile(share: Numbers) -> Array:
    return np.asarray(special.ndtri(share))


def beta_quantile(share: float, a: float, b: float, *, upper: bool = False) -> float:
    """The value with so much of the distribution below it, or above it."""
    return float((special.betainccinv if upper else special.betaincinv)(a, b, share))


def sign_test(wins: int, n: int) -> float:
    """The two-sided p of so many wins in n, where a win is as likely as a loss."""
    return min(1.0, 2 * float(special.bdtr(min(wins, n - wins), n, 0.5)))
