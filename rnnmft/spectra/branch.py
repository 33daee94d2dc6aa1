"""The resolvent's branch at many z: few points and few of the units take the whole way.

Every eighth of many points walks, with few of the units (`walk`); all units take only its last
step. The other points, and those asked for later, start from an interpolation between two known
ones. Where that is too far (near an edge) a neighbour leads there in steps. Whichever way a
`proper` solution was found, it is the resolvent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rnnmft.spectra.block_equation import BlockEquation
from rnnmft.spectra.block_solutions import Solutions, joined
from rnnmft.spectra.resolved import Resolved
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.spectra.walk import Walk, on_upper

__all__ = ["Branch"]

Complex = NDArray[Any]  # complex128
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
#: Units that walk the path for all the others: so few that a step is 1 % of the time of one with
#: all. They in turn are led by fewer, so many times fewer, down to 128 / 4.
_SCOUTS, _FEWEST, _FEWER = 256, 128, 4
#: So near in log z a solution is a neighbour: within a factor of e, where cubics in log z predict
#: well enough for Newton's method, which tells where they do not.
_NEAR = 1.0
#: Of many points so many to one come first: a power of 2, halved twice by `_passes`.
_EVERY = 8
#: So many solutions are kept for points that are asked for later (more than a grid has), of so many
#: numbers in all: 32 MiB.
_KEPT, _KEPT_NUMBERS = 256, 1 << 21


class Branch:
    """Solutions of one set of units at any z of the closed upper half plane but 0.

    Args:
        units: transfer matrices and weights.
        scouts: how many units walk for all the others; 0: all do.
    """

    def __init__(self, units: UnitTransfer, scouts: int = _SCOUTS) -> None:
        self.equation = BlockEquation(units)
        self.walk = Walk(self.equation)
        few = units.thinned(scouts) if scouts else units
        fewer = scouts // _FEWER if scouts >= _FEWEST else 0
        self.scout: Branch | None = None if few is units else Branch(few, fewer)
        self._known: Solutions | None = None

    def at(self, z: Complex, errors: bool = False) -> tuple[Solutions, Flags]:
        """Solutions at points z of shape (Z,), Im z >= 0, and whether each was reached.

        What was not reached (an edge of the spectrum on the real axis) is the nearest point that
        was; its own z says where.
        """
        z = on_upper(z)
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
        return found if self._known is None else joined(self._known, found)

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
            led = self.walk.from_near(pool[first], asked.z[rows[near]])
            self._take(asked, rows[near], led)
            rows = rows[~asked.good[rows]]
        if len(rows):
            self._take(asked, rows, self.walk.to(asked.z[rows]))

    def _solve(self, asked: _Points, rows: Places, guess: tuple[Complex, Complex, Complex]) -> None:
        """From guesses at some of the points."""
        if len(rows):
            found = self.equation.solve(asked.z[rows], guess, errors=asked.errors)
            asked.take(rows, found, found.proper)

    def _take(self, asked: _Points, rows: Places, walked: tuple[Solutions, Flags]) -> None:
        """What was found on a walk, with standard errors where they are wanted."""
        found, reached = walked
        if asked.errors:
            again = self.equation.solve(found.z.copy(), found.unknowns, errors=True)
            better = np.flatnonzero(again.converged)
            found[better] = again[better]
        asked.take(rows, found, reached)


@dataclass
class _Points:
    """Points asked for: their solutions and whether each is found, with errors or without."""

    z: Complex
    found: Solutions
    good: Flags
    errors: bool

    def take(self, rows: Places, found: Solutions, good: Flags) -> None:
        """Note what was found at some of them."""
        self.found[rows], self.good[rows] = found, good


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
    each = sum(x[0].size for x in vars(known).values()) if len(known.z) else 1
    return known[-min(_KEPT, max(_KEPT_NUMBERS // each, 1)) :]
