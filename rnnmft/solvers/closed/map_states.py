"""Every fixed point of a map with its stability and errors, and which one the start reaches.

One fixed point that is stable is the one that is reached, as is one at which the start already
stands. Of several, where the moments' map is one that grows, the start rises or falls to the next;
elsewhere its path is followed until it is far nearer to one than to any other.

Eq. (fixed-point).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.closed.map_roots import map_roots
from rnnmft.solvers.closed.reached_grid import Reached, spectral_radius
from rnnmft.solvers.closed.recursion import Array, Point
from rnnmft.solvers.closed.tabulated import TabulatedRecursion

__all__ = ["MapStates", "linear_errors", "map_states"]

Rows = NDArray[np.intp]
Flags = NDArray[np.bool_]

# Points between a start and a fixed point at which the map is seen to grow, and by how much it may
# seem to fall from rounding.
_BETWEEN, _ROUNDING = np.linspace(0.0, 1.0, 17), 1e-12
# Steps of a path, looked at every so many; it ends so many times nearer to one root than to any.
_STEPS, _EVERY, _NEAREST = 4000, 20, 0.05
# Steps of a path with nowhere to go: what grows by 5 % a step, from 1, has left every bound.
_LEAVING = 400
# What a start may move by, of its size, and be at rest: 500 eps.
_RESTING = 1e-13
# Fixed points nearer than this part are one: a hundredth of what `map_roots` tells apart.
_SAME = 1e-9
# Where a moment that grows is looked at, and the part of it that it must grow by in a step.
_FAR, _MARGINAL = 1e8, 1e-6
# 1 - slope is not known to better than this, and an error above this part is none.
_LEAST_GAP, _CERTAIN = 1e-12, 1e-6


@dataclass(frozen=True, eq=False)
class MapStates:
    """The fixed points of a map, by point and increasing driver.

    Attributes:
        rows: flat index of the point, (r,).
        rank: 0, 1, .. among those of its point, (r,).
        moments, errors: (n, r).
        slope: spectral radius of the moment map, (r,).
        reached: whether the start ends there, (r,).
        diverged: points from which the moments leave every bound, (B,).
    """

    rows: Rows
    rank: Rows
    moments: Array
    errors: Array
    slope: Array
    reached: Flags
    diverged: Flags

    @property
    def certain(self) -> Flags:
        """Which of them are known well, (r,)."""
        size = np.abs(self.moments).max(axis=0)
        return self.errors.max(axis=0) <= _CERTAIN * size

    def as_reached(self) -> Reached:
        """The ones that the start reaches, (B,)."""
        size = len(self.diverged)
        chosen = np.flatnonzero(self.reached & self.certain)
        at = self.rows[chosen]
        values = np.zeros((len(self.moments), size))
        errors = np.full((len(self.moments), size), np.inf)
        slope, certain = np.full(size, np.nan), np.zeros(size, dtype=bool)
        values[:, at], errors[:, at] = self.moments[:, chosen], self.errors[:, chosen]
        slope[at], certain[at] = self.slope[chosen], True
        return Reached(values, slope, errors, certain, self.diverged)


def map_states(
    recursion: TabulatedRecursion, point: Point, shape: tuple[int, ...], start: Array
) -> MapStates:
    """All fixed points of a map.

    Args:
        recursion: the recursion, by tables.
        point: arrays that broadcast to `shape`.
        shape: of the map.
        start: moments at t = 0, (n, B).
    """
    flat = {
        s: np.broadcast_to(v, shape).reshape(-1)
        for s, v in point.items()
        if s in recursion.exact.parameters
    }
    found = map_roots(recursion, point, shape)
    order = np.lexsort((found.driver, found.rows))
    rows, driver = found.rows[order], found.driver[order]
    same = (np.diff(rows) == 0) & (np.diff(driver) <= _SAME * driver[1:])
    keep = np.concatenate([[True], ~same]) if len(rows) else np.zeros(0, dtype=bool)
    rows, driver = rows[keep], driver[keep]
    moments, errors, slope = _at_roots(recursion, {s: v[rows] for s, v in flat.items()}, driver)
    first = np.searchsorted(rows, rows)
    states = MapStates(
        rows,
        np.arange(len(rows)) - first,
        moments,
        errors,
        slope,
        np.zeros(len(rows), dtype=bool),
        np.zeros(start.shape[1], dtype=bool),
    )
    _choose(recursion, flat, start, states)
    none = np.setdiff1d(found.rising, rows)
    if len(moments) == 1 and len(none):
        # One moment that is below what is stationary at it grows, as far as the grid goes; by less
        # than a part of itself where the map is critical, which is another question.
        far = recursion.stepped(
            np.full((1, len(none)), _FAR), {s: v[none] for s, v in flat.items()}
        )[0]
        states.diverged[none] = far > (1.0 + _MARGINAL) * _FAR
    without = np.ones(len(states.diverged), dtype=bool)
    without[rows[states.reached | (slope < 1.0)]] = False
    _leave(recursion, flat, start, states, np.flatnonzero(without & ~states.diverged))
    return states


def _at_roots(
    recursion: TabulatedRecursion, point: Point, driver: Array
) -> tuple[Array, Array, Array]:
    """Moments, their errors and the map's spectral radius."""
    moments = np.stack(recursion.stationary(driver, point).moments)
    new, own = recursion.step(moments, point)
    matrices, _ = recursion.slope(moments, point)
    residual = np.abs(new - moments) + own
    return moments, linear_errors(matrices, residual), spectral_radius(matrices)


