"""Batch norm by position, and over several devices."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, multiprocessing, nn

from paribus.parts.norm.batch import Batch
from paribus.parts.position import CapacityError

C = 3


def test_by_position_each_place_has_the_statistics_of_its_real_tokens() -> None:
    norm = Batch(C, momentum=0.1, eps=1e-5, places=4).double()
    x = torch.randn(5, 4, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([4, 3, 3, 2, 2])
    mask = torch.arange(4) < lengths.unsqueeze(1)
    found = norm(x, mask, torch.arange(4).unsqueeze(0))
    for place in range(3):  # the last place holds one token, which has no variance
        real = mask[:, place]
        torchs = nn.BatchNorm1d(C, eps=1e-5).double()
        assert (found[real, place] - torchs(x[real, place])).abs().max() < 1e-12
        assert (norm.running_mean[place] - torchs.running_mean).abs().max() < 1e-12
        assert (norm.running_variance[place] - torchs.running_var).abs().max() < 1e-12
    assert torch.equal(norm.running_variance[3], torch.ones(C).double())
    evaluated = norm.eval()(x, mask, torch.arange(4).unsqueeze(0))
    wanted = (x[0, 1] - norm.running_mean[1]) / (norm.running_variance[1] + 1e-5).sqrt()
    assert (evaluated[0, 1] - wanted).abs().max() < 1e-12


def test_a_place_that_no_token_of_a_batch_has_keeps_what_it_remembers() -> None:
    norm = Batch(C, momentum=0.5, eps=1e-5, places=4)
    norm.running_mean[2] = 7.0
    norm(torch.randn(3, 4, C), torch.arange(4) < torch.tensor([[2], [2], [1]]), torch.arange(4).unsqueeze(0))
    assert torch.equal(norm.running_mean[2], torch.full((C,), 7.0))


def test_a_place_beyond_the_last_is_an_error() -> None:
    norm = Batch(C, momentum=0.1, eps=1e-5, places=3)
    with pytest.raises(CapacityError, match="a sequence of 4 tokens needs more than the 3 places"):
        norm(torch.randn(2, 4, C), None, torch.arange(4).unsqueeze(0))


def _half(rank: int, folder: str, places: int | None) -> None:
    x, mask = _example()
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    norm = Batch(C, momentum=0.1, eps=1e-5, sync=True, places=places).double()
    mine = mask[2 * rank : 2 * rank + 2]
    longest = int(mine.sum(1).max())  # each device pads to its own
    part = x[2 * rank : 2 * rank + 2].requires_grad_()
    found = norm(part[:, :longest], mine[:, :longest], torch.arange(longest).unsqueeze(0))
    found = found * mine[:, :longest, None]
    (found**3).sum().backward()
    whole = torch.nn.functional.pad(found.detach(), (0, 0, 0, 4 - longest))
    torch.save((whole, part.grad, norm.running_variance), f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def _example() -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 4, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(4) < torch.tensor([[4], [1], [2], [3]])


@pytest.mark.slow
@pytest.mark.parametrize("places", [None, 5])
def test_in_step_two_devices_have_the_statistics_and_gradients_of_the_whole_batch(
    tmp_path: Path, places: int | None
) -> None:
    multiprocessing.spawn(_half, (str(tmp_path), places), nprocs=2)
    x, mask = _example()
    norm = Batch(C, momentum=0.1, eps=1e-5, places=places).double()
    found = norm(x.requires_grad_(), mask, torch.arange(4).unsqueeze(0)) * mask.unsqueeze(-1)
    (found**3).sum().backward()
    halves = [torch.load(tmp_path / str(rank)) for rank in range(2)]
    assert x.grad is not None
    assert (torch.cat([half[0] for half in halves]) - found).abs().max() < 1e-12
    assert (torch.cat([half[1] for half in halves]) - x.grad).abs().max() < 1e-10
    for half in halves:
        assert (half[2] - norm.running_variance).abs().max() < 1e-12
