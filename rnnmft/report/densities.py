"""The density of singular values from theory, on as many points as the time allows."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.report.budget import Budget
from rnnmft.spectra.law import JacobianLaw

__all__ = ["FEWEST", "Axis", "DensityCurve", "TooSlowError", "density_of"]

Array = NDArray[np.float64]
# Of a curve, at most: the time allowed decides how many are computed (`_ROUNDS`).
_POINTS = 60
# A coarse curve first, then what lies between: a curve is there when the time is over.
_ROUNDS = (slice(4, None, 8), slice(0, None, 8), slice(2, None, 4), slice(1, None, 2))
# What the first costs all share; the second tells what one costs.
_FIRST = (28, 20)
#: Points of the coarsest curve.
FEWEST = 8
# Of the sample's distribution: a tenth of the distance of points.
_FINE = 601
# A density times its place that may be as wrong as it is large.
_SMALL = 0.02


class TooSlowError(DerivationError):
    """The first points of a density would take longer than its budget."""


@dataclass(frozen=True)
class Axis:
    """A range of singular values, linear or logarithmic; `sample`: where they lie, if known."""

    low: float
    high: float
    logarithmic: bool
    sample: Array | None = None

    def edges(self, bins: int) -> Array:
        """Of the bins of a histogram."""
        return self._between(np.arange(bins + 1) / bins)

    def points(self) -> Array:
        """Where a theory is computed, within the range and not on its ends.

        Half of them evenly, half where the sample is dense: a narrow peak is not passed over.
        """
        fraction = (np.arange(_POINTS) + 0.5) / _POINTS
        if self.sample is None:
            return self._between(fraction)
        even = np.linspace(0.0, 1.0, _FINE)
        places = self._between(even)
        inside = np.sort(self.sample[(self.sample > self.low) & (self.sample < self.high)])
        below = np.searchsorted(inside, places) / max(len(inside), 1)
        return np.interp(fraction, (even + below) / 2, places)

    def _between(self, fraction: Array) -> Array:
        if self.logarithmic:
            return self.low * (self.high / self.low) ** fraction
        return self.low + (self.high - self.low) * fraction

    def measure(self, values: Array) -> Array:
        """d s / d(axis): the density over the axis is this times the density of s.

        The axis is s, or its decimal logarithm.
        """
        return values * math.log(10) if self.logarithmic else np.ones_like(values)


@dataclass(frozen=True)
class DensityCurve:
    """The density over an axis at some of its points; `seconds` is what each of the last took."""

    singular_values: Array
    value: Array
    seconds: float


def density_of(law: JacobianLaw, axis: Axis, budget: Budget) -> DensityCurve:
    """The density of the singular values s, from that of lambda = s^2: p(s) = 2 s rho(s^2).

    Raises:
        TooSlowError: the first points would take longer than the budget.
        ConvergenceError: no point converged.
    """
    if not budget.left:
        raise TooSlowError("There is no time for it.")
    points = axis.points()
    found = np.full(_POINTS, np.nan)
    open_ = np.ones(_POINTS, dtype=bool)
    each = 0.0
    for number, which in enumerate([*([k] for k in _FIRST), *_ROUNDS]):
        asked = np.arange(_POINTS)[which]
        asked = asked[open_[asked]]
        if not budget.affords(each * len(asked)):
            if number <= len(_FIRST):
                raise TooSlowError(f"Each point takes about {each:.1f} s.")
            break
        start = time.thread_time()
        found[asked] = _values(law, points[asked])
        open_[asked] = False
        # Many at once cost less each: an upper bound.
        each = (time.thread_time() - start) / len(asked)
    good = np.isfinite(found)
    if not good.any():
        raise ConvergenceError(Status.NOT_CONVERGED)
    s = points[good]
    return DensityCurve(s, np.maximum(2.0 * s * found[good], 0.0) * axis.measure(s), each)


def _values(law: JacobianLaw, singular_values: Array) -> Array:
    """rho(s^2), nan where its error leaves nothing of it."""
    found = law.density(singular_values**2)
    value, error = np.asarray(found.value, dtype=float), np.asarray(found.error, dtype=float)
    return np.where(error <= np.maximum(np.abs(value), _SMALL / singular_values**2), value, np.nan)
