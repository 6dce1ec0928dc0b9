"""Contrasts of all arms with the baseline: paired by seed, oriented so that positive is better, corrected together."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan, sqrt
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

from paribus.errors import ParibusError
from paribus.stats.correction import Correction, adjusted
from paribus.stats.interval import of_sd
from paribus.stats.paired import Paired, correlation, paired, superiority, welch
from paribus.stats.power import detectable, seeds_to_detect, seeds_to_equate
from paribus.stats.verdict import FAILURES, Counts, Rule, Verdict, judge, tags

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Observation:
    """One run's score; one without a value is no result, whatever its status."""

    seed: Hashable
    status: str = "ok"
    value: float = nan
    applicable: bool = True  # false where the arm cannot take the data at all

    @property
    def ok(self) -> bool:
        return self.status == "ok" and isfinite(self.value)

    @property
    def failed(self) -> bool:
        return self.applicable and (self.status in FAILURES or (self.status == "ok" and not isfinite(self.value)))


@dataclass(frozen=True)
class Sample:
    """The finished values of an arm."""

    n: int
    mean: float = nan
    sd: float = nan

    @classmethod
    def of(cls, values: Iterable[float]) -> "Sample":
        known = np.array(list(values), dtype=float)
        spread = float(known.std(ddof=1)) if len(known) > 1 else nan
        return cls(len(known), float(known.mean()), spread) if len(known) else cls(0)

    @property
    def se(self) -> float:
        return self.sd / sqrt(self.n) if self.n else nan


@dataclass(frozen=True)
class Outlook:
    """What this number of seeds can find with 80 % power, and how many would find more; None is more than 10,000."""

    detectable: float = nan
    seeds_observed: int | None = None
    seeds_smallest_effect: int | None = None
    seeds_smallest_effect_range: tuple[int | None, int | None] = (None, None)
    seeds_equivalent: int | None = None


@dataclass(frozen=True)
class Contrast:
    """One arm against the baseline."""

    arm: str
    baseline: str
    rule: Rule
    counts: Counts
    of_arm: Sample
    of_baseline: Sample
    differences: tuple[tuple[Hashable, float], ...]  # by seed
    paired: Paired
    outlook: Outlook
    p: float = nan  # corrected as the rule says
    p_holm: float = nan
    p_bh: float = nan
    p_tost: float = nan  # Holm, in a family of its own
    p_not_worse: float = nan  # the same
    p_welch: float = nan
    p_failures: float = nan  # Fisher's exact test of the failure rates
    correlation: float = nan
    superiority: float = nan
    verdict: Verdict = "insufficient"
    tags: tuple[str, ...] = ()

    @property
    def relative(self) -> float:
        """The improvement as a share of the baseline's mean."""
        mean = self.of_baseline.mean
        return self.paired.mean / abs(mean) if self.paired.n and mean else nan

    @property
    def standardised(self) -> float:
        """The improvement in units of the arms' own spread, for comparison with other studies."""
        spread = sqrt((self.of_arm.sd**2 + self.of_baseline.sd**2) / 2)
        return self.paired.mean / spread if spread else nan

    @property
    def worst_losses(self) -> int:
        """Lost pairs when every failed run is one."""
        return self.paired.losses + self.counts.failed

    @property
    def told_tags(self) -> str:
        return "; ".join(self.tags)


def compare(arms: Mapping[str, Sequence[Observation]], baseline: str, rule: Rule) -> dict[str, Contrast]:
    """The contrast of every other arm; they are one family, less those that cannot take the data."""
    family = [arm for arm in arms if arm != baseline and _applicable(arms[arm]) and _applicable(arms[baseline])]
    level = rule.alpha / max(1, len(family)) if rule.correction == "holm" else rule.alpha
    plain = {
        arm: _contrast(arm, baseline, arms[arm], arms[baseline], rule, max(1, len(family)), level)
        for arm in arms
        if arm != baseline
    }
    return plain | {arm: _judged(found) for arm, found in _corrected([plain[arm] for arm in family]).items()}


def _applicable(runs: Iterable[Observation]) -> bool:
    return all(run.applicable for run in runs)


