"""What is shown while runs are trained."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paribus.cli.live import Lines
from paribus.planning import plan
from paribus.running import Finished
from paribus.spec.load import load
from paribus.store.record import Record, Score

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("analysis", "told"),
    [("{}", "exact_match 0.5"), ("{metric: loss}", "loss 2"), ("{metric: loss, split: validation}", "loss 1")],
)
def test_a_finished_run_is_told_with_the_metric_that_decides(
    analysis: str, told: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(load(write(f"analysis: {analysis}\n"), ["seeds=1"]))
    run = planned.runs[0]
    scores = [
        Score(split, metric, value)
        for split, metric, value in (
            ("validation", "exact_match", 0.25),
            ("test", "exact_match", 0.5),
            ("validation", "loss", 1.0),
            ("test", "loss", 2.0),
        )
    ]
    lines = Lines()
    lines.begin(planned, planned.runs, 1)
    lines.hear(Finished(planned.job(run), "ok", record=Record(run.id, "ok", scores=scores)))
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "training 1 run on 1 worker"
    assert shown[1].split("  ")[-2].strip() == told
