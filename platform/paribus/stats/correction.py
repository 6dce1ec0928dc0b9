"""p values corrected for the size of their family."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Literal

Correction = Literal["holm", "bh", "none"]


def adjusted(ps: Sequence[float], how: Correction) -> list[float]:
    """Each p corrected for all; one that is nan stays nan but counts as 1, so no failed arm flatters the others."""
    if how == "none" or not ps:
        return list(ps)
    from statsmodels.stats.multitest import multipletests  # half a second that only a correction needs

    filled = [1.0 if isnan(p) else p for p in ps]
    _, found, _, _ = multipletests(filled, method="holm" if how == "holm" else "fdr_bh")
    return [nan if isnan(p) else float(q) for p, q in zip(ps, found, strict=True)]
