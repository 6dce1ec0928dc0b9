"""Architecture ablations of sequence models: one YAML file in, one honest report out.

    loaded = paribus.load("experiments/quickstart.yaml")
    plan = paribus.plan(loaded)
    paribus.run("experiments/quickstart.yaml")
    frame = paribus.results("quickstart")       # one row a score, as a pandas frame
    model = paribus.load_model("quickstart/baseline/1")

Nothing here is loaded before it is used, so `import paribus` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from paribus.api import load_model as load_model
    from paribus.api import results as results
    from paribus.api import run as run
    from paribus.errors import ParibusError as ParibusError
    from paribus.planning import plan as plan
    from paribus.spec.load import load as load
    from paribus.stats.table import contrasts as contrasts

_HOMES = {
    "ParibusError": "paribus.errors",
    "contrasts": "paribus.stats.table",
    "load": "paribus.spec.load",
    "load_model": "paribus.api",
    "plan": "paribus.planning",
    "results": "paribus.api",
    "run": "paribus.api",
}

__all__ = ["ParibusError", "__version__", "contrasts", "load", "load_model", "plan", "results", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'paribus' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
