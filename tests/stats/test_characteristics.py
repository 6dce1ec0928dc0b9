from pathlib import Path

import pytest
from numpy.random import default_rng

from paribus.stats.characteristics import (
    after_failures,
    better_after_failures,
    false_claims,
    shares,
    simulated,
    verdicts,
)
from paribus.stats.contrast import Observation, compare
from paribus.stats.verdict import Rule

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def published() -> dict[tuple[int, int], list[float]]:
    """(seeds, true difference in SD) -> shares of better, equivalent and inconclusive, as users read them."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("| seeds | true 0 SD |")
    lines = [line.strip("| ").split("|") for line in rest.split("\n\n")[0].splitlines()[2:]]
    return {
        (int(seeds), truth): [float(share) for share in cell.split("/")]
        for seeds, *cells in lines
        for truth, cell in zip((0, 1, 2, 4), cells, strict=False)
    }


def test_all_of_the_table_is_read() -> None:
    assert len(published()) == 16


@pytest.mark.parametrize(("setting", "known"), published().items())
def test_verdicts_are_given_as_often_as_published(setting: tuple[int, int], known: list[float]) -> None:
    found = shares(*setting, default_rng(7), tables=1000)
    assert [found[word] for word in ("better", "equivalent", "inconclusive")] == pytest.approx(known, abs=0.06)


@pytest.mark.parametrize("n", [3, 10])
def test_at_most_one_experiment_in_twenty_makes_a_false_claim(n: int) -> None:
    assert false_claims(n, default_rng(1), tables=2000) < 0.065


@pytest.mark.parametrize("n", [3, 8])
def test_the_simulated_verdicts_are_those_of_the_rule(n: int) -> None:
    tables = simulated(n, 2.0, default_rng(0), tables=25)
    found = verdicts(tables)
    for table, words in zip(tables, found, strict=True):
        arms = {"base": [Observation(seed, value=0.0) for seed in range(n)]}
        arms |= {f"a{i}": [Observation(s, value=v) for s, v in enumerate(row)] for i, row in enumerate(table)}
        assert [contrast.verdict for contrast in compare(arms, "base", Rule("max", 1.0)).values()] == list(words)


def published_of_failures() -> dict[tuple[int, int], list[list[float]]]:
    """(seeds, failed) -> for true differences of 0, 1 and 2 SD: better if all finish, any fail, the worst fail."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("| failed | true 0 SD |")
    lines = [line.strip("| ").split("|") for line in rest.split("\n\n")[0].splitlines()[2:]]
    return {
        (int(head.split()[2]), int(head.split()[0])): [[float(s) for s in cell.split("/")] for cell in cells]
        for head, *cells in lines
    }


def test_failures_do_to_verdicts_what_is_published() -> None:
    assert len(published_of_failures()) == 4
    for (n, failed), rows in published_of_failures().items():
        for truth, known in enumerate(rows):
            found = better_after_failures(n, failed, truth, default_rng(3), tables=1000)
            assert found == pytest.approx(known, abs=0.06)


def test_the_simulated_failures_are_judged_by_the_rule() -> None:
    tables = simulated(8, 0.5, default_rng(0), tables=25)
    for worst in (False, True):
        for table, words in zip(tables, after_failures(tables, 2, worst=worst), strict=True):
            rows = [sorted(row) if worst else list(row) for row in table]
            arms = {"base": [Observation(seed, value=0.0) for seed in range(8)]}
            for i, row in enumerate(rows):
                failed = [Observation(seed, "diverged") for seed in range(2)]
                arms[f"a{i}"] = failed + [Observation(seed, value=row[seed]) for seed in range(2, 8)]
            assert [found.verdict for found in compare(arms, "base", Rule("max", 1.0)).values()] == list(words)
