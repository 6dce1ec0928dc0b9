"""How gradients become steps: parameters and a learning rate give a torch optimizer."""

from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat
from pydantic_core import PydanticCustomError
from torch import nn

from paribus.parts import Part


class OptimizerSpec(Part):
    lr: PositiveFloat = Field(
        1e-3, description="peak learning rate", json_schema_extra={"range": {"low": 1e-4, "high": 1e-2, "log": True}}
    )
    weight_decay: NonNegativeFloat = Field(0.0, description="on matrices; never on biases, norms and embeddings")


def _two_shares(value: list[float]) -> list[float]:
    if len(value) != 2 or not all(0 <= share < 1 for share in value):
        message = f"got {value}, needs two numbers from 0 to below 1"
        raise PydanticCustomError("betas", "{message}", {"message": message})
    return value


class AdamSpec(OptimizerSpec):
    """What adam and adamw have in common: all but the way of the weight decay."""

    betas: Annotated[list[float], AfterValidator(_two_shares)] = Field(
        [0.9, 0.98], description="decay of the first and second moment"
    )
    eps: PositiveFloat = Field(1e-9, description="added to the denominator")


def groups(modules: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with decay (weight matrices) and without (biases, norms, embeddings and other tables)."""
    tables = {id(p) for module in modules.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    decayed = [p for p in parameters if p.ndim >= 2 and id(p) not in tables]
    kept = [p for p in parameters if p.ndim < 2 or id(p) in tables]
    if not weight_decay:
        return [{"params": parameters, "weight_decay": 0.0}]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
