"""The points of a map from states whose W h has a given variance.

Over x = log s, with s^2 the variance of W h, and one more parameter p, the weights that a state
needs and its growth are smooth: states that are stable and unstable at given weights lie on one
surface. A few states tell it everywhere (`kriging`); at given weights the state that is reached
from h = 0 is the first x at which the surface comes up to them.

The noise of a rate at given weights is that of growth and, by d growth / d log sigma_w, that of the
weights. Next to the end of a state's range that slope is large, and so is the error.

Eq. (given-gate-surface).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rnnmft.numerics.kriging import Kriging
from rnnmft.solvers.conditional.held_variance import HeldVariance
from rnnmft.solvers.conditional.linear_cell import EXACT

__all__ = ["StateSurface", "Told"]

Array = NDArray[np.float64]
# Values of x at which the surface is looked at, to find where it comes up to some weights.
_LOOKED_AT = 257
# Steps of Newton's from there: each squares what a hundredth of the range leaves.
_STEPS = 3
# Of errors of the weights: how far another state may be; and what it must say of an error, in terms
# of what the slope says.
_WITHIN, _MOSTLY = 3.0, 1.5
# What the logarithm of a variance is more than that of its estimate from 16 numbers, on average.
_OF_LOGARITHM = float(np.log(15 / 2) - special.digamma(15 / 2))
# How many times as large an estimate of a variance from 16 numbers is by chance: once in a thousand
# times (chi^2 of 15 degrees of freedom).
_BY_CHANCE = 2.5


@dataclass(frozen=True)
class Told:
    """Of some points; nan where the surface does not come up to their weights.

    Attributes:
        size: log s.
        size_error: its standard error.
        growth: per step.
        growth_error: its standard error.
        is_beside_jump: whether most of that is what another state may say.
    """

    size: Array
    size_error: Array
    growth: Array
    growth_error: Array
    is_beside_jump: NDArray[np.bool_]


class StateSurface:
    """The surface through some states.

    Args:
        places: (log s, p) of each, (n, 2).
        states: that were found there.
        ends: between which log s there are states at a p; beyond it nothing is told.
    """

    def __init__(
        self,
        places: Array,
        states: Sequence[HeldVariance],
        ends: Callable[[float], tuple[float, float]],
    ) -> None:
        self._ends = ends
        noise = _smoothed_noise(places, states)
        needed = np.array([state.log_scale for state in states])
        growth = np.array([state.growth for state in states])
        self._needed = Kriging(places, needed, noise[:, 0, 0])
        self._growth = Kriging(places, growth, noise[:, 1, 1])
        self._shared = noise[:, 0, 1]

    def at(self, log_scale: Array, p: Array) -> Told:
        """The states at weights and p, (m,) each."""
        x, low, high = np.full((3, len(log_scale)), np.nan)
        for value in np.unique(p).tolist():
            here = p == value
            x[here], low[here], high[here] = self._crossings(log_scale[here], value)
        known = np.isfinite(x)
        found, beside = np.full((4, len(x)), np.nan), np.zeros(len(x), dtype=bool)
        if known.any():
            *numbers, beside[known] = self._told(*(v[known] for v in (log_scale, p, x, low, high)))
            found[:, known] = numbers
        size, size_error, growth, growth_error = found
        return Told(size, size_error, growth, growth_error, beside)

    def _crossings(self, log_scale: Array, p: float) -> tuple[Array, Array, Array]:
        """Where the surface comes up to weights; and to fewer and more, by what it is unsure of."""
        x = np.linspace(*self._ends(p), _LOOKED_AT)
        needed = self._needed.at(np.column_stack([x, np.full(len(x), p)]))
        unsure = _WITHIN * needed.errors
        each = (needed.values, needed.values + unsure, needed.values - unsure)
        middle, low, high = (_first_above(x, values, log_scale) for values in each)
        # Beyond its ends nothing is known of a surface.
        low, high = (np.where(np.isnan(v), end, v) for v, end in ((low, x[0]), (high, x[-1])))
        return middle, low, high

    def _told(
        self, log_scale: Array, p: Array, x: Array, low: Array, high: Array
    ) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
        ends = np.array([self._ends(value) for value in p.tolist()])
        step = (ends[:, 1] - ends[:, 0]) / _LOOKED_AT

        def places(at: Array) -> Array:
            return np.column_stack([at, p])

        start = x
        for _ in range(_STEPS):
            slope = self._slope(self._needed, x, p, step)
            missing = log_scale - self._needed.at(places(x)).values
            # The surface may turn round between two places that were looked at.
            move = np.where(slope > 0.0, missing / np.where(slope > 0.0, slope, 1.0), 0.0)
            x = np.clip(x + move, start - step, start + step)
        needed, growth = self._needed.at(places(x)), self._growth.at(places(x))
        slope = self._slope(self._needed, x, p, step)
        ratio = self._slope(self._growth, x, p, step) / slope
        unsure, noise = needed.errors, growth.errors
        shared = (growth.weights * needed.weights) @ self._shared
        shared *= self._needed.times * self._growth.times
        variance = noise**2 + ratio**2 * unsure**2 - 2 * ratio * shared
        # Slopes change: what the ends of the range say counts where it is more.
        rates = [self._growth.at(places(v)).values for v in (low, high)]
        apart = np.abs(rates[1] - rates[0]) / (2 * _WITHIN)
        wide = (high - low) / (2 * _WITHIN)
        straight = np.sqrt(np.maximum(variance, noise**2 / 4))
        size_error = np.maximum(unsure / np.maximum(slope, np.finfo(float).tiny), wide)
        error = np.maximum(straight, apart)
        return x, size_error, growth.values, error, apart > _MOSTLY * straight

    @staticmethod
    def _slope(of: Kriging, x: Array, p: Array, step: Array) -> Array:
        ahead, behind = (of.at(np.column_stack([x + s, p])).values for s in (step / 2, -step / 2))
        return (ahead - behind) / step


def _smoothed_noise(places: Array, states: Sequence[HeldVariance]) -> Array:
    """The covariance of each state's noise, (n, 2, 2), as a smooth function of its place.

    What few repetitions say of their noise goes with what they say of the rest: states whose noise
    happens to look small would count for more than others, and bias what is told.
    """
    own = np.array([state.covariance for state in states])
    steps = np.array([state.steps for state in states], dtype=float)
    # Where gates are all shut states have hardly any.
    variances = np.maximum(np.diagonal(own, axis1=1, axis2=2), EXACT**2)
    sizes = np.exp(_quadratic(places, np.log(variances * steps)) + _OF_LOGARITHM) / steps
    # But one that has by far more than others there met what is rare.
    sizes = np.maximum(sizes, variances / _BY_CHANCE)
    correlation = own[:, :1, 1] / np.sqrt(variances.prod(1, keepdims=True))
    shared = np.clip(_quadratic(places, correlation), -1.0, 1.0) * np.sqrt(
        sizes.prod(1, keepdims=True)
    )
    return np.stack([sizes[:, :1], shared, shared, sizes[:, 1:]], 1).reshape(-1, 2, 2)


def _quadratic(places: Array, values: Array) -> Array:
    """The polynomial of second degree that is nearest to some values, at their places."""
    wide = np.ptp(places, axis=0)
    z = (places - places.min(0)) / np.where(wide > 0.0, wide, 1.0)
    powers = [z[:, i] * z[:, k] for i in range(z.shape[1]) for k in range(i + 1)]
    terms = np.column_stack([np.ones(len(z)), z, *powers])
    return terms @ np.linalg.lstsq(terms, values, rcond=None)[0]


def _first_above(x: Array, values: Array, wanted: Array) -> Array:
    """The first x at which values come up to what is wanted, on straight lines; nan: nowhere."""
    # The highest so far comes up to something when the values first do.
    highest = np.maximum.accumulate(values)
    right = np.searchsorted(highest, wanted)
    is_inside = (right > 0) & (right < len(x))
    right = np.clip(right, 1, len(x) - 1)
    part = (wanted - values[right - 1]) / (values[right] - values[right - 1])
    return np.where(is_inside, x[right - 1] + part * (x[right] - x[right - 1]), np.nan)