def _contrast(
    arm: str,
    baseline: str,
    runs: Sequence[Observation],
    others: Sequence[Observation],
    rule: Rule,
    comparisons: int,
    level: float,
) -> Contrast:
    """The contrast of one arm before it is corrected for the others."""
    left, right = _values(runs), _values(others)
    seeds = [seed for seed in left if seed in right]
    x, y = (rule.sign * np.array([values[seed] for seed in seeds], dtype=float) for values in (left, right))
    mine, theirs = (np.array(list(values.values()), dtype=float) for values in (left, right))
    pairs = paired(x, y, alpha=rule.alpha, comparisons=comparisons, smallest_effect=rule.smallest_effect)
    applicable = _applicable(runs) and _applicable(others)
    return Contrast(
        arm,
        baseline,
        rule,
        Counts(len(runs), len(left), sum(run.failed for run in runs), applicable),
        Sample.of(mine),
        Sample.of(theirs),
        tuple((seed, float(difference)) for seed, difference in zip(seeds, x - y, strict=True)),
        pairs,
        _outlook(pairs, rule, level),
        p_welch=welch(mine, theirs),
        p_failures=_fisher(runs, others),
        correlation=correlation(x, y),
        superiority=superiority(rule.sign * mine, rule.sign * theirs),
        verdict="insufficient" if applicable else "not applicable",
    )


def _values(runs: Iterable[Observation]) -> dict[Hashable, float]:
    return {run.seed: run.value for run in runs if run.ok}


def _fisher(runs: Sequence[Observation], others: Sequence[Observation]) -> float:
    counts = [[sum(run.failed for run in group), sum(run.ok for run in group)] for group in (runs, others)]
    table = np.array(counts)
    return float(stats.fisher_exact(table).pvalue) if table.any(axis=1).all() else nan


def _outlook(pairs: Paired, rule: Rule, level: float) -> Outlook:
    """`level` is what a difference must pass in the family, the first step of Holm's correction."""
    if isnan(pairs.p):
        return Outlook()
    margin = rule.smallest_effect
    found = Outlook(pairs.sd * detectable(pairs.n, level), seeds_to_detect(pairs.dz, level))
    if margin is None:
        return found
    spread = of_sd(pairs.sd, pairs.n)
    return replace(
        found,
        seeds_smallest_effect=seeds_to_detect(margin / pairs.sd, level),
        seeds_smallest_effect_range=(
            seeds_to_detect(margin / spread.low, level),
            seeds_to_detect(margin / spread.high, level),
        ),
        seeds_equivalent=seeds_to_equate(margin / pairs.sd, level),
    )


def _corrected(family: Sequence[Contrast]) -> dict[str, Contrast]:
    raw = [contrast.paired.p for contrast in family]
    columns: dict[str, list[float]] = {
        "p_holm": adjusted(raw, "holm"),
        "p_bh": adjusted(raw, "bh"),
        "p": adjusted(raw, family[0].rule.correction if family else "none"),
        "p_tost": adjusted([contrast.paired.p_tost for contrast in family], "holm"),
        "p_not_worse": adjusted([contrast.paired.p_not_worse for contrast in family], "holm"),
    }
    return {
        contrast.arm: replace(
            contrast,
            p_holm=columns["p_holm"][index],
            p_bh=columns["p_bh"][index],
            p=columns["p"][index],
            p_tost=columns["p_tost"][index],
            p_not_worse=columns["p_not_worse"][index],
        )
        for index, contrast in enumerate(family)
    }


def _judged(contrast: Contrast) -> Contrast:
    counts, pairs, rule = contrast.counts, contrast.paired, contrast.rule
    verdict = judge(counts, pairs, contrast.p, contrast.p_tost, rule)
    ps = (contrast.p, contrast.p_tost, contrast.p_not_worse)
    return replace(contrast, verdict=verdict, tags=tags(verdict, counts, pairs, ps, rule))


Cell = str | int | float | None

