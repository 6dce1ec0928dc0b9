"""What optimizers promise."""

import copy

import torch
from torch import Tensor, nn

from paribus.errors import Broken
from paribus.parts import Part
from paribus.parts.optimizer import OptimizerSpec
from paribus.promises.any_module import load
from paribus.promises.building import WIDTH
from paribus.promises.examples import demand_same, drawn, noise
from paribus.promises.promise import DoesNotApply, promise

STEPS = 40


class Small(nn.Module):
    """A table, a matrix and a bias: what optimizers tell apart."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.table = nn.Embedding(5, WIDTH)
        self.line = nn.Linear(WIDTH, 3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(noise(drawn(seed), *parameter.shape))

    def loss(self) -> Tensor:
        return (self.line(self.table.weight) - torch.arange(15.0).view(5, 3) / 7).square().mean()


def begun(spec: Part, seed: int, **changes: object) -> tuple[Small, torch.optim.Optimizer]:
    network = Small(seed)
    settings = spec.model_copy(update=changes)
    optimizer = settings.build(network, fused=False)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise Broken(f"build gives a {type(optimizer).__name__}, needs a torch.optim.Optimizer")
    return network, optimizer


def steps(network: Small, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        network.loss().backward()
        optimizer.step()


@promise("every parameter is in one group, at the rate that was set")
def groups(spec: Part, seed: int) -> None:
    network, optimizer = begun(spec, seed)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for name, parameter in network.named_parameters():
        if held.count(id(parameter)) != 1:
            raise Broken(f"{name} is in {held.count(id(parameter))} groups", "a table, a matrix and a bias")
    for group in optimizer.param_groups:
        if group["lr"] != getattr(spec, "lr", None):
            raise Broken(f"a group has the rate {group['lr']}, the setting is {getattr(spec, 'lr', None)}")


@promise("a step moves every parameter, and steps lower the loss")
def lowers_the_loss(spec: Part, seed: int) -> None:
    network, optimizer = begun(spec, seed, lr=0.05)
    before, start = float(network.loss().detach()), copy.deepcopy(network.state_dict())
    steps(network, optimizer, 1)
    for name, value in network.state_dict().items():
        if torch.equal(value, start[name]):
            raise Broken(f"the first step did not move {name}", "a table, a matrix and a bias")
    steps(network, optimizer, STEPS - 1)
    after = float(network.loss().detach())
    if not after < before:
        raise Broken(f"the loss was {before:.3g} and is {after:.3g} after {STEPS} steps at rate 0.05")


@promise("at rate zero nothing moves")
def rate_counts(spec: Part, seed: int) -> None:
    network, optimizer = begun(spec, seed)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    start = copy.deepcopy(network.state_dict())
    steps(network, optimizer, 2)
    for name, value in network.state_dict().items():
        demand_same(value, start[name], f"{name} moved at rate 0", "2 steps", tolerance=1e-12)


@promise("weight decay draws on matrices, and not on biases and tables")
def decay(spec: Part, seed: int) -> None:
    if not hasattr(spec, "weight_decay"):
        raise DoesNotApply("has no weight decay")
    moved: dict[float, dict[str, Tensor]] = {}
    for share in (0.0, 0.1):
        network, optimizer = begun(spec, seed, lr=0.05, weight_decay=share)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        moved[share] = network.state_dict()
    for name, value in moved[0.0].items():
        decayed = not torch.equal(value, moved[0.1][name])
        if decayed != (name == "line.weight"):
            raise Broken(
                f"weight decay {'draws' if decayed else 'does not draw'} on {name}", "one step without gradient"
            )


@promise("its state saves and loads")
def state(spec: Part, seed: int) -> None:
    one, first = begun(spec, seed, lr=0.05)
    steps(one, first, 3)
    two, second = begun(spec, seed + 1, lr=0.05)
    load(one, two)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(one, first, 2)
    steps(two, second, 2)
    for name, value in one.state_dict().items():
        demand_same(
            two.state_dict()[name], value, f"{name} went elsewhere after loading", "3 steps, saved, 2 more", 1e-6
        )


@promise("its settings have a rate")
def interface(spec: Part, seed: int) -> None:
    if not isinstance(spec, OptimizerSpec):
        raise Broken("its Spec does not derive from paribus.parts.optimizer.OptimizerSpec, so it has no `lr`")


PROMISES = (interface, groups, lowers_the_loss, rate_counts, decay, state)
