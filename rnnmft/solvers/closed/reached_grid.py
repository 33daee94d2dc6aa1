"""The fixed point that a start reaches, for a whole batch of parameters at once.

The recursion takes some steps from there, Newton's method finishes, and the result is believed only
where further steps of the recursion come closer to it at the rate of the map's slope. The rest
(several fixed points, near criticality) is left to the search one point at a time.

Eq. (fixed-point).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reached", "reach", "spectral_radius"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]

# Steps before Newton's method, and more of them to see the distance shrink; what is still open
# after the first round (slow, or growing) takes the second.
_ROUNDS = ((16, 12), (120, 60))
# Newton's steps: from where a path is late they square their error; the rest is left to the scalar
# way.
_NEWTON = 14
# Of moments; Newton's method goes on to a thousandth of it.
_RTOL, _LAST_STEP = 1e-10, 1e-3
# Moments from which on a point counts as divergent: ten times the last of the grid of roots.
_HUGE = 1e9
# Below this determinant the linear equation is as good as singular: a plain step is taken instead.
# What comes out of any step is judged by its residual and the way there, so that this decides on
# time only.
_FLAT = 1e-14
# What is certain: its distance shrank by the slope, of at least this, over half of the steps; or is
# gone to this part; and its error is below this part.
_LEAST_RATE, _GONE, _CERTAIN = 0.2, 1e-8, 1e-6
# 1 - slope is not known to better than this.
_LEAST_GAP = 1e-12


@dataclass(frozen=True, eq=False)
class Reached:
    """Where a batch of recursions ends.

    Attributes:
        values: (n, B).
        slope: spectral radius of the map there, (B,).
        error: bounds on the values, (n, B).
        certain: whether the values are the limit from the start, (B,).
        diverged: whether the recursion left every bound, (B,).
    """

    values: Array
    slope: Array
    error: Array
    certain: Flags
    diverged: Flags


def reach(
    step: Callable[[Array, Rows], tuple[Array, Array]],
    jacobian: Callable[[Array, Rows], Array],
    start: Array,
) -> Reached:
    """Follow x' = step(x) from a start to its limit.

    Args:
        step: (values (n, b), rows (b,)) -> new values and their errors, (n, b) each; `rows` tells
            which members of the batch are meant.
        jacobian: the same arguments -> the derivative of step, (b, n, n).
        start: (n, B).
    """
    count, batch = start.shape
    total = Reached(
        np.zeros((count, batch)),
        np.full(batch, np.nan),
        np.full((count, batch), np.inf),
        np.zeros(batch, dtype=bool),
        np.zeros(batch, dtype=bool),
    )
    late = start.copy()
    for steps, more in _ROUNDS:
        rows = np.flatnonzero(~total.certain & ~total.diverged)
        if not len(rows):
            break
        early = _follow(step, late[:, rows], rows, steps)
        late[:, rows] = _follow(step, early, rows, more)
        found = _finish(step, jacobian, early, late[:, rows], rows, more)
        total.values[:, rows] = found.values
        total.error[:, rows] = found.error
        for name in ("slope", "certain", "diverged"):
            getattr(total, name)[rows] = getattr(found, name)
    return total


def spectral_radius(matrices: Array) -> Array:
    """The largest |eigenvalue| of each matrix, (B, n, n) to (B,); nan where an entry is no number.

    Of one or two rows by their formulas: a whole map of those takes as long as ten of LAPACK's.
    """
    usable = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    safe = np.where(usable[:, None, None], matrices, 0.0)
    if matrices.shape[1] == 1:
        found = np.abs(safe[:, 0, 0])
    elif matrices.shape[1] == 2:
        half = 0.5 * (safe[:, 0, 0] + safe[:, 1, 1])
        apart = 0.5 * (safe[:, 0, 0] - safe[:, 1, 1])
        square = apart * apart + safe[:, 0, 1] * safe[:, 1, 0]
        root = np.sqrt(np.abs(square))
        found = np.where(square >= 0.0, np.abs(half) + root, np.hypot(half, root))
    else:
        found = np.abs(np.linalg.eigvals(safe)).max(axis=1, initial=0.0)
    return np.where(usable, found, np.nan)


def _follow(
    step: Callable[[Array, Rows], tuple[Array, Array]],
    values: Array,
    rows: Rows,
    steps: int,
) -> Array:
    for _ in range(steps):
        # Beyond any bound there is nothing to learn, and the quadrature would overflow.
        inside = np.abs(values).max(axis=0, initial=0) < _HUGE
        if not inside.any():
            return values
        values = np.where(inside, values, np.inf)
        values[:, inside] = step(values[:, inside], rows[inside])[0]
        values = np.where(np.isfinite(values), values, np.inf)
    return values


def _finish(
    step: Callable[[Array, Rows], tuple[Array, Array]],
    jacobian: Callable[[Array, Rows], Array],
    early: Array,
    late: Array,
    rows: Rows,
    more: int,
) -> Reached:
    """Newton's method from the late values, and whether its result is their limit."""
    diverged = ~np.isfinite(late).all(axis=0) | (np.abs(late).max(axis=0, initial=0) > _HUGE)
    values = np.where(diverged, 0.0, late)
    active = np.flatnonzero(~diverged)
    for _ in range(_NEWTON):
        if not len(active):
            break
        moved = _newton(step, jacobian, values[:, active], rows[active])
        change = np.abs(moved - values[:, active]).max(axis=0)
        size = np.abs(moved).max(axis=0)
        values[:, active] = moved
        active = active[(change > _RTOL * _LAST_STEP * size) & (size < _HUGE)]
    return _judged(step, jacobian, early, late, values, diverged, rows, more)


