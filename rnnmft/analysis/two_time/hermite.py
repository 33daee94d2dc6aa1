"""E[y(u_t) y(u_s)] for all pairs of a growing set of times, by Mehler's series.

With h_n the orthonormal Hermite polynomials, z a standard normal variable and rho the correlation
of the pair,

    E[y(u_t) y(u_s)] = sum_n f_n(t) f_n(s) rho^n,      f_n(t) = E[y(mu_t + sqrt(q_t) z) h_n(z)],
    E[y'(u_t) y'(u_s)] = d/dq_ts of it = sum_n n f_n(t) f_n(s) rho^(n-1) / sqrt(q_t q_s).

Each time costs one transform, each pair a short sum. What the series leaves out is at most
|rho|^n sqrt(tail_t tail_s), tail = E[y^2] - sum f_n^2; pairs where that is too much (nearly equal
ones, where y has a kink or is steep) are integrated one by one.

Sources: Mehler 1866 (J. reine angew. Math. 66).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.two_time.seen import Seen

__all__ = ["HermiteOverlaps"]

Array = NDArray[np.float64]
# Beyond this many standard deviations h_n times the density is below rounding.
_REACH = 12.0
_MOST_TERMS = 1024
# Steps of the trapezoidal rule; smooth functions converge geometrically, so what two of them leave
# between them to first order the finer one has to second order.
_STEPS = (0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125)
_AGREE = 1e-8
# Gauss-Legendre points of a panel between kinks, and its width in standard deviations.
_POINTS, _WIDTH = 16, 0.5
_EPS = 1e-16


class HermiteOverlaps:
    """Hermite coefficients of one function at times 0, 1, .., and the sums over pairs of times.

    Args:
        seen: the function.
        tolerance: relative error allowed in each sum.
        exact: whether pairs that miss it are integrated; else the error says so.
    """

    def __init__(self, seen: Seen, tolerance: float, exact: bool = True) -> None:
        self._seen, self._tolerance, self._exact = seen, tolerance, exact
        self.times = 0
        self._mean, self._q, self._power = (np.zeros(64) for _ in range(3))
        self._terms = 8
        self._step = 0
        #: What the finest nodes leave in a coefficient, relative to the root of E[y^2].
        self.unresolved = 0.0
        self._coefficients = np.zeros((self._terms, 64))

    def add(self, mean: float, q: float) -> None:
        """The next time: mean and variance of u."""
        t = self.times
        if t == len(self._q):
            self._mean, self._q, self._power = (
                np.concatenate([a, np.zeros(t)]) for a in (self._mean, self._q, self._power)
            )
            self._coefficients = np.concatenate(
                [self._coefficients, np.zeros_like(self._coefficients)], 1
            )
        self._mean[t], self._q[t] = mean, q
        self.times += 1
        if not self._by_integration:
            found, self._power[t] = self._transform(mean, q)
            if len(found) > len(self._coefficients):
                more = len(found) - len(self._coefficients)
                grown = np.zeros((more, self._coefficients.shape[1]))
                self._coefficients = np.concatenate([self._coefficients, grown])
            self._coefficients[: len(found), t] = found

    @property
    def _by_integration(self) -> bool:
        """Closed forms are quicker; a kink that cannot be placed spoils every transform."""
        return self._seen.closed or (self._seen.hidden and self._exact)

    # --- coefficients --------------------------------------------------------------------------

    def _transform(self, mean: float, q: float) -> tuple[Array, float]:
        """As many coefficients as the tolerance needs, and E[y^2]."""
        while True:
            found, power, resolved = self._project(mean, q)
            kept = np.cumsum((found * found)[::-1])[::-1]
            left = max(power - float(kept[0]), 0.0)
            enough = left <= max(self._tolerance * 1e-3, 10 * _EPS) * power
            if resolved and (enough or self._terms >= _MOST_TERMS):
                small = kept + left <= max(self._tolerance * 1e-4, _EPS) * power
                return found[: max(1, int((~small).sum()))], power
            if not resolved and self._step + 1 < len(_STEPS):
                self._step += 1
            elif not enough and self._terms < _MOST_TERMS:
                self._terms = min(2 * self._terms, _MOST_TERMS)
            else:
                return found, power

    def _project(self, mean: float, q: float) -> tuple[Array, float, bool]:
        """The coefficients at the present number of terms and nodes, and whether nodes agree."""
        std = math.sqrt(q)
        (z_0, coarse), (z_1, fine) = self._rules(mean, std)
        before, y = (self._seen.y(mean + std * z) for z in (z_0, z_1))
        found, power = fine @ y, float(fine[0] @ (y * y))
        apart = float(np.abs(found - coarse @ before).max())
        size = math.sqrt(max(power, 0.0))
        resolved = apart <= _AGREE * size
        if not resolved and self._step + 1 == len(_STEPS):
            self.unresolved = max(self.unresolved, apart / size)
        return found, power, resolved

    def _rules(self, mean: float, std: float) -> list[tuple[Array, Array]]:
        """A coarse and a fine rule: nodes (n,) and the transform (terms, n)."""
        steps = (2 * _STEPS[self._step], _STEPS[self._step])
        if not self._seen.kinks or self._seen.hidden:
            return [_trapezoid(step, self._terms) for step in steps]
        places = [(k - mean) / std for k in self._seen.kinks] if std > 0 else []
        cuts = tuple(p for p in places if abs(p) < _REACH)
        return [_panels(step / _STEPS[0] * _WIDTH, self._terms, cuts) for step in steps]

    # --- sums over pairs -----------------------------------------------------------------------

    def overlap(self, covariance: Array, first: int = 0) -> tuple[Array, float]:
        """E[y y] of the last time with times first, .., and the largest error over its scale.

        Args:
            covariance: of u at those times, (.., times - first).
        """
        return self._row("overlap", covariance, first)

    def slope(self, covariance: Array, first: int = 0) -> tuple[Array, float]:
        """E[y' y'] likewise."""
        return self._row("slope", covariance, first)

    def _row(self, kind: str, covariance: Array, first: int) -> tuple[Array, float]:
        t, times = self.times - 1, slice(first, self.times)
        if self._by_integration:
            return self._integrated(kind, covariance, np.arange(first, self.times))
        size = np.sqrt(self._q[times]) * math.sqrt(self._q[t])
        rho = np.clip(
            np.divide(covariance, size, out=np.zeros_like(covariance), where=size > 0), -1, 1
        )
        found, left = self._series(kind, rho, times, size)
        scale = np.sqrt(self._power[times] * self._power[t])
        if kind == "slope":
            scale = np.divide(scale, size, out=np.ones_like(scale), where=size > 0)
        share = left / np.where(scale > 0, scale, 1.0) + self.unresolved
        missed = share > self._tolerance
        if not missed.any() or not self._exact:
            return found, float(share.max())
        error = float(np.max(np.where(missed, 0.0, share)))
        at = np.nonzero(missed)
        q_s = first + at[-1]
        exact, more = self._seen.average(
            kind, self._mean[t], self._mean[q_s], self._q[t], covariance[at], self._q[q_s]
        )
        found[at] = exact
        return found, max(error, float(np.max(more / np.maximum(scale[at[-1]], 1e-300))))

    def _integrated(
        self, kind: str, covariance: Array, s: NDArray[np.int64]
    ) -> tuple[Array, float]:
        t = self.times - 1
        found, error = self._seen.average(
            kind, self._mean[t], self._mean[s], self._q[t], covariance, self._q[s]
        )
        scale = float(np.abs(found).max(initial=0.0))
        return found, float(error.max()) / scale if scale > 0 else 0.0

    def _series(self, kind: str, rho: Array, times: slice, size: Array) -> tuple[Array, Array]:
        """The sums, and what they leave out."""
        t, terms = self.times - 1, len(self._coefficients)
        strongest = float(np.abs(rho).max())
        if 0.0 < strongest < 1.0:
            terms = min(
                terms, 2 + math.ceil(math.log(self._tolerance * 1e-3) / math.log(strongest))
            )
        here, there = self._coefficients[:terms, t], self._coefficients[:terms, times]
        products = here[:, None] * there
        last = int(np.flatnonzero(here)[-1]) if here.any() else 0
        n = np.arange(len(here))
        if kind == "slope":
            products = n[1:, None] * products[1:]
            products = np.divide(products, size, out=np.zeros_like(products), where=size > 0)
            last = max(last - 1, 0)
        found = _power_series(products, rho, last)
        tail_here = max(self._power[t] - float(here @ here), 0.0)
        tail_there = np.maximum(self._power[times] - np.einsum("ns,ns->s", there, there), 0.0)
        left = np.sqrt(tail_here * tail_there) * np.abs(rho) ** terms
        if kind == "slope":
            left = np.divide(left * terms, size, out=np.zeros_like(left), where=size > 0)
        return found, left


def _power_series(products: Array, rho: Array, last: int) -> Array:
    """sum_n products[n] rho^n by Horner's rule; every second term where the others vanish."""
    rows = products[: last + 1]
    for parity in (0, 1):
        if not rows[1 - parity :: 2].any():
            rows, square = rows[parity::2], rho * rho
            total = np.broadcast_to(rows[-1], rho.shape).copy()
            for row in rows[-2::-1]:
                total *= square
                total += row
            return total * rho if parity else total
    total = np.broadcast_to(rows[-1], rho.shape).copy()
    for row in rows[-2::-1]:
        total *= rho
        total += row
    return total


