"""The versions on which a chunk's bytes depend: a campaign begins and ends with the same."""

from __future__ import annotations

import sys
from importlib.metadata import version

__all__ = ["versions"]

_LIBRARIES = ("numpy", "scipy", "sympy", "torch", "zarr")


def versions() -> dict[str, str]:
    """{library: version}, of rnnmft and of what computes and writes."""
    own = str(getattr(sys.modules["rnnmft"], "__version__", "unknown"))
    return {"rnnmft": own, **{name: version(name) for name in _LIBRARIES}}
