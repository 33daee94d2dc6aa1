"""E[f(u_t) f(u_s)] for all pairs of a growing set of times, by Mehler's series.

With h_n the orthonormal Hermite polynomials, z a standard normal variable and rho the correlation
of the pair,

    E[f(u_t) f(u_s)] = sum_n f_n(t) f_n(s) rho^n,      f_n(t) = E[f(mu_t + sqrt(q_t) z) h_n(z)].

Each time costs one transform, each pair a short sum. What the series leaves out is at most
|rho|^n sqrt(tail_t tail_s), tail = E[f^2] - sum f_n^2; pairs where that is too much (nearly equal
ones, where f has a kink or is steep) are integrated one by one.

Source: [mehler1866]. Eq. (mehler).
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.two_time.seen import Seen

__all__ = ["HermiteOverlaps", "power_series"]

Array = NDArray[np.float64]
# Beyond this many standard deviations h_n times the density, exp(-z^2 / 4), is below rounding:
# 2e-16.
_REACH = 12.0
# Coefficients of what is analytic for |Im z| < d fall like exp(-d (2n)^(1/2)): to 1e-12 from d =
# 0.6 on. What is left out beyond them is known, and integrated instead where it misses the
# tolerance.
_MOST_TERMS = 1024
# Steps of the trapezoidal rule; smooth functions converge geometrically, so what two of them leave
# between them to first order the finer one has to second order.
_STEPS = (0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125)
# Half of the digits, therefore.
_AGREE = 1e-8
# Gauss-Legendre points of a panel between kinks, and its width in standard deviations, halved with
# the steps above until two agree.
_POINTS, _WIDTH = 16, 0.5
# Of E[f^2]: rounding of a sum of squares.
_ROUNDING = 1e-14
# Times that share one number of terms: near ones need more than far ones.
_BLOCK = 512
# What the coefficients that are not kept may make of a sum, as a share of the tolerance; it is
# added to the error.
_DROPPED = 0.1
# The same for coefficients that are kept and not taken at a pair of times, and for powers of rho.
_NOT_TAKEN, _POWER_LEFT = 0.01, 1e-3
# Where all is 0: log(0) and 0 / 0 become numbers that change nothing.
_TINY = np.finfo(float).tiny


class HermiteOverlaps:
    """Hermite coefficients of one function at times 0, 1, .., and the sums over pairs of times.

    Args:
        seen: what is seen, y.
        tolerance: relative error allowed in each sum.
        exact: whether pairs that miss it are integrated; else the error says so.
        kind: "overlap" for f = y, "slope" for f = y'.
    """

    def __init__(
        self, seen: Seen, tolerance: float, exact: bool = True, kind: str = "overlap"
    ) -> None:
        self._seen, self._tolerance, self._exact, self._kind = seen, tolerance, exact, kind
        self._function = seen.functions[kind]
        self.times = 0
        self._mean, self._q, self._power = (np.zeros(64) for _ in range(3))
        self._terms = 8
        self._step = 0
        #: What the finest nodes leave in a coefficient, relative to the root of E[f^2].
        self.unresolved = 0.0
        # f_n(t), and what the terms from n on are worth in E[f^2], (terms, times).
        self._coefficients, self._tails = (np.zeros((self._terms, 64)) for _ in range(2))
        # The largest tail of any time so far, as a share of E[f^2], (terms,).
        self._worst = np.zeros(self._terms)

    def add(self, mean: float, q: float) -> None:
        """The next time: mean and variance of u."""
        t = self.times
        if t == len(self._q):
            self._mean, self._q, self._power = (
                np.concatenate([a, np.zeros(t)]) for a in (self._mean, self._q, self._power)
            )
            self._grow(0, t)
        self._mean[t], self._q[t] = mean, q
        self.times += 1
        if not self._by_integration:
            found, tails, self._power[t] = self._transform(mean, q)
            self._grow(len(found) - len(self._coefficients), 0)
            self._coefficients[: len(found), t] = found
            self._tails[:, t] = tails[-1]
            self._tails[: len(found), t] = tails
            if self._power[t] > 0:
                self._worst = np.maximum(self._worst, self._tails[:, t] / self._power[t])

    def _grow(self, terms: int, times: int) -> None:
        """Room for more terms and times."""
        if terms > 0 or times > 0:
            room = ((0, max(terms, 0)), (0, times))
            self._coefficients = np.pad(self._coefficients, room)
            self._tails = np.pad(self._tails, room, mode="edge")
            self._worst = np.pad(self._worst, room[0], mode="edge")

    @property
    def _by_integration(self) -> bool:
        """Closed forms are quicker; a kink that cannot be placed spoils every transform."""
        return self._seen.closed or (self._seen.hidden and self._exact)

    # --- coefficients --------------------------------------------------------------------------

    def _transform(self, mean: float, q: float) -> tuple[Array, Array, float]:
        """As many f_n as are above rounding, sum_{m >= n} f_m^2, and E[f^2]."""
        while True:
            found, power, resolved = self._project(mean, q)
            tails = np.cumsum((found * found)[::-1])[::-1]
            left = max(power - float(tails[0]), 0.0)
            enough = left <= max(self._tolerance * _NOT_TAKEN, _ROUNDING) * power
            if not resolved and self._step + 1 < len(_STEPS):
                self._step += 1
            elif not enough and self._terms < _MOST_TERMS:
                self._terms = min(2 * self._terms, _MOST_TERMS)
            else:
                break
        if not enough:
            return found, tails + left, power
        # Beside a law that needs many terms, what a small one leaves counts by its root.
        kept = 1 + int((tails > (_DROPPED * self._tolerance) ** 2 * power).sum())
        return found[:kept], tails[:kept], power

    def _project(self, mean: float, q: float) -> tuple[Array, float, bool]:
        """The coefficients at the present number of terms and nodes, and whether nodes agree."""
        std = math.sqrt(q)
        (z_0, coarse), (z_1, fine) = self._rules(mean, std)
        before, y = (self._function(mean + std * z) for z in (z_0, z_1))
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

    def coefficients(self, t: int) -> tuple[Array, float]:
        """f_n at time t, and the share of E[f^2] that is not in them."""
        f, power = self._coefficients[:, t], float(self._power[t])
        if self._by_integration or power <= 0:
            return f, math.inf
        return f, max(abs(power - float(f @ f)) / power, self.unresolved)

    # --- sums over pairs -----------------------------------------------------------------------

    def row(self, covariance: Array, first: int = 0) -> tuple[Array, float]:
        """E[f f] of the last time with times first, .., and the largest error over its scale.

        Args:
            covariance: of u at those times, (.., times - first).
            first: the earliest of them.
        """
        t, times = self.times - 1, slice(first, self.times)
        if self._by_integration:
            return self._integrated(covariance, np.arange(first, self.times))
        size = np.sqrt(self._q[times]) * math.sqrt(self._q[t])
        rho = np.divide(covariance, size, out=np.zeros_like(covariance), where=size > 0)
        # By rounding only: covariances of one recursion obey Cauchy and Schwarz.
        found, left = self._series(np.clip(rho, -1, 1), times)
        scale = np.sqrt(self._power[times] * self._power[t])
        share = (
            left / np.where(scale > 0, scale, 1.0) + self.unresolved + _DROPPED * self._tolerance
        )
        missed = share > self._tolerance
        if not missed.any() or not self._exact:
            return found, float(share.max())
        error = float(np.max(np.where(missed, 0.0, share)))
        at = np.nonzero(missed)
        s = first + at[-1]
        found[at], more = self._seen.average(
            self._kind, self._mean[t], self._mean[s], self._q[t], covariance[at], self._q[s]
        )
        return found, max(error, float(np.max(more / np.maximum(scale[at[-1]], _TINY))))

    def _integrated(self, covariance: Array, s: NDArray[np.int64]) -> tuple[Array, float]:
        t = self.times - 1
        found, error = self._seen.average(
            self._kind, self._mean[t], self._mean[s], self._q[t], covariance, self._q[s]
        )
        scale = float(np.abs(found).max(initial=0.0))
        return found, float(error.max()) / scale if scale > 0 else 0.0

    def _series(self, rho: Array, times: slice) -> tuple[Array, Array]:
        """The sums and what they leave out, block by block: weak correlations need few terms."""
        found, left = np.empty_like(rho), np.empty_like(rho)
        for start in range(0, rho.shape[-1], _BLOCK):
            block = slice(start, min(start + _BLOCK, rho.shape[-1]))
            at = slice(times.start + block.start, times.start + block.stop)
            found[..., block], left[..., block] = self._block(rho[..., block], at)
        return found, left

    def _block(self, rho: Array, times: slice) -> tuple[Array, Array]:
        t, strongest = self.times - 1, float(np.abs(rho).max())
        terms = self._terms_for(t)
        if strongest < 1.0:
            wanted = math.log(self._tolerance * _POWER_LEFT) / math.log(max(strongest, _TINY))
            terms = min(terms, 2 + math.ceil(wanted))
        terms = min(terms, len(self._coefficients))
        here = self._coefficients[:terms, t]
        used = np.flatnonzero(here)
        n = np.arange(used[0] if len(used) else 0, used[-1] + 1 if len(used) else 1)
        step = 2 if len(n) > 2 and not here[n[1::2]].any() else 1
        n = n[::step]
        found = power_series(here[n, None] * self._coefficients[n, times], rho, int(n[0]), step)
        left = np.sqrt(self._left(t, terms) * self._left(times, terms))
        return found, left * np.abs(rho) ** (terms - 1)

    def _terms_for(self, t: int) -> int:
        """How many terms it takes beside any time so far, even at full correlation."""
        share = self._tails[:, t] * self._worst
        return 1 + int((share > (_NOT_TAKEN * self._tolerance) ** 2 * self._power[t]).sum())

    def _left(self, times: slice | int, terms: int) -> Array:
        """What the terms from the last one used on are worth."""
        return self._tails[min(terms, len(self._tails)) - 1, times]


def power_series(products: Array, rho: Array, first: int, step: int) -> Array:
    """sum_n products[n] rho^(first + n step) by Horner's rule."""
    base = rho if step == 1 else rho**step
    total = np.broadcast_to(products[-1], rho.shape).copy()
    for row in products[-2::-1]:
        total *= base
        total += row
    return total * rho**first if first else total


def _functions(z: Any, terms: int) -> Array:
    """h_n(z) exp(-z^2 / 4) / (2 pi)^(1/4), (terms, n): bounded, by a stable recurrence."""
    found = np.zeros((terms, len(z)))
    found[0] = np.exp(-0.25 * z * z) / (2.0 * np.pi) ** 0.25
    found[1:2] = z * found[0]
    for n in range(1, terms - 1):
        found[n + 1] = (z * found[n] - math.sqrt(n) * found[n - 1]) / math.sqrt(n + 1)
    return found


def _rule(z: Any, weights: Any, terms: int) -> tuple[Array, Array]:
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
        for a, b in itertools.pairwise(ends)
    ]
    low = np.concatenate([p[:-1] for p in pieces])
    half = np.concatenate([np.diff(p) for p in pieces]) / 2
    z = (low + half)[:, None] + half[:, None] * points
    return _rule(z.ravel(), (half[:, None] * weights).ravel(), terms)
