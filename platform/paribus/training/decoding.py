"""Writing outputs token by token. Axes: B batch, V vocabulary."""

from collections.abc import Sequence

import torch
from torch import Tensor

from paribus.network import Network
from paribus.parts.task import END, PAD, START
from paribus.training.data import Reading, Split


@torch.no_grad()
def greedy(network: Network, reading: Reading, split: Split, longest: int) -> list[tuple[int, ...]]:
    """What the network writes for each example of a batch, without marks; at most `longest` tokens each.

    The places that its positions have bound the writing too, so a network never meets a place that it lacks.
    """
    device = reading.targets.device
    prompts_B = torch.from_numpy(split.prompts[reading.rows]).to(device)
    capacity = network.capacity("decoder")
    state = network.begin(reading.batch)
    given = reading.batch.inputs_BT
    assert given is not None
    ids_B = given[:, 0]
    ended_B = torch.zeros_like(ids_B, dtype=torch.bool)
    last_prompt = int(prompts_B.max())
    written: list[Tensor] = []
    for place in range(last_prompt + longest):
        if capacity is not None and place >= capacity:
            break
        likeliest_B = network.step(ids_B, place, state).argmax(-1)
        asked_B = (place + 1 >= prompts_B) & ~ended_B & (place + 1 < prompts_B + longest)
        ended_B = ended_B | (asked_B & (likeliest_B == END))
        written.append(torch.where(asked_B & (likeliest_B != END), likeliest_B, PAD))
        if bool(ended_B.all()):
            break
        following_B = given[:, place + 1] if place + 1 < min(last_prompt, given.shape[1]) else likeliest_B
        ids_B = torch.where(place + 1 < prompts_B, following_B, likeliest_B)
    if not written:
        return [() for _ in reading.rows]
    table = torch.stack(written, 1).cpu().tolist()
    return [tuple(token for token in row if token not in (PAD, START)) for row in table]


def targets_of(split: Split, rows: Sequence[int]) -> list[tuple[int, ...]]:
    """The right answers, without marks."""
    found = []
    for row in rows:
        start = int(split.targets.starts[row])
        numbers = split.targets.flat[start : start + int(split.targets.lengths[row])]
        found.append(tuple(int(number) for number in numbers if number >= 0 and number != END))
    return found
