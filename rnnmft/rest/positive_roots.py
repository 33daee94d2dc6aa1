"""Fixed points of a map of second moments, relative to their size, by Newton's method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["positive_roots"]

Array = NDArray[np.float64]
#: Starts: half decades of all unknowns, two decades of one beside none.
_STARTS, _NONE = np.geomspace(1e-6, 1e2, 17), 1e-8
#: Below this there is none, and above the other there is no end.
_LEAST, _LARGEST = 1e-12, 1e8
#: Of a value, to tell slopes by differences: the root of what quadrature leaves.
_STEP = 1e-5
#: Steps: near a double root each halves the distance, others square it; relative, the last one,
#: and by what factor one may change an unknown; those that have come so near to each other are one.
_ROUNDS, _CLOSED, _FACTOR, _TOGETHER = 60, 1e-9, 8.0, 1e-5


def positive_roots(image: Callable[[Array], Array], rows: int) -> list[Array]:
    """The fixed points (rows,) other than 0 of a map of (rows, B) that Newton's method finds.

    Args:
        image: the map; nan where it has no value.
        rows: unknowns, none of them negative.

    >>> positive_roots(lambda y: 2 * y / (1 + y**2), 1)
    [array([1.])]
    """
    alone = [np.where(np.eye(rows)[r] > 0, y, _NONE) for r in range(rows) for y in _STARTS[::4]]
    every = [*np.repeat(_STARTS[:, None], rows, axis=1), *alone]
    going, found = np.array(every).T, []
    for _ in range(_ROUNDS):
        with np.errstate(invalid="ignore", over="ignore"):
            gap, step = _newton(image, going)
        nothing = _LEAST * going.max(axis=0)  # beside what others rest at
        small = np.abs(step) <= _CLOSED * going + nothing
        closed = (small & (np.abs(gap) <= _TOGETHER * going + nothing)).all(axis=0)
        found += [np.where(y > _LEAST * y.max(), y, 0.0) for y in (going + step)[:, closed].T]
        going = np.clip(going + step, going / _FACTOR, going * _FACTOR)[:, ~closed]
        largest = going.max(axis=0, initial=0.0)
        going = _apart(going[:, (largest > _LEAST) & (largest < _LARGEST)])
        if not going.size:
            break
    return list(_apart(np.array(found).T).T) if found else []


def _newton(image: Callable[[Array], Array], at: Array) -> tuple[Array, Array]:
    """Image less unknowns, nan where there is none, and Newton's step, slopes by differences."""
    rows = len(at)
    moved = at[:, None] * (1.0 + _STEP * np.eye(rows)[..., None])
    every = np.concatenate([at[:, None], moved], axis=1)
    value = image(every.reshape(rows, -1)).reshape(every.shape)
    slope = (value[:, 1:] - value[:, :1]) / (_STEP * at)
    matrix = np.nan_to_num(np.moveaxis(np.eye(rows)[..., None] - slope, -1, 0))
    gap = value[:, 0] - at
    return gap, (np.linalg.pinv(matrix) @ gap.T[..., None])[..., 0].T


def _apart(columns: Array) -> Array:
    """The columns, one of those that have come together."""
    kept: list[int] = []
    for b in range(columns.shape[1]):
        other, one = columns[:, kept], columns[:, [b]]
        near = np.abs(other - one) <= _TOGETHER * one + _LEAST
        if not near.all(axis=0).any():
            kept.append(b)
    return columns[:, kept]
