"""What arms gain on short and on long sources, beside scipy's own numbers."""

from collections.abc import Callable

import pytest
from scipy import stats

from paribus.planning import Plan
from paribus.report import find
from paribus.report.grids import of_gaps
from paribus.report.lengths import Gap, Lengths
from paribus.store.kept import Kept
from paribus.store.record import Outcome

Made = tuple[Plan, dict[str, Outcome]]


@pytest.fixture(scope="module")
def found(six_arms: Made, kept_by_six: Callable[[str], Kept | None]) -> Lengths:
    lengths = find(*six_arms, read=kept_by_six).sections[0].lengths
    assert lengths is not None
    return lengths


def pairs(found: Lengths, gap: Gap) -> tuple[list[float], list[float]]:
    at = found.bins.index(gap.bin)
    arm, baseline = found.values[gap.arm], found.values["baseline"]
    seeds = sorted(arm.keys() & baseline.keys())
    return [arm[seed][at] for seed in seeds], [baseline[seed][at] for seed in seeds]


def test_a_gap_is_the_paired_t_test_of_its_stretch(found: Lengths) -> None:
    raw = [stats.ttest_rel(*pairs(found, gap)) for gap in found.gaps]
    for gap, other in zip(found.gaps, raw, strict=True):
        low, high = other.confidence_interval(0.95)
        assert (gap.interval.low, gap.interval.high) == pytest.approx((low, high))
        assert gap.mean == pytest.approx((low + high) / 2)
    corrected = stats.false_discovery_control([other.pvalue for other in raw])
    assert [gap.p for gap in found.gaps] == pytest.approx(list(corrected))


def test_every_arm_has_a_gap_on_every_stretch_and_a_star_where_it_is_found(found: Lengths) -> None:
    assert len(found.gaps) == (len(found.means) - 1) * len(found.bins)
    grid = of_gaps(found)
    assert grid is not None
    assert grid.heads == ("tokens", *(arm for arm in found.means if arm != "baseline"))
    stars = sum(cell.endswith("*") for row in grid.rows for cell in row)
    assert stars == sum(gap.p < 0.05 for gap in found.gaps)
