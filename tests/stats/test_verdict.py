from dataclasses import replace
from math import nan

import pytest

from paribus.stats.interval import Interval
from paribus.stats.paired import Paired
from paribus.stats.verdict import Counts, Rule, compared, flips, judge, tags

RULE = Rule("max", smallest_effect=0.1)
ALL = Counts(5, 5, 0)
PAIRS = Paired(5, 0.5, 0.1, 0.05, simultaneous=Interval(0.2, 0.8), p=0.001, p_signflip=0.0625, wins=5, won=5.0)


@pytest.mark.parametrize(
    ("counts", "pairs", "p", "p_tost", "verdict"),
    [
        (replace(ALL, applicable=False), PAIRS, 0.001, 0.001, "not applicable"),
        (Counts(5, 0, 5), Paired(0), nan, nan, "failed"),
        (Counts(3, 2, 1), PAIRS, 0.001, 0.9, "unstable"),  # a third, exactly
        (Counts(4, 3, 1), PAIRS, 0.001, 0.9, "better"),
        (ALL, Paired(2, 0.0, ties=2), nan, nan, "identical"),
        (Counts(1, 1, 0), Paired(1, 0.0, ties=1), nan, nan, "insufficient"),
        (ALL, replace(PAIRS, n=2), 0.001, 0.9, "insufficient"),
        (ALL, PAIRS, nan, nan, "insufficient"),
        (Counts(0, 0, 0), Paired(0), nan, nan, "insufficient"),
        (ALL, PAIRS, 0.05, 0.9, "better"),  # alpha itself is enough
        (ALL, PAIRS, 0.050001, 0.9, "inconclusive"),
        (ALL, PAIRS, 0.01, nan, "better"),
        (ALL, replace(PAIRS, mean=-0.5), 0.01, 0.9, "worse"),
        (ALL, PAIRS, 0.01, 0.05, "negligibly better"),
        (ALL, replace(PAIRS, mean=-0.5), 0.01, 0.05, "negligibly worse"),
        (ALL, PAIRS, 0.9, 0.05, "equivalent"),
        (ALL, PAIRS, 0.9, nan, "inconclusive"),
    ],
)
def test_the_rule_line_by_line(counts: Counts, pairs: Paired, p: float, p_tost: float, verdict: str) -> None:
    assert judge(counts, pairs, p, p_tost, RULE) == verdict


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20])
def test_a_good_verdict_needs_more_than_half_of_the_planned_pairs(n: int) -> None:
    for won in (0.0, n / 2, (n + 1) / 2, float(n)):
        goes = flips("better", Counts(n + 1, n, 1), replace(PAIRS, n=n, won=won))
        assert goes == (won <= (n + 1) / 2)
        assert not flips("worse", Counts(n + 1, n, 1), replace(PAIRS, won=won))
        assert not flips("better", Counts(n, n, 0), replace(PAIRS, won=won))


def test_the_sign_of_the_mean_says_which_way() -> None:
    assert [compared(PAIRS, *some) for some in ((True, False), (True, True), (False, True), (False, False))] == [
        "better",
        "negligibly better",
        "equivalent",
        "inconclusive",
    ]


def test_tags_line_by_line() -> None:
    def told(verdict: str, counts: Counts = ALL, pairs: Paired = PAIRS, not_worse: float = 0.9) -> set[str]:
        return set(tags(verdict, counts, pairs, (0.001, 0.9, not_worse), RULE))  # type: ignore[arg-type]

    cannot = "exact test cannot reach alpha"
    assert told("better") == {"by at least the smallest effect", cannot}
    assert told("better", pairs=replace(PAIRS, simultaneous=Interval(0.05, 0.8))) == {cannot}
    assert told("equivalent", not_worse=0.05) == {"not worse", cannot}
    assert "given it finishes" in told("better", Counts(5, 4, 1))
    assert "provisional" in told("better", Counts(5, 4, 0))
    lost = replace(PAIRS, won=2.0)
    assert "worst case flips it" in told("inconclusive", Counts(5, 4, 1), lost)
    many = replace(PAIRS, n=10, p=0.001)
    assert "exact test agrees" in told("better", pairs=replace(many, p_signflip=0.002))
    assert "exact test disagrees" in told("better", pairs=replace(many, p_signflip=0.2))
    assert told("failed") == told("not applicable") == set()
