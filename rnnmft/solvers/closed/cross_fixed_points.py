"""Stationary cross moments of two trajectories, at one fixed point of the moments.

Eq. (affine-pair), Eq. (chi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnmft.solvers.closed.fixed_points import linear_error, several_driver_roots
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.scalar_roots import scalar_roots
from rnnmft.solvers.closed.sensitivity import displaced, radius
from rnnmft.theory.notation import MomentKey

__all__ = ["CrossRoot", "cross_roots", "late_cross"]

# Of the grid c = -cos(angle), dense where the map bends most: at the ends. Pairs of roots between
# two points are found where the map comes near the diagonal (`scalar_roots`).
_ANGLES = 33
# Steps that are followed where no root is known to be reached: a slope of 0.9 leaves 2e-14.
_LATE_STEPS = 300
# Averages come out better than they are asked for: the change that met the tolerance is squared.
_NOISE = 0.1
# Correlations from which Newton's method starts: denser towards 1, where the map bends.
_STARTS = (-0.9, -0.5, 0.0, 0.3, 0.6, 0.9, 0.99, 1.0)
# A root may exceed Cauchy and Schwarz by this, a hundred times what its averages are computed to.
_BEYOND = 1e-9
# A point counts as the end c = +-1 within 50 eps, and a gap as none within what averages leave
# there.
_AT_END, _CLOSED = 1e-14, 1e-9
# Moments that move by less than this part stand still: 500 eps.
_STILL = 1e-13


@dataclass(frozen=True)
class CrossRoot:
    """Stationary cross moments (n,), spectral radius of their map there, error bounds."""

    cross: Array
    slope: float
    errors: Array
    slope_error: float


def cross_roots(
    recursion: UntiedRecursion, point: Point, moments: Array, errors: Array
) -> list[CrossRoot]:
    """All fixed points of the cross moments where the moments are stationary.

    Args:
        recursion: of the cell.
        point: one parameter point (batch of 1).
        moments: the stationary moments, (n,).
        errors: their error bounds, (n,).
    """
    count, drivers = len(recursion.cross_keys), recursion.cross_drivers

    def stationary(driver: Array) -> Array:
        size = driver.shape[-1]
        cross = np.zeros((count, size))
        cross[drivers] = driver
        return recursion.cross_stationary(cross, np.repeat(moments[:, None], size, 1), point)

    limits = np.array([_limit(recursion, point, recursion.cross_keys[i], moments) for i in drivers])
    if not drivers:
        found = [stationary(np.zeros((0, 1)))[:, 0]]
        found = [m for m in found if np.isfinite(m).all()]
    elif len(drivers) == 1:
        found = _one_driver(stationary, drivers[0], float(limits[0]), _NOISE * recursion.rtol)
    else:
        starts = [c * limits for c in _STARTS]
        found = several_driver_roots(stationary, drivers, starts)
        found = [c for c in found if (np.abs(c[drivers]) <= limits * (1 + _BEYOND)).all()]
    return [_cross_root(recursion, point, moments, errors, c) for c in found]


def _limit(recursion: UntiedRecursion, point: Point, key: MomentKey, moments: Array) -> float:
    """The largest |E[u_a v_b]|: sqrt(E[u^2] E[v^2]), by Cauchy and Schwarz."""
    squares = [tuple(2 * power for power in side) for side in key]
    second = [recursion.moment_value((s,), moments[:, None], point)[0] for s in squares]
    return float(np.sqrt(np.prod(second)))


def _one_driver(
    stationary: Callable[[Array], Array], at: int, limit: float, rounding: float
) -> list[Array]:
    angle = np.linspace(0.0, np.pi, _ANGLES)
    grid = np.unique(np.concatenate([-limit * np.cos(angle), [-limit, 0.0, limit]]))

    def gap(c: Array) -> Array:
        away = stationary(c[None])[at] - c
        # At c = +-1 the pair is one trajectory: a gap of rounding size there is a root.
        at_end = np.abs(np.abs(c) - limit) <= _AT_END * limit
        return np.where(at_end & (np.abs(away) < _CLOSED * limit), 0.0, away)

    return [stationary(np.array([[c]]))[:, 0] for c in scalar_roots(gap, grid, rounding)]


def _cross_root(
    recursion: UntiedRecursion, point: Point, moments: Array, errors: Array, cross: Array
) -> CrossRoot:
    """The root, with the errors of the moments carried through."""
    by, factor = displaced(moments, errors)
    single = np.stack([moments, moments + by], axis=1)
    pair = np.repeat(cross[:, None], 2, axis=1)
    new, added, *_ = recursion.cross_step(pair, single, point)
    matrices = recursion.cross_slope(pair, single, point)
    residual = np.abs(new[:, 0] - cross) + added[:, 0] + factor * np.abs(new[:, 1] - new[:, 0])
    own = linear_error(matrices[0], residual)
    cross_by, cross_factor = displaced(cross, own)
    inward = cross - np.where(cross < 0, -cross_by, cross_by)
    beside = recursion.cross_slope(inward[:, None], moments[:, None], point)
    slopes = radius(np.concatenate([matrices, beside]))
    slope_error = factor * abs(slopes[1] - slopes[0]) + cross_factor * abs(slopes[2] - slopes[0])
    slope_error += added[:, 0].max(initial=0.0) + recursion.rtol * slopes[0]
    return CrossRoot(cross, float(slopes[0]), own, float(slope_error))


def late_cross(recursion: UntiedRecursion, point: Point, moments: Array, cross: Array) -> Array:
    """The cross moments after many steps from given moments and cross moments."""
    for _ in range(_LATE_STEPS):
        new_cross = recursion.cross_step(cross[:, None], moments[:, None], point)[0][:, 0]
        new = recursion.step(moments[:, None], point)[0][:, 0]
        moved = max(np.abs(new_cross - cross).max(), np.abs(new - moments).max())
        moments, cross = new, new_cross
        if moved <= _STILL * np.abs(moments).max():
            break
    return cross