def _newton(
    step: Callable[[Array, Rows], tuple[Array, Array]],
    jacobian: Callable[[Array, Rows], Array],
    values: Array,
    rows: Rows,
) -> Array:
    new = step(values, rows)[0]
    slopes = jacobian(values, rows)
    system = np.eye(len(values)) - np.where(np.isfinite(slopes), slopes, 0.0)
    flat = np.abs(np.linalg.det(system)) < _FLAT
    system[flat] = np.eye(len(values))
    moved = values + np.linalg.solve(system, (new - values).T[..., None])[..., 0].T
    return np.where(np.isfinite(moved), moved, values)


def _judged(
    step: Callable[[Array, Rows], tuple[Array, Array]],
    jacobian: Callable[[Array, Rows], Array],
    early: Array,
    late: Array,
    values: Array,
    diverged: Flags,
    members: Rows,
    more: int,
) -> Reached:
    batch = values.shape[1]
    slope, error = np.full(batch, np.nan), np.full(values.shape, np.inf)
    certain = np.zeros(batch, dtype=bool)
    rows = np.flatnonzero(~diverged)
    if len(rows):
        at = values[:, rows]
        new, own = step(at, members[rows])
        matrices = jacobian(at, members[rows])
        # Without a slope nothing is certain: such a point is left to the scalar way.
        known = np.isfinite(matrices).all(axis=(1, 2))
        of_known = spectral_radius(matrices[known])
        slope[rows] = np.inf
        slope[rows[known]] = of_known
        residual = (np.abs(new - at) + own).max(axis=0)
        gap = np.maximum(np.abs(1 - slope[rows]), _LEAST_GAP)
        bound = np.where(known, residual / gap, np.inf)
        error[:, rows] = bound
        size = np.abs(at).max(axis=0)
        before, after = (np.abs(x[:, rows] - at).max(axis=0) for x in (early, late))
        # From early to late the distance must shrink as the slope says, or be gone already.
        rate = np.maximum(np.where(known, slope[rows], 1.0), _LEAST_RATE) ** (more / 2)
        nearer = (after <= rate * before) | (after <= _GONE * size)
        certain[rows] = nearer & (slope[rows] < 1) & (bound <= _CERTAIN * (size + _RTOL))
    return Reached(values, slope, error, certain, diverged)
