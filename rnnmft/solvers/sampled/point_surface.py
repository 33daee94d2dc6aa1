"""The surface on which the points of a map lie, from some of them.

Growth rates and the logarithms of moments are told by kriging, between noisy values of points that
have random numbers of their own. What chance does to these is averaged by it. What they have in
common is not: half the width of a rate's bracket, and the 1/M bias, are told like the rate.

A rate with a kink or a jump is no such surface. Beside one the points are missed by what the others
predict, by more than their noise: by as much the surface may be wrong all around.

Eq. (map-between), Eq. (kriging).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.language import Cell
from rnnmft.numerics.kriging import Kriging
from rnnmft.solvers.sampled.point_found import PointFound
from rnnmft.units.repetitions import calibrated_error

__all__ = ["PREDICTED", "KnownPoint", "PointSurface", "ToldPoints", "is_asked"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: What is told, growth first; chi_1 follows from that.
PREDICTED = ("gradient_growth", "second_moment", "preactivation_variance")
# What is told of a moment may be so many times as noisy as the points are, or wrong by this part of
# it if that is more.
_AS_GOOD, _OF_MOMENT = 1.5, 0.002


@dataclass(frozen=True)
class KnownPoint:
    """Growth and the logarithms of moments of one point, their noise, and what a rate's width is.

    Attributes:
        values: growth first.
        noise: of each.
        common: half the width of the rate's bracket, and the 1/M bias.
    """

    values: Array
    noise: Array
    common: tuple[float, float]

    @classmethod
    def of(cls, found: PointFound) -> KnownPoint | None:
        """Of a point that was solved; None of one without a rate, or where a state is zero."""
        rate, *moments = (found.values[name] for name in PREDICTED)
        sizes = np.concatenate([value for value, _, _ in moments])
        is_ok = all(status is Status.OK for _, _, status in (rate, *moments))
        if found.limit is None or not is_ok or not (sizes > 0.0).all():
            return None
        errors = np.concatenate([error for _, error, _ in moments])
        limit = found.limit
        values = np.append(rate[0], np.log(sizes))
        noise = np.append(limit.noise, errors / sizes)
        return cls(values, noise, (limit.width, limit.bias))


@dataclass(frozen=True)
class ToldPoints:
    """Of some points: (m, quantities) values and errors, and how well they must be known.

    Attributes:
        values: growth first, then the logarithms of moments.
        errors: standard errors.
        excess: the largest of what is asked for, over what is allowed, (m,): 1 is just good.
    """

    values: Array
    errors: Array
    excess: Array

    def found(self, i: int, states: int) -> PointFound:
        """The answer at one of them, of a cell with so many states."""
        sizes = np.append(self.values[i, :1], np.exp(self.values[i, 1:]))
        errors = np.append(self.errors[i, :1], self.errors[i, 1:] * sizes[1:])
        parts = (np.split(v, [1, 1 + states]) for v in (sizes, errors))
        named = zip(PREDICTED, *parts, strict=True)
        found = {name: (value, error, Status.OK) for name, value, error in named}
        chi = np.exp(sizes[:1])
        return PointFound(found | {"chi_1": (chi, chi * errors[:1], Status.OK)}, is_predicted=True)


class PointSurface:
    """The surface through some points.

    Args:
        places: of the points, (n, axes).
        known: what was found there.
    """

    def __init__(self, places: Array, known: Sequence[KnownPoint]) -> None:
        self._values = np.array([k.values for k in known])
        self._noise = np.array([k.noise for k in known])
        self._common = np.array([k.common for k in known])
        self._each = [
            Kriging(places, values, noise**2)
            for values, noise in zip(self._values.T, self._noise.T, strict=True)
        ]

    def at(self, places: Array, tolerance: float, asked: Flags) -> ToldPoints:
        """What it says of places, (m, axes).

        Args:
            places: where.
            tolerance: of the rate.
            asked: which of the quantities are to be known well.
        """
        values, errors, allowed = [], [], []
        for q, kriging in enumerate(self._each):
            told = kriging.at(places)
            error = _calibrated(kriging, told.errors)
            error = np.hypot(error, _missed(kriging, told.weights))
            weights = np.abs(told.weights)
            own = weights @ self._noise[:, q] / weights.sum(1)
            if q == 0:
                error = np.hypot(error, np.linalg.norm(told.weights @ self._common, axis=1))
            values.append(told.values)
            errors.append(error)
            own = np.maximum(_AS_GOOD * own, _OF_MOMENT)
            allowed.append(own if q else np.full(len(places), tolerance))
        excess = np.divide(errors, allowed)
        return ToldPoints(np.transpose(values), np.transpose(errors), excess[asked].max(0))


def is_asked(cell: Cell, names: Collection[str]) -> Flags:
    """Which of the quantities of a `KnownPoint` belong to these; the rate always does."""
    counts = zip(PREDICTED, (1, len(cell.states), len(cell.preactivations)), strict=True)
    found = np.concatenate([np.full(n, name in names) for name, n in counts])
    found[0] = True
    return found


def _calibrated(kriging: Kriging, errors: Array) -> Array:
    """What few values say of a surface's size is itself unsure, as of repetitions."""
    return calibrated_error(errors, max(2, kriging.freedom + 1))


def _missed(kriging: Kriging, weights: Array) -> Array:
    """What the points that have most of the weight at a place are missed by, beyond their noise."""
    squares = weights**2
    beyond = (kriging.misses**2 - 1.0) * kriging.miss_errors**2
    return np.sqrt(np.maximum(squares @ beyond / squares.sum(1), 0.0))