# Columns of a table of contrasts, and where a contrast has them.
COLUMNS: Mapping[str, str] = {
    "direction": "rule.direction",
    "arm": "arm",
    "baseline": "baseline",
    "n_planned": "counts.planned",
    "n_ok": "counts.ok",
    "n_failed": "counts.failed",
    "n_pairs": "paired.n",
    "mean_arm": "of_arm.mean",
    "sd_arm": "of_arm.sd",
    "mean_base": "of_baseline.mean",
    "sd_base": "of_baseline.sd",
    "improvement": "paired.mean",
    "improvement_rel": "relative",
    "sd_diff": "paired.sd",
    "se_diff": "paired.se",
    "df": "paired.df",
    "ci_low": "paired.interval.low",
    "ci_high": "paired.interval.high",
    "ci_sim_low": "paired.simultaneous.low",
    "ci_sim_high": "paired.simultaneous.high",
    "t": "paired.t",
    "p_t": "paired.p",
    "p_holm": "p_holm",
    "p_bh": "p_bh",
    "p_signflip": "paired.p_signflip",
    "p_signflip_floor": "paired.signflip_floor",
    "welch_p": "p_welch",
    "smallest_effect": "rule.smallest_effect",
    "tost_p": "paired.p_tost",
    "tost_p_holm": "p_tost",
    "noninf_p": "paired.p_not_worse",
    "equiv_margin_min": "paired.least_margin",
    "dz": "paired.dz",
    "gz": "paired.gz",
    "d_av": "standardised",
    "pi_unpaired": "superiority",
    "pi_paired": "paired.share_won",
    "wins": "paired.wins",
    "ties": "paired.ties",
    "losses": "paired.losses",
    "wins_wc": "paired.wins",
    "losses_wc": "worst_losses",
    "fail_fisher_p": "p_failures",
    "mdd80": "outlook.detectable",
    "seeds80_observed": "outlook.seeds_observed",
    "seeds80_smallest_effect": "outlook.seeds_smallest_effect",
    "seeds80_tost": "outlook.seeds_equivalent",
    "pair_r": "correlation",
    "verdict": "verdict",
    "tags": "told_tags",
}


def row(contrast: Contrast) -> dict[str, Cell]:
    """The contrast as one line of a table; nan and None are missing."""
    return {column: attrgetter(path)(contrast) for column, path in COLUMNS.items()}


def contrasts(
    frame: "pd.DataFrame",
    *,
    baseline: str,
    direction: Literal["max", "min"],
    smallest_effect: float | None = None,
    alpha: float = 0.05,
    correction: Correction = "holm",
    min_pairs: int = 3,
    unstable_failure_rate: float = 1 / 3,
) -> "pd.DataFrame":
    """One row for each arm of each task, from columns arm, seed, value and, where they are known, status and task."""
    import pandas as pd

    rule = Rule(direction, smallest_effect, alpha, correction, min_pairs, unstable_failure_rate)
    _check(frame, baseline)
    tasks = frame["task"] if "task" in frame else pd.Series("", index=frame.index)
    found = [
        {"task": str(task), **row(contrast)}
        for task, part in frame.groupby(tasks, sort=False)
        for contrast in compare(_observations(part), baseline, rule).values()
    ]
    return pd.DataFrame(found, columns=["task", *COLUMNS])


def _check(frame: "pd.DataFrame", baseline: str) -> None:
    missing = [name for name in ("arm", "seed", "value") if name not in frame]
    if missing:
        raise ParibusError(
            f"the table lacks the column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        )
    keys = [name for name in ("task", "arm", "seed") if name in frame]
    twice = frame[frame.duplicated(keys)]
    if len(twice):
        named = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise ParibusError(f"the table has more than one value for {named}; give each run one row")
    tasks = frame["task"] if "task" in frame else frame["arm"].map(lambda _: "")
    for task, part in frame.groupby(tasks, sort=False):
        arms = list(dict.fromkeys(part["arm"].map(str)))
        if baseline not in arms:
            where = f" of task {task}" if task else ""
            raise ParibusError(f"no arm{where} is called {baseline!r}; the table has {', '.join(arms)}")


def _observations(frame: "pd.DataFrame") -> dict[str, list[Observation]]:
    found: dict[str, list[Observation]] = {}
    statuses = frame["status"] if "status" in frame else ["ok"] * len(frame)
    for arm, seed, value, status in zip(frame["arm"], frame["seed"], frame["value"], statuses, strict=True):
        found.setdefault(str(arm), []).append(Observation(seed, str(status), float(value)))
    return found
