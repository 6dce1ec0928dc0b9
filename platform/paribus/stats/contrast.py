"""Contrasts of all arms with the baseline: paired by seed, oriented so that positive is better, corrected together."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite, isnan, nan, sqrt
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from paribus.stats.correction import adjusted
from paribus.stats.distributions import sign_test
from paribus.stats.interval import Interval, of_sd, of_share
from paribus.stats.paired import Paired, Pool, correlation, paired, superiority, unpaired, welch
from paribus.stats.power import detectable, power, seeds_to_detect, seeds_to_equate
from paribus.stats.verdict import EXCLUDED, FAILURES, Counts, Rule, Verdict, judge, tags

MOST_UNLIKE = 3  # arms whose noise differs by more share no spread


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
    alone: Paired = Paired(0)  # by the spread of this arm's differences, which is `paired` unless variances are pooled
    not_pooled: str = ""  # why they are not, where they should be

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
    def p_worst(self) -> float:
        """The sign test of wins and losses when every failed run is a loss."""
        told = self.paired.wins + self.worst_losses
        return sign_test(self.paired.wins, told) if told else nan

    @property
    def failure_interval(self) -> Interval:
        """Where the arm's true failure rate lies, exactly (Clopper and Pearson)."""
        return of_share(self.counts.failed, self.counts.ok + self.counts.failed)

    @property
    def overstated(self) -> bool:
        """Whether a difference was found that would mostly be missed, were it no larger than it must be or matters."""
        margin, pairs = self.rule.smallest_effect, self.paired
        if self.verdict not in ("better", "worse") or margin is None or not pairs.sd:
            return False
        least = max(margin, min(abs(pairs.interval.low), abs(pairs.interval.high)))
        return power(least / pairs.sd, pairs.n, self.rule.alpha) < 0.5

    @property
    def told_tags(self) -> str:
        return "; ".join(self.tags)


def compare(
    arms: Mapping[str, Sequence[Observation]],
    baseline: str,
    rule: Rule,
    against: Mapping[str, str] | None = None,
) -> dict[str, Contrast]:
    """The contrast of every other arm with the baseline, or with the arm that `against` names for it."""
    found = compare_all(arms, baseline, rule, against)
    return {contrast.arm: contrast for contrast in found[: len(arms) - 1]}


def compare_all(
    arms: Mapping[str, Sequence[Observation]],
    baseline: str,
    rule: Rule,
    against: Mapping[str, str] | None = None,
) -> list[Contrast]:
    """One family: every arm against its baseline, then all other pairs if the rule asks for them.

    Contrasts of arms that cannot take the data stay outside the family.
    """
    runs = {arm: [run for run in some if run.status != EXCLUDED] for arm, some in arms.items()}
    pairs = [(arm, (against or {}).get(arm, baseline)) for arm in arms if arm != baseline]
    if rule.comparisons == "all":
        pairs += [
            (arm, other) for other, arm in combinations(arms, 2) if {(arm, other), (other, arm)}.isdisjoint(pairs)
        ]
    family = sum(_applicable(runs[arm], runs[other]) for arm, other in pairs)
    level = rule.alpha / max(1, family) if rule.correction == "holm" else rule.alpha
    pool = _pool(runs) if rule.variance == "pooled" else None
    plain = [_contrast(arm, other, runs, rule, max(1, family), level, pool) for arm, other in pairs]
    corrected = iter(_corrected([contrast for contrast in plain if contrast.counts.applicable]))
    return [_judged(next(corrected)) if contrast.counts.applicable else contrast for contrast in plain]


def _applicable(*arms: Iterable[Observation]) -> bool:
    return all(run.applicable for runs in arms for run in runs)


def _contrast(
    arm: str,
    baseline: str,
    arms: Mapping[str, Sequence[Observation]],
    rule: Rule,
    comparisons: int,
    level: float,
    pool: Pool | str | None,
) -> Contrast:
    """The contrast of one arm before it is corrected for the others."""
    runs, others = arms[arm], arms[baseline]
    left, right = _values(runs), _values(others)
    seeds = [seed for seed in left if seed in right]
    x, y = (rule.sign * np.array([values[seed] for seed in seeds], dtype=float) for values in (left, right))
    mine, theirs = (np.array(list(values.values()), dtype=float) for values in (left, right))
    alone = _by_seed(x, y, rule, comparisons) if rule.pairing == "seed" else _by_arm(left, right, rule, comparisons)
    pooled = isinstance(pool, Pool) and rule.pairing == "seed"
    pairs = _by_seed(x, y, rule, comparisons, pool) if pooled else alone
    applicable = _applicable(runs, others)
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
        alone=alone,
        not_pooled=pool if isinstance(pool, str) else "",
    )