def _functions(z: Array, terms: int) -> Array:
    """h_n(z) exp(-z^2 / 4) / (2 pi)^(1/4), (terms, n): bounded, by a stable recurrence."""
    found = np.zeros((terms, len(z)))
    found[0] = np.exp(-0.25 * z * z) / (2.0 * np.pi) ** 0.25
    found[1:2] = z * found[0]
    for n in range(1, terms - 1):
        found[n + 1] = (z * found[n] - math.sqrt(n) * found[n - 1]) / math.sqrt(n + 1)
    return found


def _rule(z: Array, weights: Array, terms: int) -> tuple[Array, Array]:
    functions = _functions(z, terms)
    return z, functions * (weights * functions[0])


@lru_cache(maxsize=16)
def _trapezoid(step: float, terms: int) -> tuple[Array, Array]:
    half = math.ceil(_REACH / step)
    z = step * np.arange(-half, half + 1)
    return _rule(z, np.full(len(z), step), terms)


@lru_cache(maxsize=4)
def _panels(width: float, terms: int, cuts: tuple[float, ...]) -> tuple[Array, Array]:
    """Gauss-Legendre panels between the cuts, none wider than `width`."""
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    ends = [-_REACH, *cuts, _REACH]
    pieces = [
        np.linspace(a, b, 1 + max(1, math.ceil((b - a) / width)))
        for a, b in zip(ends, ends[1:], strict=False)
    ]
    low = np.concatenate([p[:-1] for p in pieces])
    half = np.concatenate([np.diff(p) for p in pieces]) / 2
    z = (low + half)[:, None] + half[:, None] * points
    return _rule(z.ravel(), (half[:, None] * weights).ravel(), terms)
