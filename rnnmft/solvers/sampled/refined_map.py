"""A map from fewer of its points: where it is smooth the others lie on cubics through these.

Points of every fourth, then of every second value along each axis come first, one axis after the
other. Before a point is solved it is predicted by a cubic through known points of its row. How good
that is, every second of these tells: how far is a cubic through the others from it? At half the
spacing that is a sixteenth where the map is smooth, and no more where it has a kink, so that all of
it is taken for an error. A jump is missed by its own size. What is predicted well enough is not solved; where
predictions miss everything is.

Points share their random numbers: what predictions miss by is the map's shape rather than noise.

Eq. (map-between).
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.solvers.sampled.point_search import PointFound
from rnnmft.solvers.sampled.sampled_map import SampledMap

__all__ = ["PREDICTED", "RefinedMap", "cubic_weights", "thinned", "windows"]

Array = NDArray[np.float64]
Place = tuple[int, ...]

#: What is predicted, growth first; chi_1 follows from that.
PREDICTED = ("gradient_growth", "second_moment", "preactivation_variance")
# Values along an axis through which a cubic goes.
_NODES = 4
# How often every second value is left out. What is narrower than four values and shows in none of
# the points around it would not be seen.
_TIMES = 2
# The part of a miss that half the spacing leaves, at most: next to a kink.
_LEFT = 0.5
# What a prediction of a moment may be wrong by: its error, or this part of it if that is more.
_OF_MOMENT = 0.002


@dataclass(frozen=True)
class _Known:
    """Values of one point, growth first, and their errors."""

    values: Array
    errors: Array


class RefinedMap:
    """The points of a `SampledMap`, of which those are solved that others do not tell.

    Args:
        points: the map, with growth rates.
        tolerance: standard error of a growth rate, per step.
    """

    def __init__(self, points: SampledMap, tolerance: float) -> None:
        self.points, self.tolerance = points, tolerance
        self._number = {place: i for i, place in enumerate(points.places)}
        self._known: dict[Place, _Known] = {}
        self._misses: dict[tuple[Place, int], Array] = {}
        sizes = [1 + max(along) for along in zip(*points.places, strict=True)]
        self._axes = [thinned(n) for n in sizes]

    def completed(self) -> Iterator[list[tuple[int, PointFound]]]:
        """As `SampledMap.completed`; `PointFound.is_predicted` marks what was not solved.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        # The sparsest values are there to be looked back at: all of the next ones are solved.
        times = [max(len(axis) - 2, 0) for axis in self._axes]
        new = [p for p in product(*map(list.__getitem__, self._axes, times)) if p in self._number]
        yield from self._solved(new, for_others=any(times))
        while any(times):
            a = int(np.argmax(times))
            times[a] -= 1
            known = set(self._axes[a][times[a] + 1])
            rows = product(*map(list.__getitem__, self._axes, times))
            new = [p for p in rows if p in self._number and p[a] not in known]
            guesses = {p: self._predicted(p, a, times[a]) for p in new}
            good = {p: guess for p, guess in guesses.items() if guess is not None}
            self._known |= good
            if good:
                yield [(self._number[p], self._found(guess)) for p, guess in good.items()]
            yield from self._solved([p for p in new if p not in good], for_others=any(times))

    def _solved(
        self, which: Sequence[Place], *, for_others: bool
    ) -> Iterator[list[tuple[int, PointFound]]]:
        numbers = [self._number[p] for p in which]
        for completed in self.points.completed(numbers, for_others=for_others):
            yield completed
            for i, found in completed:
                parts = [found.values[name] for name in PREDICTED]
                if all(status is Status.OK for _, _, status in parts):
                    self._known[self.points.places[i]] = _Known(
                        np.concatenate([value for value, _, _ in parts]),
                        np.concatenate([error for _, error, _ in parts]),
                    )

    def _predicted(self, place: Place, a: int, times: int) -> _Known | None:
        """What the points of a row along axis a say of one, where that is good enough.

        Through those on both sides; next to a jump, through those on one side of it.
        """
        sparse, sparser = self._axes[a][times + 1 : times + 3]
        for nodes in windows(place[a], sparse):
            known = self._row(place, a, nodes)
            if known is None:
                continue
            weights = np.array(cubic_weights(place[a], nodes))
            errors = np.array([node.errors for node in known])
            # Noise that points share adds up where weights have one sign, and cancels where not.
            above, below = (np.maximum(sign * weights, 0.0) @ errors for sign in (1.0, -1.0))
            noise, values = np.hypot(above, below), weights @ [node.values for node in known]
            checked = [_moved(place, a, x) for x in nodes if x not in sparser]
            off = _LEFT * np.max([self._missed(p, a, sparser) for p in checked], axis=0)
            errors = np.hypot(noise, off)
            allowed = np.maximum(noise, _OF_MOMENT * np.abs(values))
            if errors[0] <= self.tolerance and (off <= allowed)[1:].all():
                return _Known(values, errors)
        return None

    def _missed(self, place: Place, a: int, values: Sequence[int]) -> Array:
        """How far the smoothest cubic through some values of a row is from a known point of it."""
        if (place, a) not in self._misses:
            found, least = np.full_like(self._known[place].values, math.inf), math.inf
            for nodes in windows(place[a], values):
                known = self._row(place, a, nodes)
                if known is None:
                    continue
                row = np.array([node.values for node in known])
                third = sum(v / _apart(n, nodes) for n, v in zip(nodes, row[:, 0], strict=True))
                if abs(third) < least:
                    least = abs(third)
                    found = np.abs(cubic_weights(place[a], nodes) @ row - self._known[place].values)
            self._misses[place, a] = found
        return self._misses[place, a]

    def _row(self, place: Place, a: int, values: Sequence[int]) -> list[_Known] | None:
        """The points of a row at some values; None where one has no rate."""
        found = [self._known.get(_moved(place, a, x)) for x in values]
        known = [node for node in found if node is not None]
        return known if len(known) == len(found) else None

    def _found(self, guess: _Known) -> PointFound:
        """The answer at a point that was predicted."""
        ends = [1, 1 + len(self.points.cell.states)]
        values, errors = (np.split(v, ends) for v in (guess.values, guess.errors))
        parts = zip(PREDICTED, values, errors, strict=True)
        found = {name: (value, error, Status.OK) for name, value, error in parts}
        chi = np.exp(guess.values[:1])
        found["chi_1"] = chi, chi * guess.errors[:1], Status.OK
        return PointFound(found, is_predicted=True)


