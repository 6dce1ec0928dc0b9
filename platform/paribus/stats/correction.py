"""p values corrected for the number of comparisons in a family.

Written here, since statsmodels' `multipletests` collects garbage at each call and so takes a tenth of a second.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Correction = Literal["holm", "bh", "none"]


def adjusted(p_values: Sequence[float], how: Correction) -> list[float]:
    """Adjusted p values in the same order; a NaN stays one, and counts as p = 1 in the family."""
    p = np.array(p_values, dtype=float)
    if not len(p) or how == "none":
        return [float(value) for value in p]
    known = np.where(np.isnan(p), 1.0, p)
    corrected = {"holm": holm, "bh": _benjamini_hochberg}[how](known)
    return [float(value) for value in np.where(np.isnan(p), np.nan, corrected)]


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The k-th smallest of m times m - k + 1, never below those before it (Holm 1979); families are rows."""
    order = np.argsort(p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, -1) * np.arange(p.shape[-1], 0, -1)
    return _unsorted(np.minimum(np.maximum.accumulate(ranked, axis=-1), 1.0), order)


def _benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The k-th smallest of m times m / k, never above those after it (Benjamini and Hochberg 1995)."""
    order = np.argsort(p, kind="stable")
    lowered = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    return _unsorted(np.minimum(lowered, 1.0), order)


def _unsorted(values: NDArray[np.float64], order: NDArray[np.intp]) -> NDArray[np.float64]:
    result = np.empty_like(values)
    np.put_along_axis(result, order, values, -1)
    return result
