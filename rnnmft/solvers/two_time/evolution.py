"""The two-time kernel of Gaussian states, forward in time, one row after another.

With Y(t, s) = Cov(B e^t + c x^t, s^s), from Y(t, 0) = 0,

    Y(t, s+1) = Y(t, s) A^T + F(t, s),          F = B diag(C_e) B^T + c c^T R kappa,
    C(t+1, s) = A C(t, s) + Y(t, s),  s <= t,   C(t+1, t+1) = A C(t, t+1) + Y(t, t+1),

where C is the covariance of the states and C_e(t, s), that of the preactivations, needs row t of C
alone. So one row of T numbers is kept and not T^2, on one trajectory and between two.

Eq. (gaussian-kernel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.deadline import check_deadline
from rnnmft.solvers.two_time.hermite import HermiteOverlaps
from rnnmft.solvers.two_time.linear_states import LinearStates

__all__ = ["Evolution", "Moments", "StateRow"]

Array = NDArray[np.float64]
# Powers of A are doubled until nothing is left of them (against the 1 of lag 0), at most to
# A^(2^20), farther than any run.
_NOTHING, _DOUBLINGS = 1e-18, 20
# Of each average, relative: a tenth of what integrals are computed to (`quadrature.RTOL`).
_TOLERANCE = 1e-12


class StateRow:
    """Row t of a two-time covariance of states that a linear system moves.

    Args:
        A: of the states, (m, m).
        first: C(0, 0), (.., m, m): as many kernels as it has leading entries.

    Attributes:
        values: C(t, s), s = 0, .., t, (.., t + 1, m, m).
    """

    def __init__(self, A: Array, first: Array) -> None:
        self._A = A
        self.values = first[..., None, :, :]
        # A^1, A^2, A^4, .., until nothing is left of them.
        self._powers = [A.T]
        while np.abs(self._powers[-1]).max() > _NOTHING and len(self._powers) < _DOUBLINGS:
            self._powers.append(self._powers[-1] @ self._powers[-1])

    def advance(self, forcing: Array) -> None:
        """To row t + 1, by the covariance F(t, s), s = 0, .., t, of what moves the states."""
        along = self._filtered(forcing)
        row = np.empty((*along.shape[:-3], along.shape[-3] + 1, *along.shape[-2:]))
        row[..., :-1, :, :] = _times(self._A, self.values)
        row[..., 1:-1, :, :] += along[..., :-1, :, :]
        turned = np.swapaxes(row[..., -2, :, :], -1, -2)
        row[..., -1, :, :] = _times(self._A, turned) + along[..., -1, :, :]
        self.values = row

    def _filtered(self, forcing: Array) -> Array:
        """Y(t, s + 1) = sum_{r <= s} F(t, r) (A^T)^(s - r), by doubling the reach of the sum."""
        found, reach = forcing, 1
        for power in self._powers:
            if reach >= found.shape[-3]:
                break
            before = _times(found[..., :-reach, :, :], power)
            found = found.copy()
            found[..., reach:, :, :] += before
            reach *= 2
        return found


def _times(left: Array, right: Array) -> Array:
    """left @ right over stacks of small matrices; numbers are multiplied as such."""
    return left * right if left.shape[-1] == 1 else left @ right


@dataclass
class Moments:
    """What one step leaves: of update t + 1, from the states before it.

    `variance`, `covariance`: of the preactivations, on one trajectory and between two, (K,);
    `second`, `cross`: covariances of the new states, (m, m); `mean`: theirs, (m,).
    """

    variance: Array
    covariance: Array
    second: Array
    cross: Array
    mean: Array

    @property
    def size(self) -> float:
        """The largest covariance in it; inf where one is not finite."""
        largest = max(float(np.abs(a).max()) for a in (self.variance, self.second))
        return largest if math.isfinite(largest) else math.inf


class Evolution:
    """The recursion from the start on, for one trajectory and the covariances between two.

    Args:
        system: the cell at its ensemble.
        tolerance: relative error allowed in each pair average.
        exact: whether pairs that the series misses are integrated one by one.
        scale: multiplies every sigma_w^2: what a relative error of the averages does.

    Attributes:
        system: the cell at its ensemble.
        row: of the states, kernels (own, cross).
        error: the largest relative error of a pair average so far.
    """

    def __init__(
        self,
        system: LinearStates,
        tolerance: float = _TOLERANCE,
        exact: bool = True,
        scale: float = 1.0,
    ) -> None:
        self.system, self._scale = system, scale
        self._shares = np.array([1.0, system.inputs.correlation])
        start = self._shares[:, None, None] * system.start_covariance
        self.row = StateRow(system.A, start)
        self.mean = np.zeros(len(system.A))
        self.error = 0.0
        self.steps = 0
        #: C_e,k(t, s), s = 0, .., t, of the last update, (K, kernels, t + 1).
        self.drives = np.zeros((len(system.rows), 2, 0))
        self._input = system.input(64)
        # b_k b_k^T: what the variance of a preactivation does to the states, (K, m, m).
        self._into = np.einsum("ik,jk->kij", system.B, system.B)
        self._overlaps = [HermiteOverlaps(seen, tolerance, exact) for seen in system.seen]

    def looked_at(self, k: int, first: int = 0) -> Array:
        """Cov(u_k^t, u_k^s), s = first, .., t, kernels (own, cross)."""
        r = self.system.rows[k]
        values = self.row.values[:, first:]
        return r[0] ** 2 * values[..., 0, 0] if len(r) == 1 else values @ r @ r

    def law(self, k: int) -> tuple[float, float]:
        """Mean and variance of u_k^t."""
        q = float(self.looked_at(k, first=-1)[0, 0])
        return float(self.system.rows[k] @ self.mean), max(q, 0.0)

    def advance(self) -> Moments:
        """One update of the network."""
        check_deadline()
        system = self.system
        self.steps += 1
        if len(self._input) < self.steps:
            self._input = system.input(2 * self.steps)
        power = self._shares[:, None] * self._input[: self.steps][::-1]
        drives = np.stack([self._drive(k, power) for k in range(len(system.rows))])
        forcing = np.asarray(np.tensordot(drives, self._into, axes=(0, 0)), dtype=float)
        if system.c.any():
            forcing += power[..., None, None] * np.outer(system.c, system.c)
        self.drives = drives
        self.row.advance(forcing)
        self.mean = system.A @ self.mean + system.drift
        own, cross = self.row.values[:, -1]
        return Moments(drives[:, 0, -1], drives[:, 1, -1], own, cross, self.mean)

    def _drive(self, k: int, power: Array) -> Array:
        """C_e,k(t, s), s = 0, .., t, kernels (own, cross)."""
        system = self.system
        drive = system.wide[k] * power + system.bias[k]
        if system.weights[k] == 0:
            return drive
        self._overlaps[k].add(*self.law(k))
        overlap, error = self._overlaps[k].row(self.looked_at(k))
        self.error = max(self.error, error)
        return drive + self._scale * system.weights[k] * overlap
