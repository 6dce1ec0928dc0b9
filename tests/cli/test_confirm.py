"""`confirm` on the smallest experiment, in one process."""

from pathlib import Path

import pytest

from paribus.__main__ import main
from paribus.report.markdown import safe
from paribus.store.folder import open_store

Write = object


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_an_arm_is_confirmed_on_the_next_unused_seeds(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write("arms: {bare: {network.position: none}}\n"))  # type: ignore[operator]
    assert call("run", file, "--quiet", "--workers", "1") == 0
    assert call("confirm", file, "bare", "--quiet", "--workers", "1") == 0
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bare: first "))
    for page in ("small", "small@confirm-bare-2000001"):
        text = Path("reports", page, "report.md").read_text(encoding="utf-8")
        assert "## Confirmed on fresh seeds" in text
        assert safe(said) in text
    assert call("confirm", file, "bare", "--seeds", "1", "--quiet", "--workers", "1") == 0
    reports = {found.name for found in Path("reports").iterdir() if found.is_dir()}
    assert reports == {"small", "small@confirm-bare-2000001", "small@confirm-bare-2000003"}


TUNED = """\
arms: {bare: {network.position: none}}
tuning: {trials: 2, sampler: random, pruner: none, space: {training.optimizer.lr: {low: 1e-3, high: 1e-2, log: true}}}
"""


@pytest.mark.slow
def test_a_tuned_arm_is_confirmed_with_the_settings_that_its_search_found(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(write(TUNED))  # type: ignore[operator]
    assert call("run", file, "--quiet", "--workers", "1") == 0
    assert call("confirm", file, "bare", "--quiet", "--workers", "1") == 0
    assert "bare: first " in capsys.readouterr().out
    store = open_store(None, create=False)
    first, again = (store.database.plan(name) for name in ("small", "small@confirm-bare-2000001"))
    assert first is not None
    assert again is not None
    rates = [plan.settings["bare"][""]["training"]["optimizer"]["lr"] for plan in (first, again)]
    assert rates[0] == rates[1] != 1e-2
    assert "## Confirmed on fresh seeds" in Path("reports/small/report.md").read_text(encoding="utf-8")


def test_there_must_be_something_to_confirm(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write("arms: {bare: {network.position: none}}\n"))  # type: ignore[operator]
    assert call("confirm", file, "bear") == 2
    assert "no arm is called 'bear'; did you mean 'bare'?" in capsys.readouterr().err
    assert call("confirm", file, "bare") == 2
    assert "there is nothing to confirm yet" in capsys.readouterr().err
    assert call("confirm", file, "bare", "--seeds", "0") == 2
    assert "--seeds: got 0" in capsys.readouterr().err
