"""Fixed points of the untied recursion: all of them, each with its stability.

At given preactivation variances the moments of an affine cell solve a linear system, so a fixed
point is a root in the few moments that feed the variances (the drivers; one, for most cells). With
one driver every root is bracketed on a logarithmic grid, near-tangencies are refined, and brackets
are closed by Chandrupatla's method; with several, Newton starts from many points.

Eq. (fixed-point).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root

from rnnmft.errors import Status
from rnnmft.numerics.compile import STATUSES
from rnnmft.solvers.closed.bounds import largest_square
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.scalar_roots import scalar_roots
from rnnmft.solvers.closed.sensitivity import radius
from rnnmft.theory.notation import MomentKey

__all__ = ["Root", "linear_error", "reached_from", "roots", "several_driver_roots"]

# Where roots are bracketed: second moments from rounding to what no bounded cell reaches, 24 a
# decade.
_GRID = np.concatenate([[0.0], np.geomspace(1e-12, 1e8, 481)])
# Steps of a path: of one that must pick among roots, and of one without roots to pick from.
_MOST_STEPS, _GROWTH_STEPS = 4000, 400
# Steps to a first start, where several drivers have no grid.
_FIRST_STEPS = 200
# Steps of a path that shrink by less than this a step do not end: over 400 of them, by a third.
_SHRINKING = 0.999
# Newton's tolerance, what a root must close to, and how far apart two are two; of 1 + the moments.
_NEWTON, _CLOSED, _DISTINCT = 1e-13, 1e-10, 1e-6
# Even moments may be negative by what Newton's method leaves of 0.
_NEGATIVE = 1e-12
# Moments that move by less than this part (50 eps) stand still.
_STILL = 1e-14
# A start is followed until a root is so many times nearer than any other, looked at every so many
# steps; in the end twice is enough.
_NEAREST, _EVERY, _AT_LAST = 0.05, 20, 0.5
# A gap where there is no stationary state: far above any that is one, and a number.
_NO_STATE = 1e10
# Relative to the moments: what moves by less (500 eps) is at rest, and at the fixed point that is
# so near: closer than `_DISTINCT` there is one.
_RESTING, _SAME = 1e-13, 1e-6
# A second moment that is nearly zero: beside it derivatives exist, and moments are linear in it.
_BESIDE = 1e-14
# Second halves of paths that rise end higher than first halves reach: twice, where they are linear.
_RISEN = 1.1
# A second moment is at most the largest square of its state, which `bounds` finds far better than
# to this factor.
_MARGIN = 1.1


@dataclass(frozen=True)
class Root:
    """A fixed point: moments (n,), spectral radius of the map there, error bounds (n,), status."""

    moments: Array
    slope: float
    errors: Array
    status: Status = Status.OK

    @property
    def error(self) -> float:
        """The largest error bound of the moments."""
        return float(self.errors.max(initial=0.0))

    @property
    def stable(self) -> bool:
        """Whether the recursion approaches it."""
        return self.slope < 1.0


def roots(recursion: UntiedRecursion, point: Point) -> list[Root]:
    """All fixed points at one parameter point (batch of 1), by increasing second moment.

    Eq. (fixed-point).
    """
    count, drivers = len(recursion.keys), recursion.drivers

    def stationary(driver: Array) -> Array:
        moments = np.zeros((count, driver.shape[-1]))
        moments[drivers] = driver
        return recursion.stationary(moments, point)

    if not drivers:
        found = [stationary(np.zeros((0, 1)))[:, 0]]
        found = [m for m in found if np.isfinite(m).all()]
    elif len(drivers) == 1:
        at = drivers[0]
        largest = _MARGIN * largest_square(recursion.derivation.cell)
        grid = _GRID[: np.searchsorted(_GRID, largest) + 1]
        scalar = scalar_roots(lambda q: stationary(q[None])[at] - q, grid)
        found = [stationary(np.array([[q]]))[:, 0] for q in scalar]
    else:
        starts = _starts([recursion.keys[i] for i in drivers])
        starts.append(_followed(recursion, point, np.zeros(count), _FIRST_STEPS)[0][drivers])
        found = several_driver_roots(stationary, drivers, starts)
        found = [m for m in found if _admissible(recursion, m)]
    return [_root(recursion, point, m) for m in sorted(found, key=tuple)]


def _root(recursion: UntiedRecursion, point: Point, moments: Array) -> Root:
    even = np.array([_even(key) for key in recursion.keys])
    # At a kink a vanishing variance has no slope; what lies beside it has, and decides.
    beside = np.where(even & (moments == 0.0), _BESIDE, moments)
    matrix = recursion.slope(beside[:, None], point)[0]
    new, error, _, status, _ = recursion.step(moments[:, None], point)
    residual = np.abs(new[:, 0] - moments) + error[:, 0]
    slope = float(radius(matrix[None])[0])
    return Root(moments, slope, linear_error(matrix, residual), STATUSES[int(status[0])])


def linear_error(slope: Array, residual: Array) -> Array:
    """|(1 - slope)^{-1}| residual: the error bound of a fixed point; inf where that is singular."""
    try:
        inverse = np.linalg.inv(np.eye(len(residual)) - slope)
    except np.linalg.LinAlgError:
        return np.full(len(residual), np.inf)
    return np.abs(inverse) @ residual


# --- several drivers -----------------------------------------------------------------------------


def _starts(drivers: list[MomentKey]) -> list[Array]:
    """Starting points: even moments at one size, odd ones (means) at nothing or half its root."""
    even = np.array([_even(key) for key in drivers])
    return [
        np.where(even, size, sign * 0.5 * np.sqrt(size))
        for size in np.geomspace(1e-3, 1e2, 11)
        for sign in ((0.0,) if even.all() else (0.0, 1.0, -1.0))
    ]


def _even(key: MomentKey) -> bool:
    return all(power % 2 == 0 for side in key for power in side)


def several_driver_roots(
    stationary: Callable[[Array], Array], drivers: list[int], starts: list[Array]
) -> list[Array]:
    """The distinct solutions of stationary(d)[drivers] = d that Newton finds from the starts."""

    def gap(driver: Array) -> Array:
        away = stationary(driver[:, None])[drivers, 0] - driver
        # Without a stationary state there is no root: any large number sends Newton back, and what
        # it returns must close to count.
        return np.nan_to_num(away, nan=_NO_STATE, posinf=_NO_STATE, neginf=-_NO_STATE)

    found: list[Array] = []
    for start in starts:
        if not np.isfinite(start).all():
            continue
        solved = root(gap, start, tol=_NEWTON)
        moments = stationary(solved.x[:, None])[:, 0]
        if not np.isfinite(moments).all():
            continue
        scale = 1.0 + np.abs(moments).max()
        closed = np.abs(moments[drivers] - solved.x).max() < _CLOSED * scale
        if closed and all(np.abs(moments - m).max() > _DISTINCT * scale for m in found):
            found.append(moments)
    return found


def _admissible(recursion: UntiedRecursion, moments: Array) -> bool:
    """Whether the even moments are not negative."""
    even = np.array([_even(key) for key in recursion.keys])
    return bool((moments[even] >= -_NEGATIVE).all())


# --- which one is reached ------------------------------------------------------------------------


def _path(recursion: UntiedRecursion, point: Point, moments: Array, steps: int) -> Iterator[Array]:
    """The moments after 1, 2, .. updates; ends early where they overflow or stop moving."""
    for _ in range(steps):
        new = recursion.step(moments[:, None], point)[0][:, 0]
        if not np.isfinite(new).all():
            yield np.full_like(moments, np.inf)
            return
        yield new
        if np.abs(new - moments).max() <= _STILL * np.abs(new).max():
            return
        moments = new


def _followed(
    recursion: UntiedRecursion, point: Point, moments: Array, steps: int
) -> tuple[Array, bool]:
    """The last moments of the path, and whether it was still rising at the end.

    Rising are moments beyond all that were there in the path's first half, step by step, by steps
    that do not get shorter: those of a mean that changes its sign at every step rise and fall. The
    path ends where they leave the range that is searched.
    """
    before, last, growing, rising, early = moments, moments, False, False, 0.0
    for taken, new in enumerate(_path(recursion, point, moments, steps)):
        growing = not np.abs(new - last).max() < _SHRINKING * np.abs(last - before).max()
        rising = np.abs(before).max() < np.abs(last).max() < np.abs(new).max()
        before, last = last, new
        if taken < steps // 2:
            early = max(early, np.abs(new).max())
        if growing and np.abs(new).max() > _GRID[-1]:
            return last, True
    return last, growing and rising and np.abs(last).max() > _RISEN * early


def reached_from(
    recursion: UntiedRecursion, point: Point, found: list[Root], start: Array
) -> tuple[Root | None, Status]:
    """The fixed point that the recursion approaches from a start, and whether that is certain.

    Where it comes to rest at an unstable one that is the answer, with `Status.UNSTABLE`: the zero
    state of an autonomous cell stays zero, whatever would happen beside it.
    """
    if not np.isfinite(recursion.step(start[:, None], point).new).all():
        return None, Status.DIVERGES  # 0 / 0 of averages over units, at the zero state
    at_rest = _at_rest(recursion, point, found, start)
    if at_rest is not None and not at_rest.stable:
        return at_rest, Status.UNSTABLE
    stable = [r for r in found if r.stable]
    if len(found) == 1 and stable:
        return stable[0], stable[0].status
    if stable:
        last, near = _approached(recursion, point, found, start)
        if near is not None:
            return near, near.status
        growing = False
    elif not found and _rises_at_the_end(recursion, point):
        return None, Status.DIVERGES
    else:
        last, growing = _followed(recursion, point, start, _GROWTH_STEPS)
    if not np.isfinite(last).all() or growing:
        return None, Status.DIVERGES
    at_rest = _at_rest(recursion, point, found, last)
    if at_rest is not None:
        return at_rest, at_rest.status if at_rest.stable else Status.UNSTABLE
    if not stable:
        return None, Status.NO_FIXED_POINT
    return min(stable, key=lambda r: float(np.abs(r.moments - last).max())), Status.STALLED


def _rises_at_the_end(recursion: UntiedRecursion, point: Point) -> bool:
    """Whether one moment at the end of the grid is moved beyond it.

    Without a fixed point up to there it then rises from wherever it starts, and leaves the grid.
    """
    end = _GRID[-1:, None]
    if len(recursion.keys) > 1:
        return False
    new, error, *_ = recursion.step(end, point)
    return bool((new - error > end).all())


def _approached(
    recursion: UntiedRecursion, point: Point, found: list[Root], start: Array
) -> tuple[Array, Root | None]:
    """Where the path from a start ends, and the stable fixed point that it comes near to."""
    last = start
    for taken, moments in enumerate(_path(recursion, point, start, _MOST_STEPS)):
        last = moments
        if not np.isfinite(moments).all():
            return last, None
        if taken % _EVERY == _EVERY - 1:
            nearest = _nearest(found, moments, _NEAREST)
            if nearest is not None and nearest.stable:
                return last, nearest
    nearest = _nearest(found, last, _AT_LAST)
    return last, nearest if nearest is not None and nearest.stable else None


def _at_rest(
    recursion: UntiedRecursion, point: Point, found: list[Root], moments: Array
) -> Root | None:
    """The fixed point at which the moments no longer move."""
    size = np.abs(moments).max(initial=0.0)
    new = recursion.step(moments[:, None], point)[0][:, 0]
    if not np.abs(new - moments).max(initial=0.0) <= _RESTING * size:
        return None
    return next((r for r in found if np.abs(r.moments - moments).max() <= _SAME * size), None)


def _nearest(found: list[Root], moments: Array, ratio: float) -> Root | None:
    """The nearest fixed point, if it is nearer than `ratio` times the second nearest."""
    distance = [float(np.abs(r.moments - moments).max()) for r in found]
    order = np.argsort(distance)
    first, second = (distance[i] for i in order[:2])
    return found[order[0]] if first < ratio * second else None
