"""A map from some of its points: where it is smooth these tell a surface, and that all others.

Points that are spread over the map come first, each with random numbers of its own and about as
much noise as is allowed: it is the surface that averages. Where that is not good enough more points
are solved close by, a few times. Where it still is not, as where a map has a kink or a jump, each
half of the map becomes a map of its own, until few points are left: these are solved, each to its
own tolerance.

Next to a kink that a corner of a half has of another half no point may have seen it: what is next
to points that no surface told is solved as well.

Eq. (map-between).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.sampled.point_found import PointFound
from rnnmft.solvers.sampled.point_surface import PREDICTED, KnownPoint, PointSurface, is_asked
from rnnmft.solvers.sampled.sampled_map import SampledMap

__all__ = ["KrigedMap", "spread_over", "worst_apart"]

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
Flags = NDArray[np.bool_]

# Values of an axis between two points that come first, the fewest of these along an axis, and the
# most, by the number of axes.
_BETWEEN, _FEWEST, _MOST = 4, 4, {1: 9, 2: 8, 3: 5}
# And by more of these.
_MOST_OF_MANY = 4
# Points that are added at once, how often, and how far apart they are in terms of the map.
_ADDED, _TIMES, _APART = 16, 4, (0.15, 0.05, 0.0)
# A part is halved once more points of it tell less than this of those that were open.
_TOO_FEW = 0.25
# The part of what comes first that must be known for a surface.
_ENOUGH = 2 / 3
# Values beyond a part that tell of it, too; and around points that no surface told.
_MARGIN = 2


class KrigedMap:
    """The points of a `SampledMap`, of which those are solved that others do not tell.

    Args:
        points: the map, with growth rates.
        places: where each stands on the grid, a whole number along every axis.
        tolerance: standard error of a growth rate, per step.
        asked: what must be told well; the rest may be wrong.
    """

    def __init__(
        self,
        points: SampledMap,
        places: Sequence[tuple[int, ...]],
        tolerance: float,
        asked: Collection[str] = PREDICTED,
    ) -> None:
        self.points, self.tolerance = points, tolerance
        self._states, self._asked = len(points.cell.states), is_asked(points.cell, asked)
        self._places = np.array(places, dtype=float)
        # What became of points with noise that counts in part; None: nothing that tells of others.
        self._nodes: dict[int, KnownPoint | None] = {}
        # The answers of those that are good enough for themselves.
        self._answered: dict[int, PointFound] = {}
        # Points that a surface told; and of halves, those that none did.
        self._told: set[int] = set()
        self._broken: set[int] = set()

    def completed(self) -> Iterator[list[tuple[int, PointFound]]]:
        """As `SampledMap.completed`; `PointFound.is_predicted` marks what a surface told.

        A point may come again, better known: a point that the surface is made of with what this
        tells of it, one that was told with its own answer.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        yield from self._part(np.arange(len(self._places)))
        if self._broken and self._told:
            told, broken = (np.array(sorted(some)) for some in (self._told, self._broken))
            apart = [np.abs(self._places[broken] - p).max(1).min() for p in self._places[told]]
            yield from self._solve(told[np.array(apart) <= _MARGIN].tolist())

    def _part(
        self, which: Numbers, *, is_half: bool = False
    ) -> Iterator[list[tuple[int, PointFound]]]:
        """Points of a part of the map: all of it, or a half of such a part."""
        first = [i for i in spread_over(self._places[which]) if which[i] not in self._nodes]
        left = which
        if len(which) > max(2 * len(first), _ADDED):
            yield from self._add(which[first])
            left = yield from self._told_of(which)
            if len(left) > _ADDED:
                for half in self._halves(which, left):
                    yield from self._part(half, is_half=True)
                return
        self._broken |= set(left.tolist()) if is_half else set()
        yield from self._solve(left.tolist())

    def _halves(self, which: Numbers, left: Numbers) -> list[Numbers]:
        """What is left of each half of a part, along the axis that is longest."""
        low, high = self._places[which].min(0), self._places[which].max(0)
        axis = int(np.argmax(high - low))
        is_low = self._places[left, axis] <= (low[axis] + high[axis]) / 2
        return [half for half in (left[is_low], left[~is_low]) if len(half)]

    def _told_of(self, which: Numbers) -> Generator[list[tuple[int, PointFound]], None, Numbers]:
        """What surfaces tell of a part, with more points in between; returns what is left."""
        left = which
        for count in range(_TIMES + 1):
            good, excess = yield from self._tell(which, left)
            has_failed = count > 0 and good.sum() < _TOO_FEW * len(left)
            left, excess = left[~good], excess[~good]
            new = np.array([i not in self._nodes for i in left.tolist()], dtype=bool)
            if len(left) <= _ADDED or count == _TIMES or has_failed or not new.any():
                break
            chosen = worst_apart(self._places[left[new]], excess[new], _ADDED)
            yield from self._add(left[new][chosen])
        return left

    def _solve(self, which: list[int]) -> Iterator[list[tuple[int, PointFound]]]:
        """Points by themselves."""
        known = [(i, self._answered[i]) for i in which if i in self._answered]
        if known:
            yield known
        yield from self.points.completed([i for i in which if i not in self._answered])

    def _add(self, which: Numbers) -> Iterator[list[tuple[int, PointFound]]]:
        """Solve points for a surface."""
        for completed in self.points.completed(which.tolist(), averaged=True):
            self._nodes |= {i: KnownPoint.of(found) for i, found in completed}
            self._answered |= {i: found for i, found in completed if self._is_good(found)}
            yield [(i, found.within(self.tolerance)) for i, found in completed]

    def _is_good(self, found: PointFound) -> bool:
        """Whether a point is as good as it would be if it were solved for itself."""
        return found.limit is None or found.limit.error <= self.tolerance

    def _tell(
        self, which: Numbers, open_: Numbers
    ) -> Generator[list[tuple[int, PointFound]], None, tuple[Flags, Array]]:
        """What the surface of a part tells; returns of which points, and how far off it is."""
        part, places = self._places[which], self._places[open_]
        low, high = part.min(0) - _MARGIN, part.max(0) + _MARGIN
        around = {
            i: node
            for i, node in self._nodes.items()
            if ((self._places[i] >= low) & (self._places[i] <= high)).all()
        }
        known = {i: node for i, node in around.items() if node is not None}
        if len(known) < _ENOUGH * len(spread_over(part)):
            return np.zeros(len(open_), dtype=bool), np.full(len(open_), np.inf)
        surface = PointSurface(self._places[list(known)], list(known.values()))
        told = surface.at(places, self.tolerance, self._asked)
        excess = np.where(self._is_beside_failure(places, around), np.inf, told.excess)
        good = excess <= 1.0
        self._told |= set(open_[good].tolist())
        yield [(int(open_[k]), told.found(k, self._states)) for k in np.flatnonzero(good).tolist()]
        return good, excess

    def _is_beside_failure(self, places: Array, around: dict[int, KnownPoint | None]) -> Flags:
        """Whether one of the nearest points, two for every axis and one more, tells of nothing."""
        failed = np.array([node is None for node in around.values()])
        if not failed.any():
            return np.zeros(len(places), dtype=bool)
        apart = np.abs(places[:, None] - self._places[list(around)]).max(2)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, : 2 * places.shape[1] + 1]
        return np.any(failed[nearest], axis=1)


