"""The committed results of `rnnmft reproduce`, as the documentation reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnmft.experiments.store import load

__all__ = ["committed"]

_RESULTS = Path(__file__).parent / "results" / "experiments"


def committed(experiment: str, scale: str = "small") -> dict[str, Any]:
    """The results of one experiment: provenance, and a part for each cell."""
    return load(_RESULTS / f"{experiment}-{scale}.json")
