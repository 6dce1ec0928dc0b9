"""A run's id hashes what its numbers depend on, and nothing else."""

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

from paribus.api import engine, prepared, short_of_gpu
from paribus.errors import MachineError, ParibusError
from paribus.parts import Part, spec_class
from paribus.planning import RESULTS_VERSION, Plan, plan, run_id
from paribus.spec.load import load
from paribus.store.folder import open_store

Write = Callable[..., Path]

SCORE = '''"""Tilted dot score, q . k + tilt * i for query i."""
from pydantic import Field
from paribus.parts import Part
from paribus.parts.score import Score
from {package}.slope import SLOPE

class Spec(Part):
    tilt: float = Field(SLOPE, description="of the plane")
    def build(self, *, head_dim):
        return Tilted(self.tilt)

class Tilted(Score):
    def __init__(self, tilt):
        super().__init__()
        self.tilt = tilt
    def forward(self, q, k, positions):
        return q @ k.transpose(-2, -1) + self.tilt * positions.queries_BQ[:, None, :, None]
    def flops(self, queries, keys):
        return 0.0
'''


def first_id(file: Path, *sets: str) -> str:
    return plan(load(file, sets)).runs[0].id


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "question=Why?",
        "seeds=[1, 9]",
        "analysis.alpha=0.01",
        "analysis.smallest_effect=0.5",
        "machine.threads=2",
        "machine.accelerator=cpu",
        "machine.retries=0",
        "machine.time_limit=1h",
        "network.encoder.depth=2",  # what it is anyway, written out
        "network.cross=attention",
        "training.schedule=cosine",
        "arms={more: {network.depth: 3}}",
    ],
)
def test_words_machine_and_analysis_are_no_part_of_an_id(write: Write, change: str) -> None:
    file = write()
    assert first_id(file, "network.mixer.heads=4", change) == first_id(file, "network.mixer.heads=4")


@pytest.mark.parametrize(
    "change",
    [
        "network.width=32",
        "network.depth=1",
        "network.mixer.heads=1",
        "network.mixer.score=dot",
        "network.mixer.attention_dropout=0.1",
        "network.mixer=gru",
        "network.cross={heads: 1}",
        "network.position=none",
        "network.norm=batch",
        "network.norm_placement=pre",
        "network.feedforward.width=48",
        "network.residual=false",
        "network.causal=false",
        "network.dropout=0.1",
        "network.embeddings.scale=1",
        "network.initialisation.gain=0.5",
        "network.encoder.norm=none",
        "network.layers.decoder.last.norm=none",
        "network.family=decoder",
        "training.steps=7",
        "training.tokens=100",
        "training.batch.examples=10",
        "training.batch.tokens=100",
        "training.accumulate=2",
        "training.optimizer.lr=0.5",
        "training.optimizer=sgd",
        "training.schedule=linear",
        "training.schedule.warmup=2",
        "training.label_smoothing=0.1",
        "training.clip_norm=null",
        "training.evaluate.every=1.0",
        "training.select=last",
        "training.monitor=token_accuracy",
        "training.early_stop={patience: 2}",
        "task.letters=5",
        "task.seed=1",
        "task.training_examples=150",
        "decoding.max_length=5",
        "machine.precision=bf16",
        "seeds=[2]",
    ],
)
def test_every_scientific_setting_is_part_of_an_id(write: Write, change: str) -> None:
    file = write()
    assert first_id(file, change) != first_id(file)


def test_an_added_field_stays_out_of_an_id_at_its_neutral_value() -> None:
    class Older(Part):
        heads: int = 4

    class Newer(Part):
        heads: int = 4
        sink: bool = Field(False, json_schema_extra={"neutral": False})

    Newer.__module__ = Older.__module__
    assert Newer().identity() == Older().identity()
    assert Newer(sink=True).identity() != Older().identity()


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a score of a user's own, importable."""
    package = tmp_path / "lab_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "slope.py").write_text("SLOPE = 0.5\n")
    (package / "tilted.py").write_text(SCORE.format(package=package.name))
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_editing_a_part_from_outside_or_what_it_imports_changes_the_id(write: Write, outside: Path) -> None:
    file = write("arms: {tilted: {network.mixer.score: lab_of_mine.tilted}}\n")
    before = plan(load(file)).runs
    assert spec_class("score", "lab_of_mine.tilted").__module__ == "lab_of_mine.tilted"

    for edited in ("tilted.py", "slope.py"):
        source = outside / edited
        source.write_text(source.read_text() + "# another thought\n")
        importlib.invalidate_caches()
        after = plan(load(file)).runs
        assert [run.id for run in after if run.arm == "baseline"] == [run.id for run in before if run.arm == "baseline"]
        assert all(new.id != old.id for new, old in zip(after, before, strict=True) if new.arm == "tilted")
        before = after


