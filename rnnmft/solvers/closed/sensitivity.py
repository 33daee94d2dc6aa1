"""What an error of the moments does to what is computed from them, to first order.

An error of 1e-14 is too small to difference, and one as large as the moments themselves leads out
of what moments can be: they are displaced along it by 1e-6 to 0.1 of their size, and the change is
scaled back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnmft.solvers.closed.recursion import Array, MomentUpdate, Point, UntiedRecursion

__all__ = [
    "averages_with_error",
    "cross_step_with_error",
    "displaced",
    "displaced_batch",
    "means_with_error",
    "moved",
    "radius",
    "step_with_error",
]

# A displacement, of the values: below, rounding would be a part of 1e-10 / 1e-6 of a difference;
# above, it would no longer be of first order.
_LEAST, _MOST = 1e-6, 0.1


def displaced(values: Array, error: Array) -> tuple[Array, float]:
    """A displacement along the error and the factor that scales it back to the error, both >= 0."""
    size, top = np.abs(values).max(initial=0.0), error.max(initial=0.0)
    if not (np.isfinite(size) and np.isfinite(top)) or top == 0.0:
        return np.zeros_like(error), 0.0
    scale = max(_LEAST * size / top, min(_MOST * size / top, 1.0))
    return error * scale, 1.0 / scale


def displaced_batch(values: Array, error: Array) -> tuple[Array, Array]:
    """`displaced` of every point of a batch: displacements (n, B) and factors (B,)."""
    size, top = np.abs(values).max(axis=0, initial=0.0), error.max(axis=0, initial=0.0)
    known = np.isfinite(size) & np.isfinite(top) & (top > 0.0) & (size > 0.0)
    ratio = np.divide(size, top, out=np.ones_like(size), where=known)
    scale = np.maximum(_LEAST * ratio, np.minimum(_MOST * ratio, 1.0))
    return np.where(known, error * scale, 0.0), np.where(known, 1.0 / scale, 0.0)


def moved(function: Callable[[Array], Array], values: Array, error: Array) -> tuple[Array, Array]:
    """function(values) and how far an error of the values may move it.

    Args:
        function: of values (n, B), giving an array whose last axis is B.
        values: (n,).
        error: (n,), not negative.
    """
    by, factor = displaced(values, error)
    found = function(np.stack([values, values + by], axis=1))
    with np.errstate(invalid="ignore"):  # inf - inf, where what is asked does not exist
        return found[..., 0], factor * np.abs(found[..., 1] - found[..., 0])


def step_with_error(
    recursion: UntiedRecursion, moments: Array, error: Array, point: Point
) -> MomentUpdate:
    """One update of moments (n,): all of it without the axis of the batch."""
    by, factor = displaced(moments, error)
    found = recursion.step(np.stack([moments, moments + by], axis=1), point)
    return _carried(found, lambda v: factor * np.abs(v[:, 1] - v[:, 0]))


def means_with_error(
    recursion: UntiedRecursion, moments: Array, error: Array, point: Point
) -> tuple[Array, Array]:
    """E[s] of every state after the update of moments (n,), and the errors, (states,)."""
    return _with_error(recursion.means, moments, error, point)


def averages_with_error(
    recursion: UntiedRecursion, moments: Array, error: Array, point: Point
) -> tuple[Array, Array]:
    """The averages over units of the update of moments (n,), and the errors, (averages,)."""
    return _with_error(recursion.averages, moments, error, point)


def _with_error(
    function: Callable[[Array, Point], tuple[Array, Array]],
    moments: Array,
    error: Array,
    point: Point,
) -> tuple[Array, Array]:
    by, factor = displaced(moments, error)
    value, added = function(np.stack([moments, moments + by], axis=1), point)
    return value[:, 0], added[:, 0] + factor * np.abs(value[:, 1] - value[:, 0])


def cross_step_with_error(
    recursion: UntiedRecursion,
    cross: Array,
    cross_error: Array,
    moments: Array,
    error: Array,
    point: Point,
) -> MomentUpdate:
    """One update of cross moments (n,), displaced towards zero: no correlation may exceed 1."""
    by, factor = displaced(moments, error)
    cross_by, cross_factor = displaced(cross, cross_error)
    towards = cross - np.where(cross < 0, -cross_by, cross_by)
    found = recursion.cross_step(
        np.stack([cross, cross, towards], axis=1),
        np.stack([moments, moments + by, moments], axis=1),
        point,
    )

    def change(v: Array) -> Array:
        return factor * np.abs(v[:, 1] - v[:, 0]) + cross_factor * np.abs(v[:, 2] - v[:, 0])

    return _carried(found, change)


def _carried(found: MomentUpdate, change: Callable[[Array], Array]) -> MomentUpdate:
    """The first of the batch, its errors with what displacements change."""
    return MomentUpdate(
        found.new[:, 0],
        found.error[:, 0] + change(found.new),
        found.q[:, 0],
        found.status[:1],
        found.q_error[:, 0] + change(found.q),
    )


def radius(matrices: Array) -> Array:
    """The spectral radius of each matrix, shape (B, n, n) to (B,)."""
    return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)
