"""The resolvent's branch, followed from large |z| through the upper half plane to any z.

Large |z| has one solution near zero. From there a spine runs inwards along a ray on which nothing
is singular; from its nearest point each z is reached along its own path, radially and then by
angle, in steps that are halved until Newton's method stays near its prediction and the solution is
`proper`.

Of many points, and of points asked for one after the other, few take that path, and few of the
units walk it; all units take only its last step. The other points start from an interpolation
between two known ones. Where that is too far (near an edge) a neighbour leads there in steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
Places = NDArray[np.intp]
#: Units that walk the path for all the others; they in turn are led by fewer, so many times fewer.
_SCOUTS, _FEWEST, _FEWER = 256, 128, 4
#: |z| of neighbouring points of the spine.
_RATIO = 4.0
_SMALLEST_STEP, _SMALLEST_REST = 2.0**-16, 1e-9
#: So near in log z a solution is a neighbour; from one on the real axis the way is at this angle.
_NEAR, _ABOVE = 1.0, 0.05
#: Of many points so many to one come first: a power of 2.
_EVERY = 8
#: So many solutions are kept for points that are asked for later.
_KEPT = 256
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
        self._known: Solutions | None = None

    def at(self, z: Complex, errors: bool = False) -> tuple[Solutions, Flags]:
        """Solutions at points z of shape (Z,), Im z >= 0, and whether each was reached.

        What was not reached (an edge of the spectrum on the real axis) is the nearest point that
        was; its own z says where.
        """
        z = on_upper(z)
        if not self.has_neighbours:
            return self._with_errors(self._walked(z), errors)
        asked = _Points(z, self.equation.unsolved(z), np.zeros(len(z), dtype=bool), errors)
        for number, place in enumerate(_passes(len(z))):
            self._interpolate(asked, place)
            if number == 0:
                self._lead(asked, place[~asked.good[place]])
        self._lead(asked, np.flatnonzero(~asked.good))
        self._known = _newest(self._pool(asked))
        return asked.found, asked.good

    def resolve(self, z: Complex, errors: bool = False) -> Resolved:
        """G alone: see `resolved.Resolver`."""
        found, reached = self.at(z, errors)
        return Resolved(found.z, found.value, found.slope, found.error, reached)

    def _pool(self, asked: _Points) -> Solutions:
        """What is known: from earlier points and of these."""
        found = asked.found[asked.good]
        return found if self._known is None else _joined(self._known, found)

    def _interpolate(self, asked: _Points, rows: Places) -> None:
        """Those of the points that have known ones near by."""
        pool = self._pool(asked)
        near, first, second = _nearest(pool.z, asked.z[rows])
        if len(near):
            guess = pool[first].interpolated(pool[second], asked.z[rows[near]])
            self._solve(asked, rows[near], guess)

    def _lead(self, asked: _Points, rows: Places) -> None:
        """Each of the points by the shortest way that leads there."""
        if self.scout is not None and len(rows):
            few, reached = self.scout.at(asked.z[rows])
            self._solve(asked, rows[reached], few[reached].unknowns)
            rows = rows[~asked.good[rows]]
        pool = self._pool(asked)
        near, first, _ = _nearest(pool.z, asked.z[rows])
        if len(near):
            goal = asked.z[rows[near]]
            over = np.abs(goal) * np.exp(1j * np.maximum(np.angle(goal), _ABOVE))
            asked.take(
                rows[near], self._with_errors(self._followed(pool[first], over, goal), asked.errors)
            )
            rows = rows[~asked.good[rows]]
        if len(rows):
            asked.take(rows, self._with_errors(self._walked(asked.z[rows]), asked.errors))

    def _solve(self, asked: _Points, rows: Places, guess: tuple[Complex, Complex, Complex]) -> None:
        """From guesses at some of the points."""
        if len(rows):
            found = self.equation.solve(asked.z[rows], guess, errors=asked.errors)
            asked.take(rows, (found, found.proper))

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


@dataclass
class _Points:
    """Points asked for: their solutions and whether each is found, with errors or without."""

    z: Complex
    found: Solutions
    good: Flags
    errors: bool

    def take(self, rows: Places, walked: tuple[Solutions, Flags]) -> None:
        """Note what was found at some of them."""
        self.found[rows], self.good[rows] = walked


def _passes(count: int) -> list[Places]:
    """Every eighth of so many points, then those half way between, twice more."""
    half, quarter = _EVERY // 2, _EVERY // 4
    starts = ((0, _EVERY), (half, _EVERY), (quarter, half), (1, quarter))
    return [np.arange(first, count, stride) for first, stride in starts]


def _nearest(known: Complex, z: Complex) -> tuple[Places, Places, Places]:
    """Which z have known points near by in log z, and the two nearest (or one, twice) of each."""
    if not len(known) or not len(z):
        none = np.zeros(0, dtype=np.intp)
        return none, none, none
    places = [np.log(x).view(np.float64).reshape(-1, 2) for x in (known, z)]
    distance, nearest = cKDTree(places[0]).query(places[1], k=[1, min(2, len(known))])
    nearest = np.where(distance < _NEAR, nearest, nearest[:, :1])
    near = np.flatnonzero(distance[:, 0] < _NEAR)
    return near, nearest[near, 0], nearest[near, 1]


def _newest(known: Solutions) -> Solutions:
    """The last of them, as many as are kept."""
    return known[-min(_KEPT, len(known.z)) :] if len(known.z) else known


def on_upper(z: Complex) -> Complex:
    """z as complex numbers without negative zeros, which would stand below the axis."""
    z = np.asarray(z, dtype=np.complex128)
    return np.real(z) + 1j * np.abs(np.imag(z))


def _joined(first: Solutions, second: Solutions) -> Solutions:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Solutions(*(np.concatenate(pair) for pair in pairs))
