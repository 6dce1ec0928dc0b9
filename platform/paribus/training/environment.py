"""Where a run is trained: what its numbers may depend on besides its settings, and the memory that it takes."""

import contextlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch

from paribus.planning import RESULTS_VERSION
from paribus.spec.machine import Machine
from paribus.training.trainer import strategy_of


def environment(device: torch.device, machine: Machine) -> dict[str, Any]:
    """What the numbers of a run may depend on besides its settings."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "paribus": version("paribus"),
        "results": RESULTS_VERSION,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "device": device.type,
        "device_name": name,
        "devices": machine.devices,
        "strategy": strategy_of(machine) if machine.devices > 1 else "",
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "compile": machine.compile,
        "revision": _revision(),
    }


@cache
def _revision() -> str:
    """The commit of the code that is run, with a mark if it was changed since; empty outside a repository."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):  # Linux: start the high-water mark of this process anew
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "")
    return int(line.split()[1]) * 1024 if line else None
