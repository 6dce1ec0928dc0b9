"""What a run keeps beside its record: the same examples everywhere, and measures worked by hand."""

import subprocess
import sys
from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from paribus.parts.mixer.attention import Seen
from paribus.planning import plan
from paribus.spec.load import load
from paribus.store import kept as store
from paribus.store.kept import Kept
from paribus.training.fit import train
from paribus.training.kept import MEASURES, sums

Write = Callable[..., Path]


def measured(weights: Tensor, mask: Tensor | None = None, queries: int | None = None) -> dict[str, float]:
    """The means of one head over the real queries of one example."""
    _, _, q, k = weights.shape
    table = sums(Seen(weights, weights, mask), torch.tensor([queries or q]), torch.tensor([queries or k]))[0]
    half = len(MEASURES)
    return {
        name: float(table[at] / table[half + at]) for at, name in enumerate(MEASURES) if float(table[half + at]) > 0
    }


def test_uniform_attention_has_entropy_and_distance_one() -> None:
    found = measured(torch.full((1, 1, 6, 6), 1 / 6))
    assert found["entropy"] == pytest.approx(1)
    assert found["distance"] == pytest.approx(1)
    assert found["diagonal"] == pytest.approx(1 / 6)
    assert found["first"] == pytest.approx(1 / 6)
    causal = torch.tril(torch.ones(8, 8)) / torch.arange(1, 9)[:, None]
    found = measured(causal[None, None], torch.tril(torch.ones(8, 8, dtype=torch.bool))[None, None])
    assert found["entropy"] == pytest.approx(1)
    assert found["distance"] == pytest.approx(1)


def test_a_head_that_looks_at_one_place_is_told_by_where_it_looks() -> None:
    assert measured(torch.eye(5)[None, None]) == pytest.approx(
        {"entropy": 0, "distance": 0, "distance_without_first": 0, "diagonal": 1, "previous": 0, "first": 0.2}
    )
    previous = torch.zeros(5, 5)
    previous[0, 0] = 1
    previous[torch.arange(1, 5), torch.arange(4)] = 1
    assert measured(previous[None, None])["previous"] == pytest.approx(1)
    sink = torch.zeros(5, 5)
    sink[:, 0] = 1
    assert measured(sink[None, None])["first"] == pytest.approx(1)


def test_padding_counts_for_nothing_and_weights_that_are_no_shares_are_made_so() -> None:
    weights = torch.rand(1, 1, 4, 4)
    padded = torch.nn.functional.pad(weights, (0, 3, 0, 3), value=7.0)
    assert measured(padded, queries=4) == pytest.approx(measured(weights), abs=1e-6)
    assert measured(weights * 5) == pytest.approx(measured(weights), abs=1e-6)


def test_negative_weights_have_no_entropy() -> None:
    assert "entropy" not in measured(torch.tensor([[0.5, 0.7, -0.2]] * 3)[None, None])


def test_one_row_by_hand() -> None:
    weights = torch.tensor([0.5, 0.25, 0.25])
    found = measured(weights.expand(1, 1, 3, 3))
    entropy = (0.5 * log(2) + 0.5 * log(4)) / log(3)
    assert found["entropy"] == pytest.approx(entropy)
    # Distances by weight 0.75, 0.75, 1.25; by uniform weight 1, 2/3, 1.
    assert found["distance"] == pytest.approx((0.75 / 1 + 0.75 / (2 / 3) + 1.25 / 1) / 3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Kept]]:
    text = """\
name: small
task:
  {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}
network: {width: 16, depth: 2, mixer: {heads: 2}, feedforward: {width: 32}, dropout: 0.0}
training: {steps: 2, batch: {examples: 20}}
arms:
  gru: {network.mixer: gru, network.position: none}
  alone: {network.family: decoder}
"""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "small.yaml").write_text(text)
    planned = plan(load(folder / "small.yaml"))
    found = {}
    for run in [run for run in planned.runs if run.seed == 1]:
        place = folder / run.arm
        place.mkdir()
        train(planned.job(run), place, lambda news: None, lambda: False)
        read = store.read(place)
        assert read is not None
        found[run.arm] = (place, read)
    return found


def test_all_arms_keep_the_same_examples(runs: dict[str, tuple[Path, Kept]]) -> None:
    rows = {arm: [sample.row for sample in kept.samples] for arm, (_, kept) in runs.items()}
    assert rows["baseline"] == rows["gru"] == rows["alone"]
    assert len(rows["baseline"]) == 40
    assert [shown.row for shown in runs["baseline"][1].shown] == [shown.row for shown in runs["gru"][1].shown]


def test_maps_are_shares_over_what_is_read(runs: dict[str, tuple[Path, Kept]]) -> None:
    kept = runs["baseline"][1]
    paths = {f"{side}.{layer}.{name}" for side in ("encoder", "decoder") for layer in (0, 1) for name in ("mixer",)}
    paths |= {"decoder.0.cross", "decoder.1.cross"}
    assert set(kept.maps) == {f"{index}/{path}" for index in range(3) for path in paths}
    for index, shown in enumerate(kept.shown):
        cross = kept.maps[f"{index}/decoder.1.cross"]
        assert cross.shape == (2, len(shown.decoder), len(shown.encoder))
        assert np.allclose(cross.astype(float).sum(-1), 1, atol=2e-3)
        assert shown.decoder[0] == "<start>"
        assert shown.encoder[-1] == "<end>"
    assert len(kept.heads) == 12
    assert {head.place for head in kept.heads} == {"self", "cross"}


def test_a_network_without_attention_keeps_all_but_maps(runs: dict[str, tuple[Path, Kept]]) -> None:
    kept = runs["gru"][1]
    assert {path.split("/")[1] for path in kept.maps} == {"decoder.0.cross", "decoder.1.cross"} or not kept.maps
    assert kept.samples
    assert set(kept.scores) == {"validation", "test", "test_longer"}


def test_scores_example_by_example_add_up_to_the_scores_of_the_run(runs: dict[str, tuple[Path, Kept]]) -> None:
    from paribus.store import record

    for arm, (folder, kept) in runs.items():
        columns = kept.scores["test"]
        assert len(columns["loss"]) == 40, arm
        assert columns["exact"].min() >= 0
        assert [int(columns["exact"][sample.row]) for sample in kept.samples] == [s.right for s in kept.samples]
        assert not (folder / record.FILE).exists()  # the worker writes it, last of all


def test_kept_files_are_read_without_torch_and_may_be_missing_or_broken(
    runs: dict[str, tuple[Path, Kept]], tmp_path: Path
) -> None:
    folder = runs["baseline"][0]
    text = "import sys\nfrom pathlib import Path\nfrom paribus.store.kept import read\n"
    code = f"{text}assert read(Path({str(folder)!r}))\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert store.read(tmp_path) is None
    (tmp_path / store.TEXTS).write_bytes((folder / store.TEXTS).read_bytes())
    (tmp_path / store.ARRAYS).write_bytes((folder / store.ARRAYS).read_bytes()[:500])
    assert store.read(tmp_path) is None


def test_what_is_kept_is_small(runs: dict[str, tuple[Path, Kept]]) -> None:
    for folder, _ in runs.values():
        assert sum((folder / name).stat().st_size for name in (store.TEXTS, store.ARRAYS)) < 100_000
