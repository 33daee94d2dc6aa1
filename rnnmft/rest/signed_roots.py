"""Fixed points of a map whose unknowns have either sign, by Newton's method from many places."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["signed_roots"]

Array = NDArray[np.float64]
#: Where it starts: second moments, and averages of either sign.
_SQUARES, _AVERAGES = (0.02, 0.3, 3.0), (0.0, 0.1, 1.0, 4.0)
#: Rounds; of a step's length, what it may be of 1 and the unknowns; differences that tell slopes.
_ROUNDS, _LONGEST, _STEP = 60, 0.5, 1e-6
#: Closed, and the same, relative to 1 and the unknowns.
_CLOSED, _SAME = 1e-11, 1e-6
#: Relative to the unknowns alone: differences of the last look, and how long its step may be.
_FINE, _SURE = 1e-4, 1e-2


def signed_roots(image: Callable[[Array], Array], squares: int, rows: int) -> list[Array]:
    """The fixed points (rows,) of a map of (rows, B) that Newton's method finds.

    Args:
        image: the map.
        squares: how many unknowns, the first, are second moments, not negative; others are signed.
        rows: of all unknowns.

    >>> sorted(x.round(9).tolist() for x in signed_roots(lambda x: 2 * x / (1 + x**2), 0, 1))
    [[-1.0], [0.0], [1.0]]
    """
    signs = list(product((1.0, -1.0, 0.0), repeat=rows - squares))
    starts = {
        (*[y] * squares, *(m * s for s in sign))
        for y in _SQUARES
        for m in _AVERAGES
        for sign in signs
    }
    x = np.array(sorted(starts, key=lambda s: (np.abs(s).sum(), s))).T
    least = np.where(np.arange(rows) < squares, 0.0, -np.inf)[:, None]
    going = np.ones(x.shape[1], dtype=bool)
    for _ in range(_ROUNDS):
        here = x[:, going]
        scale = 1.0 + np.abs(here).max(0)
        step = _newton(image, here, _STEP * scale)
        longest = np.maximum(np.abs(step).max(0), np.finfo(float).tiny)
        moved = np.maximum(here + step * np.minimum(1.0, _LONGEST * scale / longest), least)
        x[:, going] = moved
        going[going] = ~(np.abs(moved - here).max(0) <= _CLOSED * scale)
        if not going.any():
            break
    # Where a map is nearly the identity a small gap says nothing: there the next step is as long
    # as the unknowns themselves.
    size = np.abs(x).max(0)
    scale, left = 1.0 + size, np.abs(_newton(image, x, _FINE * np.maximum(size, _CLOSED))).max(0)
    sure = (left <= _SURE * size + _CLOSED) & (np.abs(image(x) - x).max(0) <= _CLOSED * scale)
    found: list[Array] = []
    for i in np.flatnonzero(sure):
        if all(np.abs(x[:, i] - y).max() > _SAME * scale[i] for y in found):
            found.append(x[:, i])
    return found


def _newton(image: Callable[[Array], Array], x: Array, h: Array) -> Array:
    """(1 - slope)^(-1) (image - x) at every column; no step where that is singular."""
    rows, count = x.shape
    moved = np.concatenate([np.zeros((rows, 1)), np.eye(rows)], axis=1)
    points = x[:, None, :] + h * moved[:, :, None]
    values = image(points.reshape(rows, -1)).reshape(points.shape)
    gap = values[:, 0] - x
    slope = (values[:, 1:] - values[:, :1]) / h
    matrix = np.eye(rows) - slope.transpose(2, 0, 1)
    matrix[~np.isfinite(matrix).all((1, 2))] = 0.0
    known = np.isfinite(gap).all(0) & (np.abs(np.linalg.det(matrix)) > np.finfo(float).eps)
    good = np.flatnonzero(known)
    step = np.zeros((rows, count))
    step[:, good] = np.linalg.solve(matrix[good], gap.T[good][:, :, None])[:, :, 0].T
    return step