def spread_over(places: Array) -> list[int]:
    """The numbers of places that are spread over all, denser towards the ends of every axis.

    >>> spread_over(np.arange(20.0)[:, None])
    [0, 2, 7, 12, 17, 19]
    """
    most = _MOST.get(places.shape[1], _MOST_OF_MANY)
    axes: list[Array] = []
    for column in places.T:
        values = np.unique(column)
        count = min(max(_FEWEST, math.ceil(len(values) / _BETWEEN) + 1), most, len(values))
        part = (1 - np.cos(np.pi * np.arange(count) / max(count - 1, 1))) / 2
        axes.append(values[np.unique((part * (len(values) - 1)).round().astype(int))])
    return sorted({int(np.abs(places - at).sum(1).argmin()) for at in product(*axes)})


def worst_apart(places: Array, excess: Array, count: int) -> list[int]:
    """So many of the worst places, not too close to each other if there are others."""
    wide = np.maximum(np.ptp(places, axis=0), 1.0)
    order = np.argsort(-excess, kind="stable").tolist()
    chosen: list[int] = []
    for apart in _APART:
        for i in order:
            away = (np.abs((places[i] - places[k]) / wide).max() for k in chosen)
            if i not in chosen and len(chosen) < count and min(away, default=1.0) >= apart:
                chosen.append(i)
    return chosen
