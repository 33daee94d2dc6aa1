"""Paths to a solution: from large |z| through the upper half plane to any z, or from a neighbour.

Large |z| has one solution near zero. From there solutions run inwards along a ray on which nothing
is singular; from its nearest point each z is reached along its own path, radially and then by
angle, in steps that are halved until Newton's method stays near its prediction and the solution is
`proper`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.spectra.block_equation import BlockEquation
from rnnmft.spectra.block_solutions import Solutions, joined

__all__ = ["Walk", "on_upper"]

Complex = NDArray[Any]  # complex128
Flags = NDArray[np.bool_]
#: |z| of neighbouring points of the ray: steps of log 4 are the largest that are tried; a failed
#: one is halved.
_RATIO = 4.0
#: The ray begins where |z G - 1|, m_1 / |z| there, is below this: the first of its solutions; and
#: no farther out than this.
_BEGINS, _FARTHEST = 0.2, 1e30
#: Parts of a way: a step below 2^-16 stands at a singular point (an edge); a rest of 1e-9 is none.
_SMALLEST_STEP, _SMALLEST_REST = 2.0**-16, 1e-9
#: From a solution on the real axis the way is at this angle: off the spectrum's edges, and near
#: enough to be one step.
_ABOVE = 0.05
#: Steps: sixteen halvings, and as many doublings back, several times over.
_MOST_STEPS = 120
#: So near in log z the rest is left to so many rounds: at an edge, where Newton's method halves its
#: error, 2^-60 of 1e-3 are nothing.
_PRESSED, _MANY_ROUNDS = 1e-3, 60


class Walk:
    """Solutions of one equation at any z of the closed upper half plane but 0, each by itself.

    What is not reached (an edge of the spectrum on the real axis) is the nearest point that was;
    its own z says where.

    Args:
        equation: what is solved.
        angle: arg z of the ray, in (0, pi]; any gives the same solutions.
    """

    def __init__(self, equation: BlockEquation, angle: float = math.pi / 2) -> None:
        self.equation, self.angle = equation, angle
        self._ray: Solutions | None = None

    def to(self, z: Complex) -> tuple[Solutions, Flags]:
        """Solutions at points (Z,) from the ray, along the ray and then by angle."""
        z = on_upper(z)
        ray = self._ray_to(np.abs(z))
        nearest = np.abs(np.log(np.abs(ray.z)) - np.log(np.abs(z))[:, None]).argmin(axis=1)
        return self._over(ray[nearest], np.abs(z) * np.exp(1j * self.angle), z)

    def from_near(self, start: Solutions, z: Complex) -> tuple[Solutions, Flags]:
        """Solutions at points (Z,) from one each that is near, staying off the real axis."""
        over = np.abs(z) * np.exp(1j * np.maximum(np.angle(z), _ABOVE))
        return self._over(start, over, z)

    def _over(self, start: Solutions, over: Complex, z: Complex) -> tuple[Solutions, Flags]:
        """From solutions to z, over one point each."""
        found, reached = self._straight(start, over)
        rows = np.flatnonzero(reached)
        found[rows], reached[rows] = self._straight(found[rows], z[rows])
        return found, reached

    def _ray_to(self, sizes: NDArray[np.float64]) -> Solutions:
        """The ray, prolonged over all |z| in `sizes`."""
        ray = self._from_infinity(float(sizes.max())) if self._ray is None else self._ray
        while abs(ray.z[-1]) > _RATIO * float(sizes.min()):
            goal = ray.z[-1:] / _RATIO
            more, reached = self._straight(ray[-1:], goal)
            if not reached[0]:
                break
            ray = joined(ray, more)
        self._ray = ray
        return ray

    def _from_infinity(self, size: float) -> Solutions:
        radius = _RATIO * max(size, 1.0)
        while True:
            z = np.array([radius * np.exp(1j * self.angle)])
            found = self.equation.from_infinity(z)
            if found.proper[0] and abs(found.value[0] * z[0] - 1.0) < _BEGINS:
                return found
            radius *= _RATIO
            if radius > _FARTHEST:
                raise ConvergenceError(Status.STALLED, "The resolvent was not found at large |z|.")

    def _straight(self, start: Solutions, z: Complex) -> tuple[Solutions, Flags]:
        """Solutions continued from `start` (Z points) to z along straight lines in log z.

        Returns:
            The solutions at z, or the nearest ones reached, and whether z was reached.
        """
        here, done = start[np.arange(len(z))], np.zeros(len(z), dtype=bool)
        way = np.log(np.abs(z / start.z)) + 1j * (np.angle(z) - np.angle(start.z))
        gone, step = np.zeros(len(z)), np.ones(len(z))
        for _ in range(_MOST_STEPS):
            rows = np.flatnonzero(~done & (step >= _SMALLEST_STEP) & (gone < 1.0 - _SMALLEST_REST))
            if not len(rows):
                break
            ahead = np.minimum(gone[rows] + step[rows], 1.0)
            last = ahead >= 1.0
            goal = np.where(last, z[rows], start.z[rows] * np.exp(ahead * way[rows]))
            found = self.equation.solve(goal, here[rows].predicted(goal))
            good = found.proper
            here[rows[good]] = found[good]
            gone[rows[good]] = ahead[good]
            done[rows[good & last]] = True
            step[rows] = np.where(good, 2.0 * step[rows], 0.5 * step[rows])
        return self._pressed(here, z, done)

    def _pressed(self, here: Solutions, z: Complex, done: Flags) -> tuple[Solutions, Flags]:
        """Long runs of Newton's method for what stands before z: at an edge it converges slowly."""
        rows = np.flatnonzero(~done & (np.abs(np.log(z / here.z)) < _PRESSED))
        if len(rows):
            found = self.equation.solve(z[rows], here[rows].unknowns, rounds=_MANY_ROUNDS)
            good = found.proper
            here[rows[good]] = found[good]
            done[rows[good]] = True
        return here, done


def on_upper(z: Complex) -> Complex:
    """z as complex numbers without negative zeros, which would stand below the axis."""
    z = np.asarray(z, dtype=np.complex128)
    return np.real(z) + 1j * np.abs(np.imag(z))
