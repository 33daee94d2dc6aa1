"""How far m_1(T) of networks that learn lies from what theory says of their moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Departure", "departures"]

#: Logarithms of m_1(T) agree within a factor of 2, which finite networks of 64 units need over tens
#: of steps, and 4 standard errors more.
_WITHIN, _ERRORS = 0.69, 4.0


@dataclass(frozen=True)
class Departure:
    """One kind of network at one look, against theory.

    Attributes:
        step: of Adam.
        kind: "trained" or "redrawn".
        gap: mean over the networks of log m_1(T), less that of theory.
        error: of it, one standard error: of the networks and of theory.
        agrees: whether it lies within a factor of 2 and 4 errors of 0.
    """

    step: int
    kind: str
    gap: float
    error: float
    agrees: bool


def departures(looks: Sequence[Mapping[str, Any]]) -> list[Departure]:
    """Every look and kind of network against theory."""
    found = []
    for look in looks:
        theory, noise = (float(look["theory"][key]) for key in ("m_1", "error"))
        for kind in ("trained", "redrawn"):
            logs = np.log(np.array(look[kind]["m_1"], float))
            gap = float(logs.mean() - np.log(theory))
            error = float(np.hypot(logs.std(ddof=1) / np.sqrt(len(logs)), noise / theory))
            agrees = abs(gap) <= _WITHIN + _ERRORS * error
            found.append(Departure(look["step"], kind, gap, error, agrees))
    return found
