"""What many tests start from: a small right experiment, and a folder to write it in."""

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = """\
name: small
task:
  {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}
network: {width: 16, depth: 2, mixer: {heads: 2}, feedforward: {width: 32}, dropout: 0.0}
training: {steps: 6, batch: {examples: 20}, optimizer: {lr: 1e-2}, evaluate: {every: 0.5, examples: 40}}
seeds: 2
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `SMALL` with more lines behind it (or another text) to a file in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARIBUS_STORE", raising=False)

    def written(more: str = "", *, text: str | None = None, name: str = "small.yaml") -> Path:
        file = tmp_path / name
        file.write_text((SMALL + more) if text is None else text, encoding="utf-8")
        return Path(name)

    return written
