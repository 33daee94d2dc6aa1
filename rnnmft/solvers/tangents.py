"""One step of a perturbation at given laws: m_1, and the operator of second moments.

Eq. (given-laws), Eq. (untied-tangent), Eq. (returned).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tangent", "tangent_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tangent:
    """One step of a perturbation.

    Attributes:
        mean_square: m_1 of the one-step Jacobian.
        operator: the step of second moments, where it is known; where units are sampled, what one
            preactivation's perturbation makes of all, over all steps to come.
    """

    mean_square: float
    operator: Array | None = field(default=None, compare=False, repr=False)

    @cached_property
    def growth(self) -> float:
        """The growth of m_1(T) per step, log of the operator's spectral radius; nan if unknown.

        Of an operator of generations, Eq. (returned), it has the sign of the growth per step.
        """
        if self.operator is None:
            return math.nan
        if not np.isfinite(self.operator).all():
            return math.inf
        radius = float(np.abs(np.linalg.eigvals(self.operator)).max())
        return math.log(radius) if radius > 0 else -math.inf


def tangent_of(operator: Array, start: Array, total: Array) -> Tangent:
    """m_1 = total . operator start, `total` the shares of the states."""
    return Tangent(float(total @ operator @ start), operator)
