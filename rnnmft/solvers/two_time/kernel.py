"""A stationary two-time kernel of Gaussian states, and what follows from it.

The covariance of a preactivation is a part that is forgotten and a plateau, C_e = E(tau) + P, and
that of what its W looks at is filtered from it (`lags`): U(tau) = (G * E)(tau) + G(0) P + input's.

Eq. (stationary-kernel), Eq. (lag-filter).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.solvers.two_time.lags import Lags, gain
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.pair_curve import PairCurve

__all__ = ["StationaryKernel", "extended", "fed_by_input", "input_parts", "weighted_averages"]

Array = NDArray[Any]


@dataclass(frozen=True)
class StationaryKernel:
    """A solution: covariances of the preactivations, and of what each W looks at.

    Attributes:
        system, lags: the cell at its ensemble and the window.
        share: of the input's covariance, 1 on one trajectory and c_x between two.
        forgotten: E, (K, L + 1).
        plateau: P, (K,).
        curves: the pair averages at the stationary law of each u_k.
        error: of U, absolute.
        status: OK, or why it is not as accurate as it should be.
    """

    system: LinearStates
    lags: Lags
    share: float
    forgotten: Array
    plateau: Array
    curves: tuple[PairCurve, ...]
    error: float
    status: Status = Status.OK

    def covariance(self, k: int) -> Array:
        """C_e of preactivation k at the lags of the window."""
        return self.forgotten[k] + self.plateau[k]

    def seen_from(self, rows: Array) -> tuple[Array, Array]:
        """Covariance of r s for each row r, at the lags and at infinite lag: (n, L + 1), (n,)."""
        system, lags = self.system, self.lags
        gains = gain(rows, system.A, system.B, 1.0, lags.frequencies)
        fed, constant = fed_by_input(system, lags, rows, self.share)
        far = gains[..., 0] @ self.plateau + constant
        return lags.filtered(gains, self.forgotten) + fed + far[:, None], far

    @cached_property
    def looked_at(self) -> tuple[Array, Array]:
        """U_k at the lags and at infinite lag: (K, L + 1), (K,)."""
        return self.seen_from(self.system.rows)

    def averages(self, kind: str, scale: float = 1.0) -> tuple[Array, Array]:
        """sigma_w^2 times one of `seen.KINDS` of each W, at the lags and at infinite lag.

        Args:
            kind: of the pair averages.
            scale: multiplies every covariance: to see what an error in them does.
        """
        looked, far = (scale * part for part in self.looked_at)
        return weighted_averages(self.system, kind, looked, far, self._scaled(scale))

    def _scaled(self, scale: float) -> tuple[PairCurve, ...]:
        return self.curves if scale == 1.0 else tuple(c.scaled(scale) for c in self.curves)


def weighted_averages(
    system: LinearStates, kind: str, looked: Array, far: Array, curves: tuple[PairCurve, ...]
) -> tuple[Array, Array]:
    """sigma_w^2 times a pair average at covariances `looked` (K, n) and `far` (K,)."""
    near, plateau = np.zeros_like(looked), np.zeros_like(far)
    for k, curve in enumerate(curves):
        if system.weights[k] > 0:
            points = system.weights[k] * curve(kind, np.append(looked[k], far[k]))
            near[k], plateau[k] = points[:-1], points[-1]
    return near, plateau


def fed_by_input(
    system: LinearStates, lags: Lags, rows: Array, share: float
) -> tuple[Array, Array]:
    """What the elementwise input gives to the covariance of r s: forgotten, and for ever."""
    forgotten, constant = input_parts(system, lags, share)
    gains = gain(rows, system.A, system.c[:, None], 1.0, lags.frequencies)
    return lags.filtered(gains, forgotten[None]), gains[:, 0, 0] * constant


def input_parts(system: LinearStates, lags: Lags, share: float) -> tuple[Array, float]:
    """The input's covariance: what is forgotten, (L + 1,), and what is constant."""
    if system.inputs.temporal == "constant":
        return np.zeros(lags.length + 1), share * system.inputs.R
    return share * system.input(lags.length + 1), 0.0


def extended(values: Array, far: float, lags: int) -> Array:
    """Values at lags 0, .., `lags`; beyond the window at their plateau."""
    found = np.full(lags + 1, float(far))
    found[: len(values)] = values[: lags + 1]
    return found
