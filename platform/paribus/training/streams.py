"""Streams of randomness, each a pure function of seed, name and place, so that nothing an arm does shifts another."""

import hashlib

import torch
from torch import nn


def derive(seed: int, *names: object) -> int:
    """A number for one use of one seed."""
    text = "\0".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def set_dropout(seed: int, step: int, micro: int, rank: int, device: torch.device) -> None:
    """Start the default generators for one micro-step; dropout is all that draws from them."""
    number = derive(seed, "dropout", step, micro, rank)
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def fingerprints(network: nn.Module) -> dict[str, str]:
    """Shape and hash of every parameter, by its role path: two arms share those that are equal."""
    found = {}
    for path, parameter in network.named_parameters():
        values = parameter.detach().float().cpu().contiguous().numpy().tobytes()
        shape = "x".join(str(size) for size in parameter.shape)
        found[path] = f"{shape}:{hashlib.sha256(values).hexdigest()[:12]}"
    return found
