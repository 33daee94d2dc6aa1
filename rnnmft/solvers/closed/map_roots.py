"""All fixed points at all points of a map at once, for cells whose moments have one driver Q.

A fixed point is a root of F(Q) - Q, where F(Q) is the moment that is stationary at the variances
that Q makes. F is evaluated on a grid of Q at every point of the map. The grid is one of some
preactivation's variance q = a + b Q where there is such a preactivation: its integrals are then
those of the grid, whatever a and b are. Between neighbours of opposite sign lies a root, and a pair
of roots where F(Q) / Q - 1 nearly touches zero; Newton's method, kept in its bracket, ends each.

Eq. (fixed-point).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.numerics.gaussian_table import SCALE
from rnnmft.solvers.closed.recursion import Array, Point
from rnnmft.solvers.closed.tabulated import TabulatedRecursion

__all__ = ["MapRoots", "map_roots"]

Rows = NDArray[np.intp]
Flags = NDArray[np.bool_]

# Grid points in x = s / (s + 2), s = sqrt(q): 12 in each of the eight pieces of a table, of which
# 20 coefficients resolve the integrals to rounding.
_POINTS = 96
# Beyond the grid, where a driver may still be: four a decade.
_BEYOND = np.geomspace(1e5, 1e8, 13)
# Where fixed points beside one at zero are looked for: eight a decade.
_BELOW = np.geomspace(1e-12, 1e8, 161)
# Elements of a grid of the map that are in memory together: 8 MB an array.
_TOGETHER = 1 << 20
# Newton's steps: from a 96th of the range six double the digits up to rounding; the others are for
# brackets that have to be halved. A step below the tolerance is the last.
_NEWTON, _LAST = 60, 1e-13
# Refinements of a near tangency, each by 12.
_ROUNDS, _INSIDE = 5, np.linspace(0.0, 1.0, 25)
# F(Q) / Q - 1 between three points of the grid is a parabola to this part of their differences.
_PARABOLA = 0.25
# Dips of |F / Q - 1| below this are tangencies to be looked at, a choice; no division by zero.
_NEAR, _TINY = 0.3, np.float32(1e-30)


@dataclass(frozen=True, eq=False)
class MapRoots:
    """Every root found, in no order: its point of the map and its driver.

    Attributes:
        rows: flat indices of the points, (r,).
        driver: Q, (r,).
        rising: points at which F(Q) > Q still at the end of the grid, flat indices.
    """

    rows: Rows
    driver: Array
    rising: Rows


def map_roots(recursion: TabulatedRecursion, point: Point, shape: tuple[int, ...]) -> MapRoots:
    """The roots at every point of a map.

    Args:
        recursion: the recursion.
        point: arrays that broadcast to `shape`, by symbol.
        shape: of the map.
    """
    size = int(np.prod(shape))
    flat = {s: np.broadcast_to(v, shape).reshape(-1) for s, v in point.items()}

    def gap(driver: Array, rows: Rows) -> Array:
        return recursion.gap(driver, {s: v[rows] for s, v in flat.items()})

    brackets, variances = _Brackets(), _variances(recursion)
    zero = gap(np.zeros(size), np.arange(size))
    rising = np.zeros(size, dtype=bool)
    for part, rows in _parts(point, shape):
        _scan(
            recursion,
            variances,
            part,
            rows,
            zero[rows.ravel()].reshape(rows.shape),
            gap,
            brackets,
            rising,
        )
    _beyond(gap, np.flatnonzero(rising), brackets, rising)
    at_zero = np.flatnonzero(zero == 0.0)
    if len(at_zero):
        # There Q = 0 is a root and hides the sign beside it.
        _walk(gap, at_zero, _BELOW, brackets)
    rows, ends, gaps = brackets.joined()
    driver = _closed(recursion, flat, rows, ends, gaps)
    return MapRoots(
        np.concatenate([at_zero, rows]),
        np.concatenate([np.zeros(len(at_zero)), driver]),
        np.flatnonzero(rising),
    )


class _Brackets:
    """Brackets, part after part: rows, the driver at both ends and the gap there, (2, b) each."""

    def __init__(self) -> None:
        self._parts: list[tuple[Rows, Array, Array]] = []

    def add(self, rows: Rows, ends: tuple[Array, Array], gaps: tuple[Array, Array]) -> None:
        """Brackets of some rows."""
        self._parts.append((rows, np.stack(ends), np.stack(gaps)))

    def joined(self) -> tuple[Rows, Array, Array]:
        """All of them."""
        rows, ends, gaps = zip(*self._parts, strict=True)
        return np.concatenate(rows), np.hstack(ends), np.hstack(gaps)


def _parts(point: Point, shape: tuple[int, ...]) -> list[tuple[Point, Rows]]:
    """The map in slices along its first axis, of so many points that their grids fit in memory."""
    rows = np.arange(int(np.prod(shape))).reshape(shape)
    if not shape:
        return [(point, rows)]
    each = max(1, _TOGETHER // (_POINTS * max(1, rows[0].size)))
    found = []
    for start in range(0, shape[0], each):
        cut = slice(start, start + each)
        part = {
            s: v[cut] if v.ndim == len(shape) and v.shape[0] > 1 else v for s, v in point.items()
        }
        found.append((part, rows[cut]))
    return found


def _grid() -> Array:
    """The variances of the grid."""
    x = np.arange(_POINTS) / _POINTS
    return (SCALE * x / (1.0 - x)) ** 2


def _scan(
    recursion: TabulatedRecursion,
    variances: Sequence[_Variance],
    point: Point,
    rows: Rows,
    zero: Array,
    gap: Callable[[Array, Rows], Array],
    brackets: _Brackets,
    rising: Flags,
) -> None:
    """Add the brackets of a slice of the map."""
    wide = {s: v[..., None] for s, v in point.items()}
    driver, given = _drivers(variances, wide)
    values = recursion.gap(driver, wide, given)
    full = (*rows.shape, _POINTS)
    driver = np.broadcast_to(driver, full).reshape(-1, _POINTS)
    values = np.array(np.broadcast_to(values, full)).reshape(-1, _POINTS)
    # Variances below a belong to no driver: there stands Q = 0.
    void = driver <= 0.0
    values = np.where(void, zero.reshape(-1, 1), values)
    positive = values > 0.0
    change = positive[:, 1:] != positive[:, :-1]
    change &= ~((driver[:, :-1] <= 0.0) & (zero.reshape(-1, 1) == 0.0))
    at, k = np.nonzero(change)
    flat = rows.ravel()
    brackets.add(flat[at], (driver[at, k], driver[at, k + 1]), (values[at, k], values[at, k + 1]))
    rising[flat[positive[:, -1]]] = True
    _tangent_pairs(driver, values, flat, gap, brackets)


@dataclass(frozen=True, eq=False)
class _Variance:
    """The variance a + b Q of a preactivation; the functions take the parameters that they use."""

    symbol: sp.Symbol
    mean: sp.Symbol
    a: Callable[..., Array]
    b: Callable[..., Array]
    used: tuple[list[sp.Symbol], list[sp.Symbol]]

    def at(self, point: Point) -> tuple[Array, Array]:
        """a and b."""
        pairs = zip((self.a, self.b), self.used, strict=True)
        return tuple(np.asarray(f(*(point[s] for s in used)), dtype=float) for f, used in pairs)  # type: ignore[return-value]


def _variances(tables: TabulatedRecursion) -> list[_Variance]:
    """Those of the preactivations whose variance is a + b Q in the parameters alone."""
    recursion, n = tables.exact, tables.exact.derivation.notation
    (driver,) = recursion.symbols([recursion.keys[tables.driver]])
    known, found = set(recursion.parameters), []
    for p, (q, variance) in zip(
        recursion.derivation.cell.preactivations, recursion.variances(), strict=True
    ):
        a, b = variance.xreplace({driver: sp.S.Zero}), sp.diff(variance, driver)
        if b != 0 and (a.free_symbols | b.free_symbols) <= known:
            used = [[s for s in recursion.parameters if s in e.free_symbols] for e in (a, b)]
            functions = [sp.lambdify(few, e, "numpy") for few, e in zip(used, (a, b), strict=True)]
            found.append(_Variance(q, n.mu_b[p], *functions, used=(used[0], used[1])))
    return found


def _drivers(variances: Sequence[_Variance], point: Point) -> tuple[Array, dict[sp.Symbol, Array]]:
    """Drivers that make one preactivation's variance the grid, and that variance by its symbol.

    Of the preactivations, that one whose mean and variance vary together over the largest part of
    the map; the grid itself where none varies, or one does not depend on Q somewhere.
    """
    grid, best, found = _grid(), 1, None
    for variance in variances:
        a, b = variance.at(point)
        extent = np.prod(np.broadcast_shapes(a.shape, b.shape, point[variance.mean].shape))
        if extent > best and (b > 0.0).all():
            best, found = extent, (variance.symbol, a, b)
    if found is None:
        return grid, {}
    symbol, a, b = found
    return np.maximum((grid - a) / b, 0.0), {symbol: grid}


def _beyond(
    gap: Callable[[Array, Rows], Array], rows: Rows, brackets: _Brackets, rising: Flags
) -> None:
    """Brackets beyond the grid, where F(Q) > Q at its end."""
    if not len(rows):
        return
    _walk(gap, rows, np.concatenate([[0.0], _BEYOND]), brackets)
    rising[rows] = gap(np.full(len(rows), _BEYOND[-1]), rows) > 0.0


def _walk(
    gap: Callable[[Array, Rows], Array], rows: Rows, grid: Array, brackets: _Brackets
) -> None:
    """Add the brackets between neighbours of a grid of drivers."""
    before = gap(np.full(len(rows), grid[0]), rows)
    for low, high in pairwise(grid.tolist()):
        after = gap(np.full(len(rows), high), rows)
        i = np.flatnonzero((before > 0.0) != (after > 0.0))
        ends = np.full(len(i), low), np.full(len(i), high)
        brackets.add(rows[i], ends, (before[i], after[i]))
        before = after


# --- pairs of roots between two points of the grid -----------------------------------------------


def _tangent_pairs(
    driver: Array,
    values: Array,
    flat: Rows,
    gap: Callable[[Array, Rows], Array],
    brackets: _Brackets,
) -> None:
    """Add the brackets of pairs of roots where F(Q) / Q - 1 comes near zero without crossing it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(values, driver, dtype=np.float32)
    size = np.abs(ratio)
    left, middle, right = (size[:, i : i + _POINTS - 2] for i in range(3))
    near = middle < _NEAR
    near &= middle < left
    near &= middle <= right
    at, k = np.nonzero(near)
    sign = [np.signbit(ratio[at, k + i]) for i in range(3)]
    a, b, c = (part[at, k] for part in (left, middle, right))
    # The parabola through the three has its least value so far below the middle one.
    with np.errstate(over="ignore", invalid="ignore"):
        dip = (c - a) ** 2 / (8.0 * np.maximum(a - 2.0 * b + c, _TINY))
    touching = (b - dip <= _PARABOLA * (np.maximum(a, c) - b)) & (sign[0] == sign[1])
    touching &= sign[1] == sign[2]
    at, k = at[touching], k[touching]
    low, high = driver[at, k], driver[at, k + 2]
    rows = flat[at]
    for _ in range(_ROUNDS):
        if not len(rows):
            return
        inside = low[:, None] + (high - low)[:, None] * _INSIDE
        every = np.repeat(rows, len(_INSIDE))
        gaps = gap(inside.ravel(), every).reshape(inside.shape)
        ratios = gaps / inside
        positive = ratios > 0.0
        change = positive[:, 1:] != positive[:, :-1]
        i, j = np.nonzero(change)
        brackets.add(rows[i], (inside[i, j], inside[i, j + 1]), (gaps[i, j], gaps[i, j + 1]))
        least = np.abs(ratios)[:, 1:-1].argmin(axis=1) + 1
        crosses = change.any(axis=1)
        index = np.arange(len(rows))
        # A dip that no refinement brings nearer than rounding is no pair of roots.
        low, high = inside[index, least - 1], inside[index, least + 1]
        rows, low, high = rows[~crosses], low[~crosses], high[~crosses]


