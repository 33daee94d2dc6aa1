"""How far m_1(T) of networks that learn lies from what theory says of their moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

__all__ = ["Departure", "departures"]

_KINDS = ("trained", "redrawn")
#: Theory follows where it is right within a factor of 2, some of which is the width's: log m_1 has
#: a variance of order T / N, and its mean lies half of that below the logarithm of the mean.
_WITHIN = 0.69
#: Chance that networks which are no more than their moments seem to be more at one look: with the
#: 40 looks of a run at scale small, 4 % that any does.
_CHANCE = 1e-3


@dataclass(frozen=True)
class Departure:
    """One kind of network at one look, against theory.

    Attributes:
        step: of Adam.
        kind: "trained" or "redrawn".
        gap: mean over the networks of log m_1(T), less that of theory.
        error: of it, one standard error: of the networks and of theory.
        agrees: whether it lies within a factor of 2.
        more: whether trained networks differ from redrawn ones beyond chance (Mann and Whitney).
    """

    step: int
    kind: str
    gap: float
    error: float
    agrees: bool
    more: bool


def departures(looks: Sequence[Mapping[str, Any]]) -> list[Departure]:
    """Every look and kind of network against theory."""
    found = []
    for look in looks:
        theory, noise = (float(look["theory"][key]) for key in ("m_1", "error"))
        every = {kind: np.log(np.array(look[kind]["m_1"], float)) for kind in _KINDS}
        # By ranks: networks that learnt scatter more than those that were drawn.
        more = mannwhitneyu(every["trained"], every["redrawn"]).pvalue < _CHANCE
        for kind, logs in every.items():
            gap = float(logs.mean() - np.log(theory))
            error = float(np.hypot(logs.std(ddof=1) / np.sqrt(len(logs)), noise / theory))
            agrees = abs(gap) <= _WITHIN
            found.append(Departure(look["step"], kind, gap, error, agrees, bool(more)))
    return found
