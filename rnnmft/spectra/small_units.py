"""Units of few coupled indices at many z at once, entry by entry: one step, or fresh weights.

The same linear system as for any unit (`unit_response`), with the indices written out, so that
arithmetic runs over whole arrays of shape (Z, M) and entries of tau that vanish cost nothing. Only
for diagonal P: blocks of length 1.

Eq. (block).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["small_blocks"]

Real = NDArray[np.float64]
Complex = NDArray[Any]  # complex128
#: A matrix as rows of entries; None is an entry that is 0 for every unit.
Entries = list[list[Any]]


def small_blocks(
    tau: Real, present: NDArray[np.bool_], p_u: Complex, p_v: Complex
) -> tuple[Entries, Entries, Entries]:
    """C, G_v, G_u of every unit, entries of shape (Z, M) or None.

    Args:
        tau: (M, n, n).
        present: entries that are not 0 for every unit, (n, n).
        p_u: its diagonals, (Z, n).
        p_v: likewise.
    """
    size = tau.shape[-1]
    over = range(size)
    t = [[tau[:, i, j] if present[i, j] else None for j in over] for i in over]
    right = [[_times(t[j][k], p_u[:, k, None]) for j in over] for k in over]
    x = _product(t, right)
    system = [[_times(x[i][j], -p_v[:, j, None]) for j in over] for i in over]
    for i in over:
        system[i][i] = 1.0 if system[i][i] is None else 1.0 + system[i][i]
    c = _eliminated(system, t)
    lifted = [[_times(t[k][i], p_v[:, k, None]) for k in over] for i in over]
    return c, _symmetric(c, right), _symmetric(lifted, c)


def _eliminated(left: Entries, right: Entries) -> Entries:
    """left^(-1) right by Gauss-Jordan elimination without exchange of rows."""
    size = len(left)
    left, right = [row[:] for row in left], [row[:] for row in right]
    for p in range(size):
        pivot = 1.0 / left[p][p]
        left[p][p + 1 :] = [_times(e, pivot) for e in left[p][p + 1 :]]
        right[p] = [_times(e, pivot) for e in right[p]]
        for i in range(size):
            factor = left[i][p]
            if i == p or factor is None:
                continue
            for j in range(p + 1, size):
                left[i][j] = _less(left[i][j], factor, left[p][j])
            for j in range(size):
                right[i][j] = _less(right[i][j], factor, right[p][j])
    return right


def _times(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a * b


def _less(a: Any, factor: Any, b: Any) -> Any:
    """a - factor b."""
    if b is None:
        return a
    return -factor * b if a is None else a - factor * b


def _product(a: Entries, b: Entries) -> Entries:
    return [[_entry(row, b, j) for j in range(len(b[0]))] for row in a]


def _symmetric(a: Entries, b: Entries) -> Entries:
    """A product that is known to be symmetric."""
    upper = [
        [_entry(row, b, j) if j >= i else None for j in range(len(b[0]))] for i, row in enumerate(a)
    ]
    return [[upper[min(i, j)][max(i, j)] for j in range(len(a))] for i in range(len(a))]


def _entry(row: list[Any], b: Entries, j: int) -> Any:
    total = None
    for k, entry in enumerate(row):
        term = _times(entry, b[k][j])
        if term is not None:
            total = term if total is None else total + term
    return total
