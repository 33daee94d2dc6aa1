"""A map from fewer of its points: where it is smooth the others lie on cubics through these.

Points of every fourth, then of every second value along each axis come first, one axis after the
other. Before a point is solved it is predicted by a cubic through known points of its row. How good
that is, every second of these tells: how far are cubics through the others from it? At half the
spacing that is a sixteenth where the map is smooth, and up to twice as much where it has a kink;
which of them it is, the same at twice the spacing tells. What is predicted well enough is not
solved; where predictions miss everything is.

Points share their random numbers: what predictions miss by is the map's shape rather than noise.

Eq. (map-between).
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

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
# The part of a miss that is an error at half the spacing. Wherever a kink is it leaves up to 2.4 of
# that, a small jump up to 2.6.
_LEFT = 1.0
# Misses at twice the spacing that are so many times these show a smooth map, whose are 16: beside a
# kink they are 7 at most. That leaves a sixteenth; four are taken.
_FALLING, _LEFT_OF_SMOOTH = 8.0, 0.25
# What a prediction of a moment may be wrong by: its error, or this part of it if that is more.
_OF_MOMENT = 0.002


@dataclass(frozen=True)
class _Known:
    """Growth and the logarithms of moments of one point, and their errors."""

    values: Array
    errors: Array

    @classmethod
    def of(cls, found: PointFound) -> _Known | None:
        """Of a point that was solved; None of one without a rate, or where a state is zero."""
        rate, *moments = (found.values[name] for name in PREDICTED)
        sizes = np.concatenate([value for value, _, _ in moments])
        is_ok = all(status is Status.OK for _, _, status in (rate, *moments))
        if not is_ok or not (sizes > 0.0).all():
            return None
        errors = np.concatenate([error for _, error, _ in moments])
        return cls(np.append(rate[0], np.log(sizes)), np.append(rate[1], errors / sizes))

    def found(self, states: int) -> PointFound:
        """The answer at a point of a cell with so many states."""
        sizes = np.append(self.values[:1], np.exp(self.values[1:]))
        errors = np.append(self.errors[:1], self.errors[1:] * sizes[1:])
        parts = (np.split(v, [1, 1 + states]) for v in (sizes, errors))
        named = zip(PREDICTED, *parts, strict=True)
        found = {name: (value, error, Status.OK) for name, value, error in named}
        chi = np.exp(sizes[:1])
        return PointFound(found | {"chi_1": (chi, chi * errors[:1], Status.OK)}, is_predicted=True)


@dataclass(frozen=True)
class _Guess:
    """What is predicted, its noise, and how far it may be off beside that."""

    values: Array
    noise: Array
    off: Array

    @property
    def known(self) -> _Known:
        """The point, if that is good enough."""
        return _Known(self.values, np.hypot(self.noise, self.off))


@dataclass(frozen=True)
class _Cubic:
    """What a cubic through four points says, and the noise of that."""

    nodes: Sequence[int]
    values: Array
    noise: Array

    @classmethod
    def through(cls, nodes: Sequence[int], known: Sequence[_Known], x: int) -> _Cubic:
        """At x, of the points at some values."""
        values, errors = np.array([k.values for k in known]), np.array([k.errors for k in known])
        weights = np.array(cubic_weights(x, nodes))
        # All of the noise is shared, or none; what is shared in part lies between.
        noise = np.maximum(np.abs(weights @ errors), np.sqrt(weights**2 @ errors**2))
        return cls(nodes, weights @ values, noise)


class RefinedMap:
    """The points of a `SampledMap`, of which those are solved that others do not tell.

    Args:
        points: the map, with growth rates.
        tolerance: standard error of a growth rate, per step.
        asked: what must be predicted well; of the rest only the error is told.
    """

    def __init__(
        self, points: SampledMap, tolerance: float, asked: Collection[str] = PREDICTED
    ) -> None:
        self.points, self.tolerance = points, tolerance
        cell = points.cell
        counts = zip(PREDICTED, (1, len(cell.states), len(cell.preactivations)), strict=True)
        self._asked = np.concatenate([np.full(n, name in asked) for name, n in counts])
        self._number = {place: i for i, place in enumerate(points.places)}
        self._known: dict[Place, _Known] = {}
        self._off: dict[Place, Array] = {}
        self._misses: dict[tuple[Place, int, int], Array] = {}
        sizes = [1 + max(along) for along in zip(*points.places, strict=True)]
        self._axes = [thinned(n) for n in sizes]

    def completed(self) -> Iterator[list[tuple[int, PointFound]]]:
        """As `SampledMap.completed`; `PointFound.is_predicted` marks what was not solved.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        order: dict[int, list[Place]] = defaultdict(list)
        for place in self.points.places:
            order[sum(self._times(place))].append(place)
        for times in sorted(order, reverse=True):
            guesses = {p: self._guess(p) for p in order[times]}
            good = {p: g for p, g in guesses.items() if g is not None and self._is_good(g)}
            self._known |= {p: g.known for p, g in good.items()}
            self._off |= {p: g.off for p, g in good.items()}
            if good:
                states = len(self.points.cell.states)
                yield [(self._number[p], g.known.found(states)) for p, g in good.items()]
            left = [self._number[p] for p in guesses if p not in good]
            for completed in self.points.completed(left):
                yield completed
                for i, found in completed:
                    known = _Known.of(found)
                    if known is not None:
                        self._known[self.points.places[i]] = known

    def _times(self, place: Place) -> list[int]:
        """How often the values of a point along each axis stay when every second is left out.

        The sparsest that there are of an axis are there to be looked back at: all of the next ones
        are solved.
        """
        found: list[int] = []
        for x, axis in zip(place, self._axes, strict=True):
            last = max(len(axis) - 2, 0)
            found.append(max(k for k, values in enumerate(axis[: last + 1]) if x in values))
        return found

    def _guess(self, place: Place) -> _Guess | None:
        """What the points of its rows say of one: the best of that."""
        found: list[_Guess] = []
        for a, (times, axis) in enumerate(zip(self._times(place), self._axes, strict=True)):
            if times < len(axis) - 2:
                found += self._along(place, a, axis[times + 1 :])
        return min(found, key=lambda g: (not self._is_good(g), g.known.errors[0]), default=None)

    def _is_good(self, guess: _Guess) -> bool:
        """Whether nothing needs to be solved."""
        allowed = np.maximum(guess.noise, _OF_MOMENT)
        right = (guess.off <= allowed) | ~self._asked
        return guess.known.errors[0] <= self.tolerance and bool(right[1:].all())

    def _along(self, place: Place, a: int, thinned: Sequence[Sequence[int]]) -> Iterator[_Guess]:
        """What a row along axis a says, by some of its values and what half of them miss.

        Through points on both sides, and, as next to a jump, through more of those on one side.
        """
        sparse, sparser, *sparsest = thinned
        before = self._most_missed(place, a, windows(place[a], sparser), sparsest[:1])
        for cubic in self._cubics(place, a, sparse):
            missed = self._most_missed(place, a, [cubic.nodes], [sparser])
            left = np.where(before > _FALLING * missed, _LEFT_OF_SMOOTH, _LEFT)
            yield _Guess(cubic.values, cubic.noise, left * missed)

    def _most_missed(
        self,
        place: Place,
        a: int,
        nodes: Iterable[Sequence[int]],
        sparser: Sequence[Sequence[int]],
    ) -> Array | float:
        """How far cubics through sparser values are from the other nodes of a row, at most."""
        missed = [
            self._missed(at, a, values)
            for values in sparser
            for x in {x for some in nodes for x in some if x not in values}
            if (at := _moved(place, a, x)) in self._known
        ]
        return np.max(missed, axis=0) if missed else 0.0

    def _missed(self, place: Place, a: int, values: Sequence[int]) -> Array:
        """How far any cubic through some values of a row is from a known point of it, at most.

        One that was itself predicted lies on a cubic: what it may be off by counts.
        """
        known, key = self._known[place].values, (place, a, len(values))
        if key not in self._misses:
            missed = [np.abs(cubic.values - known) for cubic in self._cubics(place, a, values)]
            missed.append(self._off.get(place, np.zeros_like(known)) if missed else known + np.inf)
            self._misses[key] = np.max(missed, axis=0)
        return self._misses[key]

    def _cubics(self, place: Place, a: int, values: Sequence[int]) -> list[_Cubic]:
        """The cubics through known points at some values of a row, first that in their middle."""
        found: list[_Cubic] = []
        for nodes in windows(place[a], values):
            row = [self._known.get(_moved(place, a, x)) for x in nodes]
            known = [node for node in row if node is not None]
            if len(known) == len(nodes):
                found.append(_Cubic.through(nodes, known, place[a]))
        return found


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


def _moved(place: Place, a: int, x: int) -> Place:
    return (*place[:a], x, *place[a + 1 :])
