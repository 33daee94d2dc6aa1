"""One step of a perturbation at given laws: m_1, and the operator of second moments."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tangent", "tangent_of"]

Array = NDArray[np.float64]
# A power iteration that takes longer than this is left to all eigenvalues, up to three from the
# start; its sum has settled at 50 eps.
_MOST_POWERS, _FEW, _SETTLED = 2000, 3, 1e-14


@dataclass(frozen=True)
class Tangent:
    """One step of a perturbation.

    Attributes:
        mean_square: m_1 of the one-step Jacobian.
        operator, start: the step of second moments and where they start, where both are known.
    """

    mean_square: float
    operator: Array | None = field(default=None, compare=False, repr=False)
    start: Array | None = field(default=None, compare=False, repr=False)

    @cached_property
    def growth(self) -> float:
        """The growth of m_1(T) per step, log of the operator's spectral radius; nan if unknown."""
        if self.operator is None or self.start is None:
            return math.nan
        radius = _radius(self.operator, self.start)
        return math.log(radius) if radius > 0 else -math.inf


def tangent_of(operator: Array, start: Array, total: Array, states: int) -> Tangent:
    """m_1 = total . operator start / states."""
    return Tangent(float(total @ operator @ start) / states, operator, start)


def _radius(operator: Array, start: Array) -> float:
    """The leading eigenvalue by power iteration from a positive start; by all of them if slow."""
    if len(operator) > _FEW:
        vector, last = start / start.sum(), 0.0
        for _ in range(_MOST_POWERS):
            vector = operator @ vector
            size = float(vector.sum())
            if size <= 0 or not math.isfinite(size):
                break
            vector /= size
            if abs(size - last) <= _SETTLED * size:
                return size
            last = size
    return float(np.abs(np.linalg.eigvals(operator)).max())
