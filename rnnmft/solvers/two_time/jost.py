"""The modes of a stationary kernel of one state: the Jost function of its linear response.

A change delta C(t, s) = z^s phi(t - s), t >= s, of the state's covariance is kept if

    (z + a^2 - S) phi(tau) - a [phi(tau + 1) + z phi(tau - 1)] = B (z^tau + 1) phi(0),
    phi(-1) = phi(1) / z,

with S = sum_k (b_k r_k)^2 S_k(tau) and B likewise (see `response`). With J the solution without B
that decays, J ~ rho^tau, and kappa = B(inf) / [(1 - a)(z - a) - S(inf)] what the change does to the
plateau, Green's identity over tau >= 1 leaves one function:

    F(z) = J(0) [(z + a^2 - S(0) - 2 B(0)) / 2 - a kappa (1 + z)] - a J(1) (1 - 2 kappa)
           - sum_{tau >= 1} J(tau) [B - B(inf) + kappa (S - S(inf))] (1 + z^-tau) = 0.

There is no window in it. Times kappa's denominator it is analytic outside the edge of the
continuous spectrum and grows like z^n, so it has n minus its winding number zeros outside a circle:
none is missed. The edge itself gives edge^t with a power of t in front. Without B, F is that of a
perturbation of the states, or of the covariance between two trajectories.

Eq. (kernel-mode).
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.optimize import brentq

from rnnmft.solvers.two_time.response import KernelResponse

__all__ = ["JostModes"]

Array = NDArray[Any]
# Neighbours on a circle between which F turns by more get points between them: phases below pi add
# up without doubt, and three of these fit.
_TURN = math.pi / 3
# From an angle of pi / 16 so many halvings are 1e-8: a zero that still turns F there is that near
# to the circle, and counted on either side of it.
_ROUNDS, _ANGLES = 24, 17
# By so much, relative to the range, a circle lies outside of the largest real zero: 18 halvings see
# past it. A larger zero off the axis by less than that is taken for the real one.
_APART = 1e-6
# Of |z| by bisection: within what the counts resolve.
_BISECTED = 1e-10
# How far zeros are looked for: a margin over the bound, and at least beyond 1, where stability
# ends.
_MARGIN = 1.5
# Distances from the edge, relative to the range, at which zeros on the real axis are looked for: 80
# of them are a factor of 1.4 apart. Two zeros between neighbours are not seen here, but by the
# counts.
_NEAREST, _SCAN = 1e-11, 80


@dataclass(frozen=True)
class JostModes:
    """What a small change of a stationary kernel of one state decays (or grows) like."""

    kernel: KernelResponse

    @cached_property
    def _parts(self) -> tuple[float, Array, float, Array, float]:
        """a; S above its plateau and there; B likewise."""
        kernel = self.kernel
        system = kernel.system
        share = (system.B[0] * system.rows[:, 0]) ** 2
        return (
            float(system.A[0, 0]),
            share @ kernel.bump,
            float(share @ kernel.far),
            share @ kernel.bend_bump,
            float(share @ kernel.bend_far),
        )

    @property
    def edge(self) -> float:
        """|z| of the continuous spectrum."""
        a, _, far, _, _ = self._parts
        return (abs(a) + math.sqrt(max(far, 0.0))) ** 2

    @property
    def _beyond(self) -> float:
        """|z| that no zero reaches: S and B nowhere exceed their largest values."""
        a, bump, far, bend, bend_far = self._parts
        largest = far + float(np.abs(bump).max())
        largest += 4 * (abs(bend_far) + float(np.abs(bend).max()))
        return max(_MARGIN, _MARGIN * (abs(a) + math.sqrt(largest)) ** 2)

    @property
    def stable(self) -> bool:
        """Whether every small change of the kernel decays."""
        a, bump, far, _, _ = self._parts
        if a == 0.0 and float(np.abs(bump[1:] + far).max()) >= 1.0:
            return False
        return self.edge < 1.0 and self.outside(1.0) == 0

    def slowest(self) -> tuple[float, bool]:
        """The largest |z|, and whether the count of zeros bears it out."""
        a, bump, far, bend, bend_far = self._parts
        if a == 0.0:
            return abs(float(bump[0] + far + 2 * (bend[0] + bend_far))), True
        if self._reach == 0 and not (bump.any() or bend.any() or bend_far):
            return self.edge, True
        real = self._real_zeros()
        largest = max([self.edge, *real])
        above = largest + _APART * self._beyond
        if self.outside(above) == 0:
            return largest, True
        return self._farthest(above), True

    # --- F -------------------------------------------------------------------------------------

    def function(self, z: Array) -> Array:
        """F(z), times kappa's denominator where the plateau takes part; z not 0, (n,).

        Eq. (kernel-mode).
        """
        return np.array([self._at(complex(one)) for one in z])

    def _at(self, z: complex) -> complex:
        a, bump, far, bend, bend_far = self._parts
        start = z + a * a - far - bump[0] - 2 * (bend[0] + bend_far)
        if a == 0.0:
            # Nothing but equal times acts on equal times.
            return start / 2
        rho = _decaying(z, a, far)
        plateau = (1 - a) * (z - a) - far
        kappa = bend_far / plateau if bend_far else 0.0
        jost = self._over_power(z, rho)
        tau = np.arange(1, self._reach + 1)
        moved = bend[tau] + kappa * bump[tau]
        back = np.exp(tau * cmath.log(rho)) + np.exp(tau * cmath.log(rho / z))
        total = jost[tau] @ (moved * back)
        found = jost[0] * (start / 2 - a * kappa * (1 + z))
        found -= a * rho * jost[1] * (1 - 2 * kappa) + total
        return complex(found * plateau if bend_far else found)

    def _over_power(self, z: complex, rho: complex) -> Array:
        """J(tau) / rho^tau at tau = 0, .., reach + 1: its recursion downwards from 1, 1."""
        a, bump, far, _, _ = self._parts
        reach = self._reach
        held = (z + a * a - far - bump[reach:0:-1]) * (rho / (a * z))
        bands = np.zeros((3, reach + 2), dtype=complex)
        bands[0] = 1.0
        bands[1, 1 : reach + 1] = -held
        bands[2, :reach] = rho * rho / z
        first = np.zeros(reach + 2, dtype=complex)
        first[:2] = 1.0
        return np.asarray(solve_banded((2, 0), bands, first, check_finite=False))[::-1]

    @cached_property
    def _reach(self) -> int:
        """The last lag at which S and B differ from their plateaus."""
        _, bump, _, bend, _ = self._parts
        beyond = np.flatnonzero((bump != 0) | (bend != 0))
        return int(beyond[-1]) if len(beyond) else 0

    # --- its zeros -----------------------------------------------------------------------------

    def outside(self, radius: float) -> int:
        """How many zeros there are with |z| > radius."""
        if self._parts[0] == 0.0:
            return int(self.slowest()[0] > radius)
        angles = np.linspace(0.0, np.pi, _ANGLES)
        values = self.function(radius * np.exp(1j * angles))
        for _ in range(_ROUNDS):
            turns = np.abs(np.angle(values[1:] / values[:-1]))
            wide = np.flatnonzero(turns > _TURN)
            if not len(wide):
                break
            fresh = (angles[wide] + angles[wide + 1]) / 2
            angles = np.insert(angles, wide + 1, fresh)
            values = np.insert(values, wide + 1, self.function(radius * np.exp(1j * fresh)))
        turned = round(float(np.angle(values[1:] / values[:-1]).sum()) / np.pi)
        return 1 + bool(self._parts[4]) - turned

    def _real_zeros(self) -> list[float]:
        """|z| of the zeros on the real axis outside the edge."""
        found: list[float] = []
        low, width = self.edge, self._beyond - self.edge
        points = low + width * np.geomspace(_NEAREST, 1.0, _SCAN)
        for sign in (1.0, -1.0):
            values = np.real(self.function(sign * points))
            for i in np.flatnonzero(values[1:] * values[:-1] < 0):
                zero = brentq(
                    lambda x, sign=sign: self._at(complex(sign * x)).real,
                    points[i],
                    points[i + 1],
                    xtol=1e-15,  # 5 eps
                    rtol=1e-14,  # 50 eps
                )
                found.append(float(zero))
        return found

    def _farthest(self, low: float) -> float:
        """|z| of the farthest zero, off the real axis, by the counts outside of circles."""
        high = 2.0 * low
        while self.outside(high) > 0:
            low, high = high, 2.0 * high
        while high - low > _BISECTED * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.outside(middle) > 0 else (low, middle)
        return high


def _decaying(z: complex, a: float, far: float) -> complex:
    """The root of a (rho + z / rho) = z + a^2 - S(inf) with |rho| < sqrt |z|."""
    # The discriminant in factors, (a +- sqrt S)^2 being the edges: near one it would cancel.
    inner, outer = (cmath.sqrt(z - (a + sign * cmath.sqrt(far)) ** 2) for sign in (-1, 1))
    half, root = (z + a * a - far) / (2 * a), inner * outer / (2 * a)
    return z / max(half + root, half - root, key=abs)
