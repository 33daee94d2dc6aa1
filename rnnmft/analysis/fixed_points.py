"""Fixed points of the untied recursion: all of them, each with its stability.

At given preactivation variances the moments of an affine cell solve a linear system, so a fixed
point is a root in the few moments that feed the variances (the drivers; one, for most cells). With
one driver every root is bracketed on a logarithmic grid, near-tangencies are refined, and brackets
are closed by Chandrupatla's method; with several, Newton starts from many points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root
from scipy.optimize.elementwise import find_root

from rnnmft.analysis.untied import Array, Point, UntiedRecursion
from rnnmft.errors import Status

__all__ = ["Root", "cross_roots", "reached_from_zero", "roots"]

_GRID = np.concatenate([[0.0], np.geomspace(1e-12, 1e8, 481)])
_ZERO_STEPS = 4000


@dataclass(frozen=True)
class Root:
    """One fixed point: its moments (n,), the spectral radius of the map there, and an error bound."""

    moments: Array
    slope: float
    error: float

    @property
    def stable(self) -> bool:
        """Whether the recursion approaches it."""
        return self.slope < 1.0


def _spread(point: Point, count: int) -> Point:
    """The single point of a batch of one, repeated."""
    return {s: np.repeat(v, count) for s, v in point.items()}


def roots(recursion: UntiedRecursion, point: Point) -> list[Root]:
    """All fixed points at one parameter point (batch of 1), by increasing second moment."""
    count = len(recursion.keys)

    def stationary(driver: Array) -> Array:
        moments = np.zeros((count, driver.shape[-1]))
        moments[recursion.drivers] = driver
        return recursion.stationary(moments, _spread(point, driver.shape[-1]))

    if not recursion.drivers:
        found = [stationary(np.zeros((0, 1)))[:, 0]]
        found = [m for m in found if np.isfinite(m).all()]
    elif len(recursion.drivers) == 1:
        at = recursion.drivers[0]
        scalar = _scalar_roots(lambda q: stationary(q[None])[at] - q, _GRID)
        found = [stationary(np.array([[q]]))[:, 0] for q in scalar]
    else:
        found = _newton_roots(recursion, point, stationary)
    return [_root(recursion, point, m) for m in sorted(found, key=lambda m: tuple(m))]


def _root(recursion: UntiedRecursion, point: Point, moments: Array) -> Root:
    slope = float(np.abs(np.linalg.eigvals(recursion.slope(moments[:, None], point)[0])).max())
    new, error, _, _ = recursion.step(moments[:, None], point)
    residual = np.abs(new[:, 0] - moments) + error[:, 0]
    return Root(moments, slope, float(residual.max() / max(abs(1.0 - slope), 1e-12)))


def _scalar_roots(gap: Callable[[Array], Array], grid: Array) -> list[float]:
    """Roots of a scalar function: brackets on a grid, refined where it comes near zero."""
    x, f = grid, gap(grid)
    for _ in range(3):
        extra = _near_tangencies(x, f)
        if not len(extra):
            break
        x = np.concatenate([x, extra])
        f = np.concatenate([f, gap(extra)])
        order = np.argsort(x)
        x, f = x[order], f[order]
    found = [float(v) for v in x[f == 0.0]]
    change = np.isfinite(f[:-1]) & (f[:-1] * f[1:] < 0)
    low, high = x[:-1][change], x[1:][change]
    if len(low):
        # A bracket may end in a region without a stationary state (gap = +inf): shrink it there.
        result = find_root(
            lambda v: np.nan_to_num(gap(np.atleast_1d(v)), posinf=1e300),
            (low, high),
            tolerances={"xrtol": 1e-14, "xatol": 1e-300},
        )
        found += [float(v) for v in np.atleast_1d(result.x) if np.isfinite(gap(np.array([v])))[0]]
    return sorted(found)


def _near_tangencies(x: Array, f: Array) -> Array:
    """Points around interior extrema of f / x that approach zero without crossing it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(x > 0, f / x, np.nan)
    middle, left, right = ratio[1:-1], ratio[:-2], ratio[2:]
    size = np.abs(middle)
    near = (size < np.abs(left)) & (size <= np.abs(right)) & (size < 0.3)
    near &= (np.sign(left) == np.sign(middle)) & (np.sign(right) == np.sign(middle))
    spots = np.flatnonzero(near) + 1
    pieces = [np.linspace(x[i - 1], x[i + 1], 26)[1:-1] for i in spots]
    return np.setdiff1d(np.concatenate(pieces), x) if pieces else np.empty(0)


def _newton_roots(
    recursion: UntiedRecursion, point: Point, stationary: Callable[[Array], Array]
) -> list[Array]:
    """Roots in several drivers by Newton's method from a spread of starting points."""
    drivers = recursion.drivers
    starts = [np.full(len(drivers), s) for s in np.geomspace(1e-3, 1e2, 11)]
    starts.append(reached_moments(recursion, point, 200)[drivers])
    found: list[Array] = []
    for start in starts:
        solved = root(lambda v: _finite(stationary(v[:, None])[drivers, 0] - v), start, tol=1e-13)
        moments = stationary(solved.x[:, None])[:, 0]
        if not np.isfinite(moments).all():
            continue
        gap = np.abs(moments[drivers] - solved.x).max()
        new = all(np.abs(moments - m).max() > 1e-6 * (1 + np.abs(m).max()) for m in found)
        if gap < 1e-10 * (1 + np.abs(solved.x).max()) and new and _admissible(recursion, moments):
            found.append(moments)
    return found


