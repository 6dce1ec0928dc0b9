"""The quickstart, one seed of two arms trained in full: it teaches what its question asks."""

from pathlib import Path

import pytest

import paribus

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_baseline_translates_and_without_positions_it_does_not(tmp_path: Path) -> None:
    file = ROOT / "experiments" / "quickstart.yaml"
    summary = paribus.run(file, arms=["no_position"], seeds=[1], store=str(tmp_path))
    assert (summary.trained, summary.broken) == (2, {})
    frame = paribus.results("quickstart@no_position,seeds=1", store=str(tmp_path))
    chosen = frame[(frame.split == "test") & (frame.metric == "exact_match")].set_index("arm").value
    assert chosen["baseline"] >= 0.8
    assert chosen["no_position"] <= 0.5 * chosen["baseline"]
