"""What must hold on a CUDA device too; skipped, with the reason, where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from paribus.network import build
from paribus.parts import kinds, spec_class
from paribus.planning import plan
from paribus.spec.load import load
from paribus.training.fit import Settings
from paribus.training.module import Stream, loss_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

SWAPPED = [(family, kind) for family in ("mixer", "norm", "position", "feedforward") for kind in kinds(family)]


@pytest.mark.parametrize("change", ["network.mixer=gru", "network.norm=batch", "network.position=rotary", "seeds=2"])
def test_the_first_loss_is_that_of_the_cpu(change: str, write: Callable[..., Path]) -> None:
    planned = plan(load(write(), (change,)))
    settings = Settings.of(planned.job(planned.runs[0]))
    micro = next(iter(Stream(settings.data.split("training"), settings.training, settings.seed, 0.0)))
    losses = []
    for device in ("cpu", "cuda"):
        network = build(settings.network, settings.data.sizes(), settings.seed).to(device)
        loss = loss_of(network, micro.reading.to(torch.device(device)), 0.0) / micro.asked
        losses.append(float(loss.detach()))
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("family", "kind"), SWAPPED)
def test_networks_give_finite_numbers_near_those_of_the_cpu(
    family: str, kind: str, precision: torch.dtype, write: Callable[..., Path]
) -> None:
    if family == "mixer" and "self" not in getattr(spec_class(family, kind), "places", {"self"}):
        pytest.skip(f"{kind} stands in cross position only")
    planned = plan(load(write(), (f"network.{family}={kind}",)))
    settings = Settings.of(planned.job(planned.runs[0]))
    reading = settings.data.split("validation").reading(next(settings.data.split("validation").batches(20)))
    found = []
    for device in ("cpu", "cuda"):
        network = build(settings.network, settings.data.sizes(), settings.seed).to(device).eval()
        with torch.inference_mode(), torch.autocast(device, precision, enabled=precision != torch.float32):
            found.append(network(reading.to(torch.device(device)).batch).float().cpu())
    assert found[1].isfinite().all()
    near = 1e-3 if precision == torch.float32 else 0.1
    assert float((found[0] - found[1]).abs().max()) <= near * (1 + float(found[0].abs().max()))