def _finite(values: Array) -> Array:
    return np.nan_to_num(values, posinf=1e10, neginf=-1e10)


def _admissible(recursion: UntiedRecursion, moments: Array) -> bool:
    """Whether the even moments are not negative."""
    even = [all(e % 2 == 0 for side in key for e in side) for key in recursion.keys]
    return bool((moments[even] >= -1e-12).all())


def reached_moments(recursion: UntiedRecursion, point: Point, steps: int) -> Array:
    """The moments after a number of updates from the zero state; inf where they overflow."""
    moments = np.zeros((len(recursion.keys), 1))
    for _ in range(steps):
        new = recursion.step(moments, point)[0]
        if not np.isfinite(new).all():
            return np.full(len(recursion.keys), np.inf)
        if np.abs(new - moments).max() <= 1e-13 * np.abs(new).max():
            break
        moments = new
    return moments[:, 0]


def reached_from_zero(
    recursion: UntiedRecursion, point: Point, found: list[Root]
) -> tuple[Root | None, Status]:
    """The fixed point that the zero state approaches, and whether that is certain."""
    stable = [r for r in found if r.stable]
    if not stable:
        grown = reached_moments(recursion, point, 400)
        rising = not np.isfinite(grown).all() or grown.max() > 1e6
        return None, Status.DIVERGES if rising or not found else Status.NO_FIXED_POINT
    if len(found) == 1:
        return stable[0], Status.OK
    moments = np.zeros((len(recursion.keys), 1))
    for taken in range(_ZERO_STEPS):
        moments = recursion.step(moments, point)[0]
        if not np.isfinite(moments).all():
            return None, Status.DIVERGES
        if taken % 20 == 19:
            distance = [float(np.abs(r.moments - moments[:, 0]).max()) for r in found]
            nearest = int(np.argmin(distance))
            others = [d for i, d in enumerate(distance) if i != nearest]
            if found[nearest].stable and distance[nearest] < 0.05 * min(others):
                return found[nearest], Status.OK
    return min(stable, key=lambda r: float(np.abs(r.moments - moments[:, 0]).max())), Status.STALLED


def cross_roots(
    recursion: UntiedRecursion, point: Point, moments: Array
) -> list[tuple[Array, float, float]]:
    """All fixed points of the cross moments at a fixed point: (cross moments, slope, error)."""
    count, drivers = len(recursion.cross_keys), recursion.cross_drivers

    def stationary(driver: Array) -> Array:
        size = driver.shape[-1]
        cross = np.zeros((count, size))
        cross[drivers] = driver
        single = np.repeat(moments[:, None], size, axis=1)
        return recursion.cross_stationary(cross, single, _spread(point, size))

    if not drivers:
        found = [stationary(np.zeros((0, 1)))[:, 0]]
    elif len(drivers) == 1:
        at = drivers[0]
        limit = float(moments[recursion.keys.index(_same(recursion.cross_keys[at]))])
        angle = np.linspace(0.0, np.pi, 121)
        grid = np.unique(np.concatenate([-limit * np.cos(angle), [0.0]]))
        scalar = _scalar_roots(lambda c: _ends(stationary(c[None])[at] - c, c, limit), grid)
        found = [stationary(np.array([[c]]))[:, 0] for c in scalar]
    else:
        found = _cross_newton(stationary, drivers, moments, recursion)
    results = []
    for cross in found:
        matrix = recursion.cross_slope(cross[:, None], moments[:, None], point)[0]
        slope = float(np.abs(np.linalg.eigvals(matrix)).max())
        new, error, _, _ = recursion.cross_step(cross[:, None], moments[:, None], point)
        residual = float((np.abs(new[:, 0] - cross) + error[:, 0]).max())
        results.append((cross, slope, residual / max(abs(1.0 - slope), 1e-12)))
    return results


def _ends(gap: Array, c: Array, limit: float) -> Array:
    """At c = +-1 the pair is one trajectory: a gap of rounding size there is a root."""
    at_end = np.abs(np.abs(c) - limit) <= 1e-14 * limit
    return np.where(at_end & (np.abs(gap) < 1e-9 * limit), 0.0, gap)


def _same(key: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """The one-trajectory moment that a cross moment becomes when the trajectories coincide."""
    return (tuple(map(sum, zip(*key, strict=True))),)


def _cross_newton(
    stationary: Callable[[Array], Array],
    drivers: list[int],
    moments: Array,
    recursion: UntiedRecursion,
) -> list[Array]:
    same = [recursion.keys.index(_same(recursion.cross_keys[i])) for i in drivers]
    limit = moments[same]
    found: list[Array] = []
    for c in (-0.9, -0.5, 0.0, 0.3, 0.6, 0.9, 0.99, 1.0):
        solved = root(lambda v: _finite(stationary(v[:, None])[drivers, 0] - v), c * limit, tol=1e-13)
        cross = stationary(solved.x[:, None])[:, 0]
        if not np.isfinite(cross).all() or np.abs(cross[drivers] - solved.x).max() > 1e-9:
            continue
        if (np.abs(cross[drivers]) > np.abs(limit) * (1 + 1e-9)).any():
            continue
        if all(np.abs(cross - other).max() > 1e-7 for other in found):
            found.append(cross)
    return found
