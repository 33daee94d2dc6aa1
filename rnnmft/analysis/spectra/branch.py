"""The resolvent's branch, followed from large |z| through the upper half plane to any z.

Large |z| has one solution near zero. From there a spine runs inwards along a ray on which nothing
is singular; from its nearest point each z is reached along its own path, radially and then by
angle, in steps that are halved until Newton's method stays near its prediction and the solution is
`proper`. The path is walked with few of the units, at few of the points: other points start from a
neighbour, all units from the solution of few, corrected by how the two differ at a neighbour. Where
that is too far (near an edge, which few units place elsewhere) they come from a neighbour in steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

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
#: Of many points so many to one come first: a power of 2.
_EVERY = 8
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
        scouts: how many units walk the path for the others; 0: all walk it. None: for every z by
            itself, without help from its neighbours.
    """

    def __init__(
        self, units: UnitTransfer, angle: float = math.pi / 2, scouts: int | None = _SCOUTS
    ) -> None:
        self.equation, self.angle = BlockEquation(units), angle
        few = units.thinned(scouts) if scouts else units
        fewer = scouts // _FEWER if scouts and scouts >= _FEWEST else 0
        self.scout = None if few is units else Branch(few, angle, fewer)
        self.has_neighbours = scouts is not None
        self._spine: Solutions | None = None

    def at(self, z: Complex, errors: bool = False) -> tuple[Solutions, Flags]:
        """Solutions at points z of shape (Z,), Im z >= 0, and whether each was reached.

        What was not reached (an edge of the spectrum on the real axis) is the nearest point that
        was; its own z says where.
        """
        z = on_upper(z)
        if not self.has_neighbours:
            return self._with_errors(self._walked(z), errors)
        found, good = self._in_passes(z, errors)
        rows = np.flatnonzero(~good)
        nearest = _nearest(z, good, rows)
        rows, nearest = rows[nearest != rows], nearest[nearest != rows]
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

    def _in_passes(self, z: Complex, errors: bool) -> tuple[Solutions, Flags]:
        """Every eighth point first, then those between from what is known by then.

        Where few units led, what all of them change is, to first order, what they change near by;
        otherwise the first points walk. Not every point need be found.
        """
        places = _passes(len(z))
        few, able, good = None, np.ones(len(z), dtype=bool), np.zeros(len(z), dtype=bool)
        if self.scout is None:
            first = places.pop(0)
            walked, good[first] = self._with_errors(self._walked(z[first]), errors)
            found = walked[np.arange(len(z)) // _EVERY]
        else:
            few, able = self.scout.at(z)
            found = few[np.arange(len(z))]
        for place in places:
            rows = place[able[place]]
            nearest = _nearest(z, good, rows)
            if few is None:
                rows, nearest = rows[nearest != rows], nearest[nearest != rows]
            if not len(rows):
                continue
            guess = found[nearest].predicted(z[rows])
            if few is not None:
                led, there = few[rows].unknowns, few[nearest].predicted(z[rows])
                a, b, f = (x + y - w for x, y, w in zip(led, guess, there, strict=True))
                guess = a, b, f
            solved = self.equation.solve(z[rows], guess, errors=errors)
            found[rows], good[rows] = solved, solved.proper
        return found, good

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


def _passes(count: int) -> list[NDArray[np.intp]]:
    """Every eighth of so many points, then those half way between, twice more."""
    half, quarter = _EVERY // 2, _EVERY // 4
    starts = ((0, _EVERY), (half, _EVERY), (quarter, half), (1, quarter))
    return [np.arange(first, count, stride) for first, stride in starts]


def _nearest(z: Complex, good: Flags, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """For points of z the nearest good one in log z, or themselves where none is near."""
    known = np.flatnonzero(good)
    if not len(known) or not len(rows):
        return rows
    places = np.log(z).view(np.float64).reshape(-1, 2)
    distance, nearest = cKDTree(places[known]).query(places[rows])
    return np.where(distance < _NEAR, known[nearest], rows)


def on_upper(z: Complex) -> Complex:
    """z as complex numbers without negative zeros, which would stand below the axis."""
    z = np.asarray(z, dtype=np.complex128)
    return np.real(z) + 1j * np.abs(np.imag(z))


def _joined(first: Solutions, second: Solutions) -> Solutions:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Solutions(*(np.concatenate(pair) for pair in pairs))
