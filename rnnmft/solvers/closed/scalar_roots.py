"""All roots of a scalar function on a grid, including pairs of roots that nearly touch.

What is within rounding of zero decides nothing: where gap(x) / x is constant but for rounding (a
map that is linear in x) there is no tangency to look for, and where it is zero but for rounding
(every x is a root) there are no roots that could be told apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize.elementwise import find_root

__all__ = ["scalar_roots"]

Array = NDArray[np.float64]

# How often the grid is refined beside a near tangency (by 25 / 2: after five, 3e-6 of a step), and
# below which a dip of |gap| / x is one: choices. Two roots nearer than that are taken for none.
_ROUNDS, _NEAR = 5, 0.3
# |gap| at a root, relative to it: rounding times the slope, and far from what a jump leaves.
_CLOSED = 1e-6
# Parts of a grid step at which the sign beside a root on the grid is looked at: its neighbour may
# be as near as the last.
_BESIDE = np.array([0.3, 0.1, 1e-2, 1e-3, 1e-4])


def scalar_roots(
    gap: Callable[[Array], Array], grid: Array, rounding: float = 1e-12
) -> list[float]:
    """The roots of gap(x), in increasing order.

    Args:
        gap: vectorised, continuous but for poles: where a stationary state ceases to exist it rises
            to +inf, which counts as positive; nan counts as unknown.
        grid: increasing; a root between two points is found where the sign changes, a pair of
            roots where gap(x) / x comes near zero between the points.
        rounding: differences of gap(x) / x below this mean nothing.

    A bracket that closes on a pole or a jump is left out; so are roots that are rounding's own.

    >>> found = scalar_roots(lambda x: (x - 1) * (x - 1.001), np.linspace(0, 3, 31))
    >>> [round(x, 12) for x in found]
    [1.0, 1.001]
    """
    x, f = grid, gap(grid)
    x, f = _refined(gap, x, f, _beside_zeros(x, f, rounding))
    for _ in range(_ROUNDS):
        x, f = _refined(gap, x, f, _near_tangencies(x, f, rounding))
    sure = _beyond_rounding(x, f, rounding)
    found = [float(v) for v in x[(f == 0.0) & (sure | (x == 0.0))]]
    sign = np.sign(f)
    change = (sign[:-1] * sign[1:] < 0) & (sure[:-1] | sure[1:])
    low, high = x[:-1][change], x[1:][change]
    if len(low):
        # Where nothing is stationary the gap is +inf: a finite stand-in keeps the bracket closing.
        result = find_root(
            lambda v: np.nan_to_num(gap(np.atleast_1d(v)), nan=1e300, posinf=1e300),
            (low, high),
            tolerances={"xrtol": 1e-14, "xatol": 1e-300},
        )
        closed = np.atleast_1d(result.x)
        left = np.abs(gap(closed))
        found += [float(v) for v in closed[left <= _CLOSED * np.maximum(np.abs(closed), rounding)]]
    return sorted(found)


def _beyond_rounding(x: Array, f: Array, rounding: float) -> NDArray[np.bool_]:
    """Whether a point or a neighbour of it tells that the function is not zero all around."""
    clear = ~(np.abs(f) <= rounding * np.abs(x))
    padded = np.concatenate([[False], clear, [False]])
    return padded[:-2] | clear | padded[2:]


def _refined(
    gap: Callable[[Array], Array], x: Array, f: Array, extra: Array
) -> tuple[Array, Array]:
    """The grid with further points."""
    if not len(extra):
        return x, f
    x, f = np.concatenate([x, extra]), np.concatenate([f, gap(extra)])
    order = np.argsort(x)
    return x[order], f[order]


def _beside_zeros(x: Array, f: Array, rounding: float) -> Array:
    """Points around roots that are grid points: they would hide the sign on their other side."""
    spots = np.flatnonzero((f == 0.0) & (x != 0.0) & _beyond_rounding(x, f, rounding))
    pieces = [
        x[i] + (x[j] - x[i]) * _BESIDE for i in spots for j in (i - 1, i + 1) if 0 <= j < len(x)
    ]
    return np.setdiff1d(np.concatenate(pieces), x) if pieces else np.empty(0)


def _near_tangencies(x: Array, f: Array, rounding: float) -> Array:
    """Points around interior extrema of gap / x that come near zero without crossing it."""
    ratio = np.divide(f, np.abs(x), out=np.full_like(x, np.nan), where=x != 0)
    ratio[~np.isfinite(ratio)] = np.nan
    middle, left, right = ratio[1:-1], ratio[:-2], ratio[2:]
    size = np.abs(middle)
    near = (size < np.abs(left)) & (size <= np.abs(right)) & (size < _NEAR)
    near &= (np.sign(left) == np.sign(middle)) & (np.sign(right) == np.sign(middle))
    near &= np.maximum(np.abs(left), np.abs(right)) - size > rounding
    spots = np.flatnonzero(near) + 1
    pieces = [np.linspace(x[i - 1], x[i + 1], 26)[1:-1] for i in spots]
    return np.setdiff1d(np.concatenate(pieces), x) if pieces else np.empty(0)