def thinned(count: int) -> list[list[int]]:
    """The values of an axis, every second of them, and so on; the last one stays.

    As often as a cubic is left.

    >>> thinned(10)
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 2, 4, 6, 8, 9], [0, 4, 8, 9]]
    """
    found = [list(range(count))]
    while len(found) <= _TIMES + 1:
        values = found[-1]
        sparser = values[::2] + values[-1:] * (len(values) % 2 == 0)
        if len(sparser) < _NODES:
            break
        found.append(sparser)
    return found


def windows(x: int, values: Sequence[int]) -> list[list[int]]:
    """The four values in a row that have x between two of them: first those with it in the middle.

    >>> windows(5, [0, 2, 4, 6, 8, 9])
    [[2, 4, 6, 8], [0, 2, 4, 6], [4, 6, 8, 9]]
    >>> windows(1, [0, 2, 4, 6, 8, 9])
    [[0, 2, 4, 6]]
    """
    after = bisect(values, x)
    firsts = (after - 2, after - 3, after - 1)
    return [list(values[i : i + _NODES]) for i in firsts if 0 <= i <= len(values) - _NODES]


def cubic_weights(x: int, values: Sequence[int]) -> list[float]:
    """What a cubic through four values has of each at x.

    >>> cubic_weights(5, [2, 4, 6, 8])
    [-0.0625, 0.5625, 0.5625, -0.0625]
    """
    return [math.prod((x - b) / (a - b) for b in values if b != a) for a in values]


def _apart(x: int, values: Sequence[int]) -> int:
    """The product of distances from others."""
    return math.prod(x - b for b in values if b != x)


def _moved(place: Place, a: int, x: int) -> Place:
    return (*place[:a], x, *place[a + 1 :])