# --- closing the brackets ------------------------------------------------------------------------


def _closed(
    recursion: TabulatedRecursion, flat: Point, rows: Rows, ends: Array, gaps: Array
) -> Array:
    """The roots in the brackets, by Newton's method; a step out of its bracket halves that."""
    low, high = ends
    falls = gaps[0] > 0.0
    # The secant's root, where both gaps are numbers.
    with np.errstate(invalid="ignore"):
        part = gaps[0] / (gaps[0] - gaps[1])
    driver = low + (high - low) * np.where((part >= 0.0) & (part <= 1.0), part, 0.5)
    at = {s: v[rows] for s, v in flat.items() if s in recursion.exact.parameters}
    active = np.arange(len(rows))
    for _ in range(_NEWTON):
        if not len(active):
            break
        now = driver[active]
        found = recursion.stationary(now, {s: v[active] for s, v in at.items()})
        above = (found.gap > 0.0) == falls[active]
        low[active] = np.where(above, now, low[active])
        high[active] = np.where(above, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = now - found.gap / found.slope
        inside = (moved >= low[active]) & (moved <= high[active])
        driver[active] = np.where(inside, moved, 0.5 * (low[active] + high[active]))
        active = active[np.abs(driver[active] - now) > _LAST * driver[active]]
    return driver
