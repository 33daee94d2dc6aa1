"""Where a result was made: versions, hardware, date. What one needs to make it again."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from rnnmft.numerics.devices import device_name
from rnnmft.records import Record

__all__ = ["Provenance", "provenance"]

_LIBRARIES = ("numpy", "scipy", "sympy", "torch")


@dataclass(frozen=True)
class Provenance(Record):
    """Versions by name, the processor, the device that simulated, threads, and the date (UTC)."""

    versions: dict[str, str]
    processor: str
    device: str
    threads: int
    system: str
    date: str
    command: str = ""


def provenance(device: str = "cpu", command: str = "") -> Provenance:
    """Describe this machine and this installation.

    Args:
        device: the torch device that simulated.
        command: the command line that makes the result again.
    """
    found = {"rnnmft": str(getattr(sys.modules["rnnmft"], "__version__", "unknown"))}
    found["python"] = platform.python_version()
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return Provenance(
        versions=found,
        processor=f"{_processor()}, {os.cpu_count()} cores",
        device=device_name(device),
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}",
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=command,
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