def linear_errors(matrices: Array, residual: Array) -> Array:
    """|(1 - slope)^{-1}| residual, (n, B)."""
    if len(residual) == 1:
        gap = np.maximum(np.abs(1.0 - matrices[:, 0, 0]), _LEAST_GAP)
        return residual / gap
    system = np.eye(len(residual)) - matrices
    flat = ~(np.abs(np.linalg.det(system)) > _LEAST_GAP)
    system[flat] = np.eye(len(residual))
    errors = (np.abs(np.linalg.inv(system)) @ residual.T[..., None])[..., 0].T
    return np.where(flat, np.inf, errors)


# --- which one is reached ------------------------------------------------------------------------


def _choose(recursion: TabulatedRecursion, flat: Point, start: Array, states: MapStates) -> None:
    """Mark in `states.reached` the fixed points that the start ends at."""
    rows, reached = states.rows, states.reached
    at = start[:, rows]
    away = np.abs(states.moments - at).max(axis=0, initial=0.0)
    resting = away <= _RESTING * np.abs(at).max(axis=0, initial=0.0)
    reached[resting] = True
    count = np.bincount(rows, minlength=start.shape[1])
    settled = np.zeros(start.shape[1], dtype=bool)
    settled[rows[resting]] = True
    stable = states.slope < 1.0
    reached |= (count[rows] == 1) & stable & ~settled[rows]
    several = np.flatnonzero((count > 1) & ~settled)
    if not len(several):
        return
    if len(states.moments) == 1:
        several = _next_one(recursion, flat, start[0], states, several)
    _followed(recursion, flat, start, states, several)


def _next_one(
    recursion: TabulatedRecursion, flat: Point, start: Array, states: MapStates, several: Rows
) -> Rows:
    """Where one moment's map grows up to the next fixed point that is the end; returns the rest."""
    first = np.searchsorted(states.rows, several)
    count = np.searchsorted(states.rows, several, side="right") - first
    below = np.zeros(len(several), dtype=np.intp)
    for k in range(int(count.max())):
        has = k < count
        at = states.moments[0][np.minimum(first + k, len(states.rows) - 1)]
        below += has & (at <= start[several])
    point = {s: v[several] for s, v in flat.items()}
    rises = recursion.gap(start[several], point) > 0.0
    target = first + np.where(rises, below, below - 1)
    inside = (target >= first) & (target < first + count)
    target = np.where(inside, target, first)
    end = states.moments[0][target]
    path = start[several] + (end - start[several]) * _BETWEEN[:, None]
    many = {s: np.tile(v, len(_BETWEEN)) for s, v in point.items()}
    new = recursion.stepped(path.reshape(1, -1), many).reshape(path.shape)
    moved = np.diff(new, axis=0) * np.sign(end - start[several])
    grows = (moved >= -_ROUNDING * np.abs(end)).all(axis=0)
    sure = inside & grows & (states.slope[target] < 1.0)
    states.reached[target[sure]] = True
    return several[~sure]


def _followed(
    recursion: TabulatedRecursion, flat: Point, start: Array, states: MapStates, several: Rows
) -> None:
    """Follow the paths of the points until each is nearest to one stable fixed point."""
    values, left = start[:, several], several
    point = {s: v[left] for s, v in flat.items()}
    for taken in range(_STEPS):
        if not len(left):
            return
        values = recursion.stepped(values, point)
        if taken % _EVERY != _EVERY - 1:
            continue
        best, ratio = _nearest(states, left, values)
        near = (ratio < _NEAREST) & (states.slope[best] < 1.0)
        states.reached[best[near]] = True
        values, left = values[:, ~near], left[~near]
        point = {s: v[left] for s, v in flat.items()}


def _leave(
    recursion: TabulatedRecursion, flat: Point, start: Array, states: MapStates, points: Rows
) -> None:
    """Mark the points whose paths leave every bound, by steps that grow until they do."""
    left, before, step = points, start[:, points], np.zeros(len(points))
    for _ in range(_LEAVING):
        if not len(left):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            values = recursion.stepped(before, {s: v[left] for s, v in flat.items()})
            last, step = step, np.abs(values - before).max(axis=0)
            size = np.abs(values).max(axis=0)
        states.diverged[left[(size > _FAR) & (step > last)]] = True
        inside = size <= _FAR
        left, before, step = left[inside], values[:, inside], step[inside]


def _nearest(states: MapStates, points: Rows, values: Array) -> tuple[Rows, Array]:
    """The nearest fixed point of each point, and its distance over that of the second nearest."""
    first = np.searchsorted(states.rows, points)
    count = np.searchsorted(states.rows, points, side="right") - first
    best, least = first.copy(), np.full(len(points), np.inf)
    second = least.copy()
    for k in range(int(count.max())):
        at = np.minimum(first + k, len(states.rows) - 1)
        distance = np.abs(states.moments[:, at] - values).max(axis=0)
        distance = np.where(k < count, distance, np.inf)
        second = np.minimum(second, np.maximum(distance, least))
        best = np.where(distance < least, at, best)
        least = np.minimum(least, distance)
    with np.errstate(invalid="ignore", divide="ignore"):
        return best, least / second
