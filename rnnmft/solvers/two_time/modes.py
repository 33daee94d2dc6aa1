"""The modes of a stationary kernel of several states: its linear response to itself.

Moving the variance x_r of u at time r moves the pair averages of all pairs (r, s), so the kernel,
so the variance at later times: x_t = (free) + sum_{r < t} R(t - r) x_r. With z = lambda^2,

    R(z)_jk = sum_tau w_jk(tau) B_k(tau) (lambda^tau + lambda^-tau),
    w_j = G^T * (e_j delta_0 + S w_j),

S and B as in `response`, G the filter of `lags`: w is what reaches tau = 0 from elsewhere. A mode
z^t is a zero of f(z) = det(1 - R(z)), or belongs to the edge of the continuous spectrum of S. The
bound modes of S alone, such as the growing one of a chaotic network, are poles of R, and so are the
modes of the plateau: the kernel does not have them. zeros - poles outside a circle is what f, 1 at
infinity, turns there clockwise, so that none is missed. (One state: `jost`, without a window.)

Eq. (kernel-modes).
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, gmres

from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.two_time.growth import bound_eigenvalues, edge, plateau_modes, resolvent
from rnnmft.solvers.two_time.lags import gain
from rnnmft.solvers.two_time.response import KernelResponse

__all__ = ["KernelModes"]

Array = NDArray[Any]
# Neighbours on a circle between which f turns by more get points between them (as in `jost`), down
# to angles at which a zero is as near to the circle as `_NEAREST` asks.
_TURN, _FINEST = math.pi / 3, 1e-4
# Poles that are counted outside of a circle. Were there more, the count of zeros would come out too
# low: not 0, and nothing proven.
_BOUND = 6
# Where zeros on the real axis are looked for: from the edge on, closer to it than farther, to
# beyond 1, where stability ends. A zero that is missed is one that `outside` counts, and the answer
# says so.
_NEAREST, _SCAN, _RANGE = 1e-4, 24, 1.05
# GMRES's tolerance, restart and cycles: f is then as well known as sums over the window are. What
# takes more is said to be unknown.
_REACHING = {"rtol": 1e-12, "restart": 80, "maxiter": 4}
# Of a zero, as GMRES's 1e-12 allows; and |f| there, which is large at a pole.
_XTOL, _RTOL, _ZERO = 1e-13, 1e-12, 1e-6


@dataclass(frozen=True)
class KernelModes:
    """What a small change of a stationary kernel decays (or grows) like."""

    kernel: KernelResponse

    @cached_property
    def edge(self) -> float:
        """|z| of the continuous spectrum."""
        return edge(self.kernel.system, self.kernel.far) ** 2

    @property
    def stable(self) -> bool:
        """Whether every small change of the kernel decays."""
        return self.edge < 1.0 and self.outside(1.0) == 0

    def slowest(self) -> tuple[float, bool]:
        """The largest |z|, and whether the count of modes bears it out."""
        largest = max([self.edge, *self._real_zeros()])
        above = largest + _NEAREST * (_RANGE - self.edge)
        return largest, self.outside(above) == 0

    # --- f -------------------------------------------------------------------------------------

    def determinant(self, z: complex) -> complex:
        """f(z) = det(1 - R(z)). Eq. (kernel-modes)."""
        growth = cmath.sqrt(z)
        gamma = np.swapaxes(resolvent(self.kernel, growth), 0, 1)
        rows = [self._row(growth, gamma, j) for j in range(len(self.kernel.far))]
        return complex(np.linalg.det(np.eye(len(rows)) - np.stack(rows)))

    def _row(self, growth: complex, gamma: Array, j: int) -> Array:
        kernel, lags = self.kernel, self.kernel.lags
        w = self._reaching(gamma, j)
        exponent = np.arange(lags.length + 1)
        near = []
        for part in (kernel.bump, kernel.bend_bump):
            at = (part != 0).any(0)
            v = growth ** exponent[at] + growth ** (-exponent[at].astype(float))
            near.append((lags.weights[at] * w[:, at] * part[:, at] * v).sum(1))
        return near[1] + kernel.bend_far * self._through_plateau(growth, j, near[0])

    def _through_plateau(self, growth: complex, j: int, near: Array) -> Array:
        """sum_tau w_jk (lambda^tau + lambda^-tau), continued to where the sum does not exist."""
        system, far = self.kernel.system, self.kernel.far
        angle = np.array([-1j * cmath.log(growth)])
        gamma = gain(system.rows, system.A, system.B, growth, angle)[..., 0].T
        source = near.astype(complex)
        source[j] += 2.0
        return np.asarray(np.linalg.solve(np.eye(len(far)) - gamma * far, gamma @ source))

    def _reaching(self, gamma: Array, j: int) -> Array:
        """w_jk(tau), (K, L + 1)."""
        lags, bump = self.kernel.lags, self.kernel.bump
        source = np.zeros(bump.shape)
        source[j, 0] = 1.0
        free = lags.filtered(gamma, source).astype(complex)
        if not bump.any():
            return free

        def apply(x: Array) -> Array:
            x = x.reshape(bump.shape)
            return (x - lags.filtered(gamma, bump * x)).ravel()

        operator = LinearOperator((bump.size, bump.size), matvec=apply, dtype=complex)
        found, failed = gmres(operator, free.ravel(), **_REACHING)
        if failed:
            raise ConvergenceError(Status.STALLED, "The modes of the kernel cannot be told apart.")
        return found.reshape(bump.shape)

    # --- its zeros -----------------------------------------------------------------------------

    def outside(self, radius: float) -> int:
        """How many modes there are with |z| > radius."""
        return self._poles(radius) - self._turns(radius)

    def _turns(self, radius: float) -> int:
        """How often f turns round 0 as z runs round the circle once, counterclockwise."""
        total, angles = 0.0, [math.pi * i / 8 for i in range(9)]
        known = {angle: self._at(radius, angle) for angle in angles}
        waiting = list(itertools.pairwise(angles))
        while waiting:
            low, high = waiting.pop()
            turn = cmath.phase(known[high] / known[low])
            if abs(turn) < _TURN or high - low < _FINEST:
                total += turn
                continue
            middle = (low + high) / 2
            known[middle] = self._at(radius, middle)
            waiting += [(low, middle), (middle, high)]
        return round(total / math.pi)

    def _at(self, radius: float, angle: float) -> complex:
        return self.determinant(radius * cmath.exp(1j * angle))

    def _poles(self, radius: float) -> int:
        bound = bound_eigenvalues(self.kernel, math.sqrt(radius), _BOUND)
        found = int((bound > 1.0).sum())
        if self.kernel.bend_far.any():
            modes = plateau_modes(self.kernel.system, self.kernel.far)
            found += int((np.abs(modes) > radius).sum())
        return found

    def _real_zeros(self) -> list[float]:
        """|z| of the zeros on the real axis outside the edge."""
        found: list[float] = []
        points = self.edge + (_RANGE - self.edge) * np.geomspace(_NEAREST, 1.0, _SCAN)
        for sign in (1.0, -1.0):

            def real(x: float, sign: float = sign) -> float:
                return self.determinant(sign * x).real

            values = np.array([real(float(x)) for x in points])
            for i in np.flatnonzero(values[1:] * values[:-1] < 0):
                low, high = float(points[i]), float(points[i + 1])
                # A pole changes the sign as well.
                if abs(real((low + high) / 2)) < max(abs(values[i]), abs(values[i + 1])):
                    found += _zero(real, low, high)
        return found


def _zero(real: Callable[[float], float], low: float, high: float) -> list[float]:
    """The zero where f changes its sign; none where that is a pole, beside which f is unknown."""
    try:
        zero = float(brentq(real, low, high, xtol=_XTOL, rtol=_RTOL))
    except ConvergenceError:
        return []
    return [zero] if abs(real(zero)) < _ZERO else []
