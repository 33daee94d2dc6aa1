"""How far a recursion has come: its last row and variances, and whether it nears a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.two_time.lags import Lags
from rnnmft.solvers.two_time.stationary import KernelEquation

__all__ = ["Followed"]

Array = NDArray[Any]
# A root is near at this relative distance, if it was farther before by so much (over the last
# quarter and before the half: a power t^(-1/2) falls to 0.75 or less); or simply at this, a hundred
# times what is followed is off by. Roots of one system lie farther apart; whether one is stable is
# asked as well.
_NEAR, _NEARER, _THERE = 0.1, 0.75, 1e-4
# Errors of single averages that a recursion of many adds up to.
_ERRORS = 10.0


@dataclass(frozen=True)
class Followed:
    """What the recursion has come to: C_e by lag, (K, T), and the states' variances, (T, m).

    `error`: the largest relative error of a pair average on the way.
    """

    kernel: Array
    variances: Array
    error: float = 0.0

    @property
    def window(self) -> Lags:
        """The lags that are known: beyond half of the run the recursion still knows the start."""
        return Lags(self.kernel.shape[1] // 2 - 1)

    def apart(self, equation: KernelEquation) -> tuple[Array, Array]:
        """What is forgotten, and the plateau."""
        kernel = self.kernel[:, : self.window.length + 1]
        plateau = equation.plateau_beside(kernel)
        return kernel - plateau[:, None], plateau

    def distance(self, limit: Array) -> tuple[float, float]:
        """From a stationary variance, in the last quarter of the run and before its half."""
        scale = np.where(limit > 0, limit, 1.0)
        away = np.abs(self.variances - limit) / scale
        steps = len(away)
        before, now = away[3 * steps // 8 : steps // 2], away[3 * steps // 4 :]
        return float(before.max()), float(now.max())

    def near(self, limit: Array) -> bool:
        """Whether that is near, and was farther before."""
        before, now = self.distance(limit)
        return now <= max(_THERE, _ERRORS * self.error) or (
            now <= _NEAR and now <= _NEARER * before
        )
