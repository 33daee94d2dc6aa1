"""The resolvent's branch, followed from large |z| through the upper half plane to any z.

Large |z| has one solution near zero. From there a spine runs inwards along a ray on which nothing
is singular; from its nearest point each z is reached along its own path, radially and then by
angle, in steps that are halved until Newton's method stays near its prediction and the solution is
`proper`. The path is walked with few of the units; all of them take only its last step, or, where
that is too long (near an edge, which few units place elsewhere), come from a neighbour.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.spectra.block_equation import BlockEquation
from rnnmft.analysis.spectra.block_solutions import Solutions
from rnnmft.analysis.spectra.resolved import Resolved
from rnnmft.analysis.spectra.unit_transfer import UnitTransfer

__all__ = ["Branch", "follow", "on_upper"]

Complex = NDArray[Any]  # complex128
Flags = NDArray[np.bool_]
#: Units that walk the path for all the others; they in turn are led by fewer, so many times fewer.
_SCOUTS, _FEWEST, _FEWER = 256, 128, 4
#: |z| of neighbouring points of the spine.
_RATIO = 4.0
_SMALLEST_STEP, _SMALLEST_REST = 2.0**-16, 1e-9
#: So near in log z a solution is a neighbour; from one on the real axis the way is at this angle.
_NEAR, _ABOVE = 0.5, 0.05
_MOST_STEPS, _MANY_ROUNDS = 120, 60


def follow(equation: BlockEquation, start: Solutions, z: Complex) -> tuple[Solutions, Flags]:
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
        found = equation.solve(goal, here[rows].predicted(goal))
        good = found.proper
        here[rows[good]] = found[good]
        gone[rows[good]] = ahead[good]
        done[rows[good & last]] = True
        step[rows] = np.where(good, 2.0 * step[rows], 0.5 * step[rows])
    return _pressed(equation, here, z, done)


def _pressed(
    equation: BlockEquation, here: Solutions, z: Complex, done: Flags
) -> tuple[Solutions, Flags]:
    """Long runs of Newton's method for what stands before z: at an edge it converges slowly."""
    rows = np.flatnonzero(~done & (np.abs(np.log(z / here.z)) < 1e-3))
    if len(rows):
        found = equation.solve(z[rows], here[rows].unknowns, rounds=_MANY_ROUNDS)
        good = found.proper
        here[rows[good]] = found[good]
        done[rows[good]] = True
    return here, done


class Branch:
    """Solutions of one set of units at any z of the closed upper half plane but 0.

    Args:
        units: transfer matrices and weights.
        angle: arg z of the spine, in (0, pi]; any gives the same solutions.
        scouts: how many units walk the path; None for all.
    """

    def __init__(
        self, units: UnitTransfer, angle: float = math.pi / 2, scouts: int | None = _SCOUTS
    ) -> None:
        self.equation, self.angle = BlockEquation(units), angle
        few = units if scouts is None else units.thinned(scouts)
        fewer = None if scouts is None or scouts < _FEWEST else scouts // _FEWER
        self.scout = None if few is units else Branch(few, angle, fewer)
        self._spine: Solutions | None = None

    def at(self, z: Complex, errors: bool = False) -> tuple[Solutions, Flags]:
        """Solutions at points z of shape (Z,), Im z >= 0, and whether each was reached.

        What was not reached (an edge of the spectrum on the real axis) is the nearest point that
        was; its own z says where.
        """
        z = on_upper(z)
        if self.scout is None:
            return self._with_errors(self._walked(z), errors)
        near, reached = self.scout.at(z)
        found = self.equation.solve(z, near.unknowns, errors=errors)
        good = reached & found.proper
        rows, nearest = _neighbours(z, good)
        if len(rows):
            over = np.abs(z[rows]) * np.exp(1j * np.maximum(np.angle(z[rows]), _ABOVE))
            again = self._followed(found[nearest], over, z[rows])
            found[rows], good[rows] = self._with_errors(again, errors)
        rows = np.flatnonzero(~good)
        if len(rows):
            found[rows], good[rows] = self._with_errors(self._walked(z[rows]), errors)
        return found, good

    def resolve(self, z: Complex, errors: bool = False) -> Resolved:
        """G alone: see `resolved.Resolver`."""
        found, reached = self.at(z, errors)
        return Resolved(found.z, found.value, found.slope, found.error, reached)

    def _walked(self, z: Complex) -> tuple[Solutions, Flags]:
        """From the spine, along the ray and then by angle."""
        spine = self._spine_to(np.abs(z))
        nearest = np.abs(np.log(np.abs(spine.z)) - np.log(np.abs(z))[:, None]).argmin(axis=1)
        return self._followed(spine[nearest], np.abs(z) * np.exp(1j * self.angle), z)

    def _followed(self, start: Solutions, over: Complex, z: Complex) -> tuple[Solutions, Flags]:
        """From solutions to z, over one point each."""
        found, reached = follow(self.equation, start, over)
        rows = np.flatnonzero(reached)
        found[rows], reached[rows] = follow(self.equation, found[rows], z[rows])
        return found, reached

    def _with_errors(
        self, walked: tuple[Solutions, Flags], errors: bool
    ) -> tuple[Solutions, Flags]:
        """The same, with standard errors where they are wanted."""
        found, reached = walked
        if errors:
            again = self.equation.solve(found.z.copy(), found.unknowns, errors=True)
            rows = np.flatnonzero(again.converged)
            found[rows] = again[rows]
        return found, reached

    def _spine_to(self, sizes: NDArray[np.float64]) -> Solutions:
        """The spine, prolonged over all |z| in `sizes`."""
        spine = self._from_infinity(float(sizes.max())) if self._spine is None else self._spine
        while abs(spine.z[-1]) > _RATIO * float(sizes.min()):
            goal = spine.z[-1:] / _RATIO
            more, reached = follow(self.equation, spine[-1:], goal)
            if not reached[0]:
                break
            spine = _joined(spine, more)
        self._spine = spine
        return spine

    def _from_infinity(self, size: float) -> Solutions:
        radius = 4.0 * max(size, 1.0)
        while True:
            z = np.array([radius * np.exp(1j * self.angle)])
            found = self.equation.from_infinity(z)
            if found.proper[0] and abs(found.value[0] * z[0] - 1.0) < 0.2:
                return found
            radius *= _RATIO
            if radius > 1e30:
                raise FloatingPointError("no solution at large |z|")


def _neighbours(z: Complex, good: Flags) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Points that are not good but have a good one near by, and which that is."""
    known, rest = np.flatnonzero(good), np.flatnonzero(~good)
    if not len(known):
        return known, known
    distance = np.abs(np.log(z[known]) - np.log(z[rest])[:, None])
    near = distance.min(axis=1) < _NEAR
    return rest[near], known[distance.argmin(axis=1)[near]]


def on_upper(z: Complex) -> Complex:
    """z as complex numbers without negative zeros, which would stand below the axis."""
    z = np.asarray(z, dtype=np.complex128)
    return np.real(z) + 1j * np.abs(np.imag(z))


def _joined(first: Solutions, second: Solutions) -> Solutions:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Solutions(*(np.concatenate(pair) for pair in pairs))
