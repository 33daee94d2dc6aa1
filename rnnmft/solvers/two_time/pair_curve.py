"""The pair averages of one stationary law as functions of the covariance alone.

At one mean and variance E[y y] depends on the correlation rho = cos(psi) only, and is smooth in the
angle psi even where it is not in rho: with kinks it has a term |psi|^3 at psi = 0, and psi >= 0.
So it is a Chebyshev series in psi, from as many values as that takes and not one for each lag. They
come from Mehler's series where it converges at rho = 1 (see `hermite`), from integrals elsewhere.

Eq. (mehler).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.fft import dct

from rnnmft.solvers.two_time.hermite import HermiteOverlaps, power_series
from rnnmft.solvers.two_time.seen import SMALLEST, Seen

__all__ = ["PairCurve"]

Array = NDArray[np.float64]
# Degrees of the polynomial: the first, and the last, where what the end leaves is the error.
_FIRST, _MOST = 16, 2048
# Coefficients below this share of the largest, or of the integrals' errors, are left out.
_SMALL, _OF_ERRORS = 1e-14, 0.1
# Mehler's series is taken where it leaves out no more than this share, at rho = 1 ten times it (a
# sum of as many terms as there are of rounding).
_CONVERGED, _AT_ONE = 1e-13, 1e-12
# Arguments are asked for again a little farther out: a tenth, and at least a millionth.
_ROOM, _LEAST_END = 1.1, 1e-6


@dataclass(frozen=True)
class _Series:
    """A Chebyshev series on 0 <= psi <= `end`, and its error."""

    coefficients: Array
    end: float
    error: float

    def __call__(self, psi: Array) -> Array:
        at = 2.0 * psi / self.end - 1.0
        return np.asarray(chebyshev.chebval(at, self.coefficients), dtype=float)


class PairCurve:
    """Averages over a stationary pair of mean mu and variance q, by covariance.

    Args:
        seen: the function y.
        mean, q: of u at both times.
    """

    def __init__(self, seen: Seen, mean: float, q: float) -> None:
        self._seen, self._mean, self.q = seen, mean, q
        self._known: dict[str, _Series] = {}

    def __call__(self, kind: str, covariance: Array) -> Array:
        """One of `seen.KINDS` at Cov(u_t, u_s), any shape."""
        if self._seen.closed or self.q <= 0:
            return self._direct(kind, covariance)[0]
        # A covariance beyond q is a guess on the way to a root, or rounding.
        psi = np.arccos(np.clip(covariance / self.q, -1.0, 1.0))
        return self._series(kind, float(psi.max(initial=0.0)))(psi)

    def error(self, kind: str) -> float:
        """A bound on what was returned so far of a kind."""
        return self._known[kind].error if kind in self._known else 0.0

    def scaled(self, scale: float) -> PairCurve:
        """The same function at another variance."""
        return PairCurve(self._seen, self._mean, scale * self.q)

    def at_equal_times(self, kind: str) -> float:
        """The average at covariance q."""
        return float(self._seen.at_one_time(kind, self._mean, self.q)[0])

    def _direct(self, kind: str, covariance: Array) -> tuple[Array, Array]:
        mean, q = self._mean, self.q
        series = self._mehler.get(kind)
        if series is not None:
            found = power_series(series[0][:, None], np.clip(covariance / q, -1.0, 1.0), 0, 1)
            return found, np.full_like(found, series[1])
        found, error = self._seen.average(kind, mean, mean, q, covariance, q)
        equal = covariance >= q
        if equal.any():
            found[equal], error[equal] = self._seen.at_one_time(kind, mean, q)
        return found, error

    @cached_property
    def _mehler(self) -> dict[str, tuple[Array, float]]:
        """The series in rho of each kind that converges at rho = 1, and what it leaves out."""
        if self._seen.closed or self.q <= SMALLEST:
            return {}
        law = HermiteOverlaps(self._seen, _CONVERGED)
        law.add(self._mean, self.q)
        f, left = law.coefficients(0)
        if left > _CONVERGED:
            return {}
        n = np.arange(len(f))
        all_kinds = {
            "overlap": f * f,
            "slope": (n * f * f)[1:] / self.q,
            "curvature": np.sqrt(n[1:-1] * n[2:]) * f[:-2] * f[2:] / (2 * self.q),
        }
        found = {}
        for kind, series in all_kinds.items():
            exact = self.at_equal_times(kind)
            missed = abs(float(series.sum()) - exact)
            if missed <= _AT_ONE * max(abs(exact), float(np.abs(series).sum())):
                found[kind] = (series, missed)
        return found

    def _series(self, kind: str, end: float) -> _Series:
        known = self._known.get(kind)
        if known is None or end > known.end:
            # A little more, so that the next, slightly different argument is inside.
            end = min(np.pi, max(_ROOM * end, _LEAST_END))
            self._known[kind] = known = self._build(kind, end)
        return known

    def _build(self, kind: str, end: float) -> _Series:
        """Double the points until the last coefficients vanish."""
        degree, values, errors = _FIRST, np.empty(0), np.empty(0)
        while True:
            angle = np.pi * np.arange(degree + 1) / degree
            psi = 0.5 * end * (1.0 + np.cos(angle))
            fresh = np.arange(degree + 1) if not len(values) else np.arange(1, degree, 2)
            found, error = self._direct(kind, self.q * np.cos(psi[fresh]))
            kept = (values, errors)
            values, errors = np.empty(degree + 1), np.empty(degree + 1)
            values[::2], errors[::2] = kept if len(kept[0]) else (found[::2], error[::2])
            values[1::2], errors[1::2] = (
                (found, error) if len(kept[0]) else (found[1::2], error[1::2])
            )
            series = np.asarray(dct(values, type=1)) / degree
            series[[0, -1]] /= 2
            # Coefficients below what the integrals are off by are no longer of the function.
            noise = max(_SMALL * float(np.abs(series).max()), _OF_ERRORS * float(errors.max()))
            large = np.flatnonzero(np.abs(series) > noise)
            kept = 1 + int(large[-1]) if len(large) else 1
            if kept <= degree - degree // 4 or degree >= _MOST:
                left = float(np.abs(series[kept:]).max(initial=0.0))
                if degree >= _MOST:
                    left = float(np.abs(series[-(degree // 8) :]).sum())
                return _Series(series[:kept], end, float(errors.max()) + left)
            degree *= 2
