"""Where and how runs happen; never part of a run's identity, except the precision."""

import re
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PlainValidator, PositiveInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from paribus.errors import shown
from paribus.parts import Strict

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[1-9][0-9]*[smhd]", value)):
        return value
    message = f"got {shown(value)}, needs a whole number with s, m, h or d, such as 90s or 2h"
    raise PydanticCustomError("duration", "{message}", {"message": message})


def seconds(duration: str) -> int:
    return int(duration[:-1]) * _UNITS[duration[-1]]


Duration = Annotated[
    str | None,
    PlainValidator(_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[1-9][0-9]*[smhd]$"}, {"type": "null"}]}),
]


class Checkpoint(Strict):
    every_seconds: Annotated[float, Field(gt=0)] | None = Field(60, description="or null")
    every_steps: PositiveInt | None = Field(None, description="as well, or instead")


class Machine(Strict):
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="what trains")
    devices: PositiveInt = Field(
        1, le=1024, description="for one run, which shares out each batch among them; on CPU they are processes"
    )
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = Field(
        "auto",
        description="how several devices work together, as Lightning calls it; auto is ddp, the other one is for "
        "networks of which some parameters do nothing in some steps",
    )
    precision: Literal[32, "bf16", 16] = Field(
        32, description="part of a run's identity; bf16 and 16 are mixed with 32 where that is safer, 16 on GPUs only"
    )
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")
    threads: PositiveInt = Field(1, le=1024, description="per run on CPU")
    checkpoint: Checkpoint = Field(Checkpoint(), description="how often a run is kept, so that it can be gone on with")
    retries: NonNegativeInt = Field(2, le=100, description="more attempts after a worker died")
    time_limit: Duration = Field(None, description="per run, such as 2h; a run that hits it is `timeout`")