def _by_seed(
    x: NDArray[np.float64], y: NDArray[np.float64], rule: Rule, comparisons: int, pool: Pool | str | None = None
) -> Paired:
    return paired(
        x,
        y,
        alpha=rule.alpha,
        comparisons=comparisons,
        smallest_effect=rule.smallest_effect,
        pool=pool if isinstance(pool, Pool) else None,
    )


def _by_arm(arm: Mapping[Hashable, float], baseline: Mapping[Hashable, float], rule: Rule, comparisons: int) -> Paired:
    mine, theirs = ({seed: rule.sign * value for seed, value in some.items()} for some in (arm, baseline))
    return unpaired(mine, theirs, alpha=rule.alpha, comparisons=comparisons, smallest_effect=rule.smallest_effect)


def _pool(arms: Mapping[str, Sequence[Observation]]) -> Pool | str:
    """The spread that all arms have in common once arm and seed are taken out, or why it may not be used."""
    able = [runs for runs in arms.values() if _applicable(runs)]
    if any(run.failed for runs in able for run in runs):
        return "a run failed"
    tables = [_values(runs) for runs in able]
    seeds = list(tables[0]) if tables else []
    if len(tables) < 2 or len(seeds) < 2 or any(set(table) != set(seeds) for table in tables):
        return "not every arm has every seed"
    scores = np.array([[table[seed] for seed in seeds] for table in tables])
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
    # What is left of few arms is alike by construction, so their own spread over seeds is looked at too.
    spreads = (rest.std(1, ddof=1), scores.std(1, ddof=1))
    if any(spread.max() > MOST_UNLIKE * spread.min() for spread in spreads):
        return f"one arm is more than {MOST_UNLIKE} times as noisy as another"
    df = (len(tables) - 1) * (len(seeds) - 1)
    return Pool(float(np.sqrt(2 * (rest**2).sum() / df)), df)


def _values(runs: Iterable[Observation]) -> dict[Hashable, float]:
    return {run.seed: run.value for run in runs if run.ok}


def _fisher(runs: Sequence[Observation], others: Sequence[Observation]) -> float:
    counts = [[sum(run.failed for run in group), sum(run.ok for run in group)] for group in (runs, others)]
    table = np.array(counts)
    if not table.any(axis=1).all():
        return nan
    if not table.any(axis=0).all():  # none failed, or all did
        return 1.0
    from scipy.stats import fisher_exact

    return float(fisher_exact(table).pvalue)


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


def _corrected(family: Sequence[Contrast]) -> list[Contrast]:
    raw = [contrast.paired.p for contrast in family]
    columns: dict[str, list[float]] = {
        "p_holm": adjusted(raw, "holm"),
        "p_bh": adjusted(raw, "bh"),
        "p": adjusted(raw, family[0].rule.correction if family else "none"),
        "p_tost": adjusted([contrast.paired.p_tost for contrast in family], "holm"),
        "p_not_worse": adjusted([contrast.paired.p_not_worse for contrast in family], "holm"),
    }
    return [
        replace(contrast, **{name: column[index] for name, column in columns.items()})  # type: ignore[arg-type]
        for index, contrast in enumerate(family)
    ]


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
    "p_t_alone": "alone.p",
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
    "pi_paired_low": "paired.share_interval.low",
    "pi_paired_high": "paired.share_interval.high",
    "wins": "paired.wins",
    "ties": "paired.ties",
    "losses": "paired.losses",
    "wins_wc": "paired.wins",
    "losses_wc": "worst_losses",
    "fail_fisher_p": "p_failures",
    "sign_p_wc": "p_worst",
    "fail_low": "failure_interval.low",
    "fail_high": "failure_interval.high",
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
