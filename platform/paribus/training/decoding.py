"""Writing outputs token by token. Axes: B batch, V vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paribus.network import Network
from paribus.parts.task import END, PAD, START
from paribus.training.data import Reading, Split


@dataclass(frozen=True)
class Output:
    """What a network wrote for an example, without marks."""

    tokens: tuple[int, ...]
    ended: bool = True  # whether it wrote the end mark too; else it was cut

    def matches(self, answer: tuple[int, ...]) -> bool:
        """Whether this is the answer, its end included."""
        return self.ended and self.tokens == answer


@torch.no_grad()
def greedy(network: Network, reading: Reading, split: Split, longest: int) -> list[Output]:
    """What the network writes for each example of a batch: at most `longest` tokens each, and the end mark.

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
    for place in range(last_prompt + longest):  # the last of these places is for the end mark alone
        if capacity is not None and place >= capacity:
            break
        likeliest_B = network.step(ids_B, place, state).argmax(-1)
        asked_B = (place + 1 >= prompts_B) & ~ended_B
        ended_B = ended_B | (asked_B & (likeliest_B == END) & (place + 1 <= prompts_B + longest))
        kept_B = asked_B & (likeliest_B != END) & (place + 1 < prompts_B + longest)
        written.append(torch.where(kept_B, likeliest_B, PAD))
        if bool(ended_B.all()):
            break
        following_B = given[:, place + 1] if place + 1 < min(last_prompt, given.shape[1]) else likeliest_B
        ids_B = torch.where(place + 1 < prompts_B, following_B, likeliest_B)
    if not written:
        return [Output((), ended=False) for _ in reading.rows]
    table = zip(torch.stack(written, 1).cpu().tolist(), ended_B.tolist(), strict=True)
    return [Output(tuple(token for token in row if token not in (PAD, START)), ended) for row, ended in table]


def targets_of(split: Split, rows: Sequence[int]) -> list[tuple[int, ...]]:
    """The right answers, without marks."""
    found = []
    for row in rows:
        start = int(split.targets.starts[row])
        numbers = split.targets.flat[start : start + int(split.targets.lengths[row])]
        found.append(tuple(int(number) for number in numbers if number >= 0 and number != END))
    return found
