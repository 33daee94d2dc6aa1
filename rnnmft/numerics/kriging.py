"""A smooth function from noisy values at scattered places: universal kriging.

    y_i = f(x_i) + noise_i,      f = a polynomial + a Gaussian process,
    Cov(f(x), f(x')) = a^2 exp(-sum_k (x_k - x'_k)^2 / (2 l_k^2))

The variances of the noise are known; a and the l_k are those of the largest restricted likelihood.
What is predicted has a standard error, of the noise and of what lies between the places; values are
combined linearly, so that functions measured at the same places can be told together. Whether the
function is as smooth as that supposes, each value says that is predicted from all others: where
they are missed by more than they should be all errors are as many times larger.

Eq. (kriging) [cressie1993].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

__all__ = ["Kriged", "Kriging"]

Array = NDArray[np.float64]
# Degree of the polynomial, at most; one less than the number of different values of a coordinate.
_DEGREE = 2
# Of half the range of a coordinate: lengths are looked for between these ..
_SHORTEST, _LONGEST = 0.05, 20.0
# .. and the process's size, in terms of what the polynomial leaves.
_SMALLEST, _LARGEST = 1e-3, 1e3
# The search begins at the best of these, with a step of so much of their logarithms; a change of a
# few per cent of them does not move what is told.
_SIZES, _LENGTHS, _STEP, _CLOSE, _STEPS = (1.0, 10.0), (0.2, 0.5, 1.2, 3.0), 0.5, 0.03, 100
# Relative to the process's variance: what rounding makes of its covariance.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Kriged:
    """At some places: values, their standard errors, and what each has of the given values."""

    values: Array
    errors: Array
    weights: Array


class Kriging:
    """The function through values y at places x.

    Args:
        places: (n, d).
        values: (n,).
        variances: of their noise, (n,).

    Attributes:
        freedom: how many values there are beyond the polynomial's terms.
        misses: each value less what the others predict, over the error of this: normal numbers.
        miss_errors: that error.
        times: the root mean square of misses, 1 at least, by which errors are larger.
    """

    def __init__(self, places: Array, values: Array, variances: Array) -> None:
        self._middle = (places.max(0) + places.min(0)) / 2
        half = np.ptp(places, axis=0) / 2
        self._half = np.where(half > 0.0, half, 1.0)
        self._z, self._y, self._noise = self._scaled(places), values, variances
        counts = [len(np.unique(column)) for column in places.T]
        degrees = np.ndindex(*(min(_DEGREE + 1, n) for n in counts))
        self._powers = [each for each in degrees if sum(each) <= _DEGREE]
        self._trend = self._polynomials(self._z)
        self.freedom = len(values) - len(self._powers)
        rest = values - self._trend @ np.linalg.lstsq(self._trend, values, rcond=None)[0]
        self._unit = max(float(rest.std()), float(np.sqrt(variances.mean())), np.finfo(float).tiny)
        self._search()
        self.misses, self.miss_errors = self._missed()
        self.times = max(1.0, float(np.sqrt((self.misses**2).mean())))

    def at(self, places: Array) -> Kriged:
        """What the function is at places (m, d)."""
        z = self._scaled(places)
        cross = linalg.solve_triangular(self._root, self._covariance(self._z, z), lower=True)
        missing = self._polynomials(z).T - self._trend_white.T @ cross
        by_trend = linalg.cho_solve((self._trend_root, True), missing)
        weights = linalg.solve_triangular(
            self._root, cross + self._trend_white @ by_trend, lower=True, trans="T"
        ).T
        variance = self._size**2 - (cross**2).sum(0) + (missing * by_trend).sum(0)
        errors = self.times * np.sqrt(np.maximum(variance, 0.0))
        return Kriged(weights @ self._y, errors, weights)

    def _missed(self) -> tuple[Array, Array]:
        white = linalg.solve_triangular(self._root, np.eye(len(self._y)), lower=True)
        inverse = white.T @ white
        of_trend = white.T @ self._trend_white
        inverse -= of_trend @ linalg.cho_solve((self._trend_root, True), of_trend.T)
        errors = 1.0 / np.sqrt(np.diag(inverse))
        return (inverse @ self._y) * errors, errors

    # --- the process ---------------------------------------------------------------------------

    def _scaled(self, places: Array) -> Array:
        return (places - self._middle) / self._half

    def _polynomials(self, z: Array) -> Array:
        return np.stack([np.prod(z ** np.array(p), axis=1) for p in self._powers], 1)

    def _covariance(self, z: Array, other: Array) -> Array:
        squares = sum(
            np.subtract.outer(z[:, k], other[:, k]) ** 2 / length**2
            for k, length in enumerate(self._lengths)
        )
        return self._size**2 * np.exp(-np.asarray(squares) / 2)

    def _search(self) -> None:
        """The likeliest size and lengths."""
        dimensions = self._z.shape[1]
        bounds = [(math.log(_SMALLEST), math.log(_LARGEST))]
        bounds += [(math.log(_SHORTEST), math.log(_LONGEST))] * dimensions
        starts = np.log(list(product(_SIZES, *[_LENGTHS] * dimensions)))
        start = min(starts, key=self._surprise)
        simplex = start + _STEP * np.eye(dimensions + 2, dimensions + 1, -1)
        found = optimize.minimize(
            self._surprise,
            start,
            method="Nelder-Mead",
            bounds=bounds,
            options={
                "initial_simplex": simplex,
                "maxfev": _STEPS,
                "xatol": _CLOSE,
                "fatol": _CLOSE,
            },
        )
        self._surprise(found.x)

    def _surprise(self, logarithms: Array) -> float:
        """-log of the restricted likelihood, at a size and lengths, which are kept."""
        self._size, *self._lengths = np.exp(logarithms)
        self._size *= self._unit
        covariance = self._covariance(self._z, self._z)
        covariance[np.diag_indices_from(covariance)] += self._noise + _ROUNDING * self._size**2
        self._root = linalg.cholesky(covariance, lower=True)
        self._trend_white = linalg.solve_triangular(self._root, self._trend, lower=True)
        white = linalg.solve_triangular(self._root, self._y, lower=True)
        self._trend_root = linalg.cholesky(self._trend_white.T @ self._trend_white, lower=True)
        of_trend = self._trend_white.T @ white
        rest = white - self._trend_white @ linalg.cho_solve((self._trend_root, True), of_trend)
        logs = np.log(np.diag(self._root)).sum() + np.log(np.diag(self._trend_root)).sum()
        return float(rest @ rest) / 2 + float(logs)