def test_a_plan_survives_being_plain_data(write: Write) -> None:
    planned = plan(load(write("arms: {deep: {network.depth: 3}}\n")))
    assert Plan.of(planned.tree()) == planned


def test_runs_come_seed_by_seed_so_that_a_broken_off_experiment_has_whole_pairs(write: Write) -> None:
    planned = plan(load(write("arms: {deep: {network.depth: 3}}\n")))
    assert [(run.seed, run.arm) for run in planned.runs] == [(1, "baseline"), (1, "deep"), (2, "baseline"), (2, "deep")]


def test_an_id_is_the_hash_of_all_settings_with_the_seed_as_sorted_json(write: Write) -> None:
    loaded = load(write(text="name: a\nseeds: [7, 11]\nfloors: [random_network, majority]\ntask: copy\n"))
    planned = plan(loaded)
    arm = loaded.arms[0].setting
    settings: dict[str, Any] = {
        "results": RESULTS_VERSION,
        "network": arm.network.identity(),
        "training": arm.training.identity(),
        "task": {**arm.tasks[""].identity(), "version": 1},
        "decoding": arm.decoding.identity(),
        "precision": 32,
        "sources": {},
    }
    untrained = {**settings, "training": None}
    known = [
        {**settings, "seed": 7},
        {**settings, "seed": 11},
        {**untrained, "floor": "random_network", "seed": 7},
        {**untrained, "floor": "random_network", "seed": 11},
        {**untrained, "floor": "majority", "network": False, "seed": 7},
    ]
    texts = [json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) for value in known]
    assert [run.id for run in planned.runs] == [sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert run_id(loaded.arms[0], "", 11) == planned.runs[1].id


def test_differences_are_told_once_for_all_places_that_change_alike(write: Write) -> None:
    planned = plan(
        load(
            write(
                "arms:\n  dot: {network.mixer.score: dot}\n  half: {network.encoder.norm: batch}\n"
                "  first: {network.layers.decoder.0.mixer.heads: 1}\n"
                "  additive: {network.mixer.score: {kind: additive, hidden: 8}}\n"
            )
        )
    )
    rows = {row.name: row for row in planned.arms}
    assert rows["dot"].differences == [
        {"what": "mixer.score", "where": "encoder, decoder, decoder cross", "baseline": "scaled_dot", "arm": "dot"}
    ]
    assert rows["half"].differences == [{"what": "norm", "where": "encoder", "baseline": "layer", "arm": "batch"}]
    assert rows["half"].leaks == {"encoder.0.norm": "future", "encoder.1.norm": "future"}
    assert rows["first"].differences == [
        {"what": "mixer.heads", "where": "decoder layer 0, decoder cross layer 0", "baseline": "2", "arm": "1"}
    ]
    assert rows["additive"].differences[0]["arm"] == "additive (hidden 8)"


def test_too_few_places_for_the_training_sequences_are_told_before_anything_runs(write: Write) -> None:
    file = write("arms: {short: {network.mixer.score: {kind: location, max_length: 3}}}\n")
    with pytest.raises(ParibusError, match="short: the encoder has 3 places, but training has sequences of 5 tokens"):
        prepared(file)
    prepared(write(), sets=("network.position={kind: learned, max_length: 5}",))


def test_other_seeds_than_the_files_are_an_experiment_of_their_own(write: Write) -> None:
    file = write()  # has the seeds 1 and 2
    named = {str(seeds): prepared(file, seeds=seeds)[1].folder for seeds in ([1], [1, 2], [1, 2, 4], [2, 1], [7])}
    assert named == {
        "[1]": "small@seeds=1",
        "[1, 2]": "small",
        "[1, 2, 4]": "small@seeds=1+2+4",
        "[2, 1]": "small@seeds=2+1",
        "[7]": "small@seed=7",
    }
    assert prepared(file, sets=["seeds=1"])[1].folder == named["[1]"]
    assert prepared(file, sets=["seeds=1"], seeds=[1])[1].folder == named["[1]"]
    assert prepared(file, sets=["training.steps=4"], seeds=[1])[1].folder == "small@steps=4,seeds=1"
    many, others = (prepared(file, seeds=range(9, end))[1].folder for end in (90, 91))
    assert many != others


def test_a_precision_that_only_gpus_have_is_told_before_anything_is_trained(write: Write, tmp_path: Path) -> None:
    _, planned = prepared(write("arms: {half: {machine.precision: 16}, other: {machine.precision: bf16}}\n"))
    told = "machine.precision is 16 (half), but no GPU was found, and CPUs compute in 32 or bf16 only"
    assert short_of_gpu(planned) == told
    assert short_of_gpu(prepared(Path("small.yaml"), arms=["other"])[1]) == ""
    if not torch.cuda.is_available():
        with pytest.raises(MachineError, match=re.escape(told)):
            engine(planned, open_store(str(tmp_path / "store")), None)
