"""What must hold on a CUDA device too; skipped, with the reason, where there is none."""

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from paribus.network import Batch, Network, build
from paribus.parts import kinds, spec_class
from paribus.planning import plan
from paribus.promises import building
from paribus.promises.examples import Shape
from paribus.spec.load import load
from paribus.training.module import Stream, loss_of
from paribus.training.settings import Settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

DEVICE = "cuda"
SHAPE = Shape((3, 5, 4))
PRECISIONS = [torch.float32, torch.bfloat16]
PROMISED = [
    (family, kind)
    for family in ("score", "weights", "window", "position", "norm", "mixer", "feedforward")
    for kind in kinds(family)
]
SWAPPED = [
    (family, kind)
    for family in ("mixer", "norm", "position", "feedforward")
    for kind in kinds(family)
    if "self" in getattr(spec_class(family, kind), "places", {"self"})
]


@pytest.mark.parametrize("change", ["network.mixer=gru", "network.norm=batch", "network.position=rotary", "seeds=2"])
def test_the_first_loss_is_that_of_the_cpu(change: str, write: Callable[..., Path]) -> None:
    planned = plan(load(write(), (change,)))
    settings = Settings.of(planned.job(planned.runs[0]))
    micro = next(iter(Stream(settings.data.split("training"), settings.training, settings.seed, 0.0)))
    losses = []
    for device in ("cpu", DEVICE):
        network = build(settings.network, settings.data.sizes(), settings.seed).to(device)
        loss = loss_of(network, micro.reading.to(torch.device(device)), 0.0) / micro.asked
        losses.append(float(loss.detach()))
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(("family", "kind"), SWAPPED)
def test_networks_give_finite_numbers_near_those_of_the_cpu(
    family: str, kind: str, precision: torch.dtype, write: Callable[..., Path]
) -> None:
    planned = plan(load(write(), (f"network.{family}={kind}",)))
    settings = Settings.of(planned.job(planned.runs[0]))
    reading = settings.data.split("validation").reading(next(settings.data.split("validation").batches(20)))
    found = []
    for device in ("cpu", DEVICE):
        network = build(settings.network, settings.data.sizes(), settings.seed).to(device).eval()
        with torch.inference_mode(), torch.autocast(device, precision, enabled=precision != torch.float32):
            found.append(network(reading.to(torch.device(device)).batch).float().cpu())
    assert found[1].isfinite().all()
    near = 1e-3 if precision == torch.float32 else 0.1
    assert float((found[0] - found[1]).abs().max()) <= near * (1 + float(found[0].abs().max()))


def _networks(family: str, kind: str) -> Iterator[tuple[str, Network]]:
    for name, network in building.networks(family, spec_class(family, kind)(), seed=1):
        yield name, network.float().to(DEVICE)


def _logits(network: Network, words: Batch, precision: torch.dtype) -> Tensor:
    moved = Batch(**{name: None if value is None else value.to(DEVICE) for name, value in vars(words).items()})
    with torch.no_grad(), torch.autocast(DEVICE, precision, enabled=precision != torch.float32):
        return network(moved).float().cpu()


def _same(one: Tensor, other: Tensor, precision: torch.dtype) -> bool:
    near = 1e-4 if precision == torch.float32 else 5e-2
    return float((one - other).abs().max()) <= near * (1 + float(other.abs().max()))


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(("family", "kind"), PROMISED)
def test_padding_moves_no_kept_output(family: str, kind: str, precision: torch.dtype) -> None:
    for name, network in _networks(family, kind):
        for training in (True, False):
            network.train(training)
            short, long = (_logits(network, building.batch(name, SHAPE, 1, extra), precision) for extra in (0, 3))
            assert short.isfinite().all()
            assert _same(building.kept(name, SHAPE, long), building.kept(name, SHAPE, short), precision)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(("family", "kind"), PROMISED)
def test_no_token_sees_a_later_one_except_as_declared(family: str, kind: str, precision: torch.dtype) -> None:
    for name, network in _networks(family, kind):
        if name == "encoder":
            continue
        for training in (True, False):
            network.train(training)
            words = building.batch(name, SHAPE, 1)
            assert words.inputs_BT is not None
            before = _logits(network, words, precision)[:, :2]
            words.inputs_BT[:, 2:] = 5 + (words.inputs_BT[:, 2:] - 4) % 4
            after = _logits(network, words, precision)[:, :2]
            declared = training and "future" in spec_class(family, kind)().leaking()
            assert declared or _same(after, before, precision)


def _run(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paribus", "run", *words], cwd=folder, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _scores(folder: Path, metric: str) -> list[float]:
    table = next((folder / "reports").glob("*/runs.csv"))
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["split"], row["metric"]) == ("test", metric)]
    return [float(row["value"]) for row in sorted(rows, key=lambda row: int(row["seed"]))]


def test_the_quickstart_scores_on_a_gpu_as_on_the_cpu(tmp_path: Path) -> None:
    file = str(Path(__file__).parents[2] / "experiments" / "quickstart.yaml")
    found = []
    for device in ("cpu", DEVICE):
        (tmp_path / device).mkdir()
        _run(
            tmp_path / device, file, "--arms", "baseline", "--set", f"machine.accelerator={device}", "--store", "store"
        )
        found.append(_scores(tmp_path / device, "exact_match"))
    interval = stats.ttest_rel(*found).confidence_interval(0.95)
    assert len(found[0]) == 5
    assert found[0] == found[1] or interval.low <= 0 <= interval.high


def test_two_runs_share_one_gpu_and_give_what_they_give_alone(write: Callable[..., Path], tmp_path: Path) -> None:
    file = str(write().resolve())
    found = []
    for name, share in (("alone", "1"), ("packed", "0.5")):
        (tmp_path / name).mkdir()
        accelerator = f"machine.accelerator={DEVICE}"
        _run(tmp_path / name, file, "--set", accelerator, "--store", "store", "--gpus-per-run", share)
        found.append(_scores(tmp_path / name, "loss"))
    assert found[1] == pytest.approx(found[0], abs=1e-4)
