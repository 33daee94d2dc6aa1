"""The second moments of what matrices see at rest, Y_r = E[y_r^2]: fixed points of a map.

    q_k = sigma_w,k^2 Y_r(k) + sigma_b,k^2,    T_r(Y) = E[y_r(e)^2],    e_k ~ N(mu_k, q_k).

Where one Y_v breaks every circle of influence, the others follow from it and all fixed points are
the roots of one function on a line; else Newton's method starts from many places.

Eq. (rest).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble
from rnnmft.rest.averages import FactoredAverages, Gaussians
from rnnmft.solvers.closed.fixed_points import linear_error
from rnnmft.solvers.closed.scalar_roots import scalar_roots
from rnnmft.theory.rest import RestingUnit, resting_unit

__all__ = ["Rest", "RestMap"]

Array = NDArray[np.float64]
#: Where roots are looked for: from where the largest variance is rounding's to where no state is.
_LEAST, _LARGEST = 1e-12, 1e8
#: Points a decade; of which a quarter where grids of several variables make each dear.
_DENSE, _SPARSE = 24, 6
#: Points of such grids while roots are looked for: errors of 1e-5 in milliseconds.
_LOOKING = 100_000
#: No root is beyond so many times the largest value of the map: the grid of that has 2 points a
#: decade, between which second moments change by less.
_BEYOND = 10.0
#: Steps of the differences that tell slopes: the root of what quadrature leaves; where Y is 0.
_STEP, _AT_ZERO = 1e-5, 1e-8
#: How far a root moves at most as errors of 1e-5 are mended: farther near zero than elsewhere.
_MOVED = (1.01, 2.0, 1e2, 1e6)
#: Of a root: rounding.
_TIGHT = 1e-14
#: Starts of Newton's method: half decades of all Y, two decades of one beside none.
_STARTS = np.geomspace(1e-6, 1e2, 17)
#: Its steps: near a double root each halves the distance, others square it; relative, the last one,
#: and by what factor one may change Y; those that have come so near to each other are one.
_ROUNDS, _CLOSED, _FACTOR, _TOGETHER = 60, 1e-9, 8.0, 1e-5
#: Relative errors above this are no result.
_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class Rest:
    """A fixed point of the map: Y (R,), bounds of its errors, the map's slope (R, R), a status."""

    seen: Array
    error: Array
    slope: Array
    status: Status


@lru_cache(maxsize=64)
def _averages(cell: Cell) -> tuple[FactoredAverages, RestingUnit]:
    unit = resting_unit(cell)
    squares = [y**2 for y in unit.seen]
    return FactoredAverages(squares, cell.preactivations, cell.parameters), unit


@dataclass(frozen=True, eq=False)
class RestMap:
    """T at one ensemble."""

    cell: Cell
    ensemble: Ensemble

    @cached_property
    def unit(self) -> RestingUnit:
        """The unit at rest."""
        return _averages(self.cell)[1]

    @property
    def rows(self) -> int:
        """R."""
        return len(self.unit.seen)

    def laws(self, seen: Array) -> Gaussians:
        """The laws of preactivations at Y, (R, B)."""
        mean, variance = {}, {}
        for p in self.cell.preactivations:
            law = self.ensemble[p.name]
            mean[p] = law.mu_b
            variance[p] = np.full(seen.shape[1:], law.sigma_b**2)
            if p in self.unit.row:
                variance[p] = variance[p] + law.sigma_w**2 * seen[self.unit.row[p]]
        drawn = {s: self.ensemble.parameters[s.name] for s in self.cell.parameters}
        return Gaussians(mean, variance, drawn)

    def __call__(self, seen: Array, **options: Any) -> tuple[Array, Array]:
        """T(Y) and its error bounds, (R, B) each."""
        return _averages(self.cell)[0](self.laws(seen), **options)

    @cached_property
    def feeds(self) -> list[set[int]]:
        """For each row, the rows on whose Y its T depends."""
        found = []
        for y in self.unit.seen:
            linked = [p for p in self.unit.row if y.has(p) and self.ensemble[p.name].sigma_w > 0]
            found.append({self.unit.row[p] for p in linked})
        return found

    def _order(self, without: int | None) -> list[int] | None:
        """The rows in an order in which each follows from earlier ones; None in a circle."""
        done = set() if without is None else {without}
        order: list[int] = []
        while len(done) < self.rows:
            ready = [r for r in range(self.rows) if r not in done and self.feeds[r] <= done]
            if not ready:
                return None
            order += ready
            done |= set(ready)
        return order

    def roots(self) -> list[Rest]:
        """All fixed points, by increasing Y."""
        return [self._rest(y) for y in sorted(self.found(), key=tuple)]

    def found(self) -> list[Array]:
        """Y (R,) of each, without its error."""
        straight = self._order(None)
        if straight is not None:
            return [self._followed(straight, {}, 1)[:, 0]]
        lines = ((v, self._order(v)) for v in range(self.rows))
        line = next(((v, order) for v, order in lines if order is not None), None)
        return self._several() if line is None else self._on_line(*line)

    def _followed(
        self, order: list[int], known: dict[int, Array], size: int, **options: Any
    ) -> Array:
        """Y of all rows, (R, B), row after row, from those known."""
        seen = np.zeros((self.rows, size))
        for r, y in known.items():
            seen[r] = y
        for r in order:
            seen[r] = self(seen, **options)[0][r]
        return seen

    def _on_line(self, v: int, order: list[int]) -> list[Array]:
        def gap(y: Array, **options: Any) -> Array:
            seen = self._followed(order, {v: y}, len(y), **options)
            return self(seen, **options)[0][v] - y

        roots = scalar_roots(lambda x: gap(x, grid=_LOOKING), self._grid(gap))
        if self.is_joint:  # once more, with all points
            roots = _closed(lambda y: float(gap(np.array([y]))[0]), roots)
        return [self._followed(order, {v: np.array([y])}, 1)[:, 0] for y in roots]

    def blur(self, seen: Array) -> Array:
        """What is left open of T at Y, (R,), while roots are looked for."""
        return self(seen[:, None], grid=_LOOKING)[1][:, 0]

    @property
    def is_joint(self) -> bool:
        """Whether some average joins several variables."""
        return _averages(self.cell)[0].is_joint

    def _grid(self, gap: Any) -> Array:
        """Where roots are looked for."""
        least = _LEAST / max([1.0, *(law.sigma_w**2 for law in self.ensemble.values())])
        rough = np.geomspace(least, _LARGEST, 41)
        largest = np.nanmax(gap(rough, grid=_LOOKING) + rough)
        top = min(_LARGEST, max(_BEYOND * largest, 10 * least))
        points = round(np.log10(top / least) * (_SPARSE if self.is_joint else _DENSE))
        return np.concatenate([[0.0], np.geomspace(least, top, points)])

    def _several(self) -> list[Array]:
        """Newton's method from many places at once, and where zero is a fixed point, that."""
        alone = [
            np.where(np.eye(self.rows)[r] > 0, y, _AT_ZERO)
            for r in range(self.rows)
            for y in _STARTS[::4]
        ]
        every = [*np.repeat(_STARTS[:, None], self.rows, axis=1), *alone]
        going, found = np.array(every).T, []
        for _ in range(_ROUNDS):
            with np.errstate(invalid="ignore", over="ignore"):
                gap, step = self._newton(going)
            nothing = _LEAST * going.max(axis=0)  # beside what others rest at
            small = np.abs(step) <= _CLOSED * going + nothing
            closed = (small & (np.abs(gap) <= _TOGETHER * going + nothing)).all(axis=0)
            found += [np.where(y > _LEAST * y.max(), y, 0.0) for y in (going + step)[:, closed].T]
            going = np.clip(going + step, going / _FACTOR, going * _FACTOR)[:, ~closed]
            largest = going.max(axis=0, initial=0.0)
            going = _apart(going[:, (largest > _LEAST) & (largest < _LARGEST)])
            if not going.size:
                break
        zero = np.zeros((self.rows, 1))
        start = [] if self(zero)[0].any() else [zero[:, 0]]
        return start + (list(_apart(np.array(found).T).T) if found else [])

    def _newton(self, seen: Array) -> tuple[Array, Array]:
        """T(Y) - Y at (R, B), nan where nothing rests, and Newton's step, slopes by differences."""
        moved = seen[:, None] * (1.0 + _STEP * np.eye(self.rows)[..., None])
        every = np.concatenate([seen[:, None], moved], axis=1)
        value = self(every.reshape(self.rows, -1), grid=_LOOKING)[0].reshape(every.shape)
        slope = (value[:, 1:] - value[:, :1]) / (_STEP * seen)
        matrix = np.nan_to_num(np.moveaxis(np.eye(self.rows)[..., None] - slope, -1, 0))
        gap = value[:, 0] - seen
        return gap, (np.linalg.pinv(matrix) @ gap.T[..., None])[..., 0].T

    def _rest(self, seen: Array) -> Rest:
        value, error = self(seen[:, None])
        slope = self.slope_of(lambda y: self(y)[0], seen)
        bound = linear_error(slope, np.abs(value[:, 0] - seen) + error[:, 0])
        good = bool((bound <= _TOLERANCE * np.maximum(seen, np.finfo(float).tiny)).all())
        return Rest(seen, bound, slope, Status.OK if good else Status.NOT_CONVERGED)

    def slope_of(self, function: Any, seen: Array) -> Array:
        """d function / dY, (J, R), by differences; a function of (R, B) that gives (J, B)."""
        step = np.where(seen > 0, _STEP * seen, _AT_ZERO)
        base = np.where(seen > 0, seen - step, 0.0)
        high = function(seen[:, None] + np.diag(step))
        low = function(seen[:, None] - np.diag(seen - base))
        return (high - low) / (seen + step - base)


def _apart(seen: Array) -> Array:
    """The columns, one of those that have come together."""
    kept: list[int] = []
    for b in range(seen.shape[1]):
        other, one = seen[:, kept], seen[:, [b]]
        near = np.abs(other - one) <= _TOGETHER * one + _LEAST
        if not near.all(axis=0).any():
            kept.append(b)
    return seen[:, kept]


def _closed(gap: Callable[[float], float], roots: list[float]) -> list[float]:
    """Roots of a better function, each between its neighbours; those that it has not are left out.

    A pair of roots that nearly touch may be none.
    """
    positive = [y for y in roots if y > 0.0]
    between = [math.sqrt(a * b) for a, b in pairwise(positive)]
    ends = zip([0.0, *between], [*between, math.inf], strict=True)
    found = [y for y in roots if y == 0.0]
    for y, (low, high) in zip(positive, ends, strict=False):
        for moved in _MOVED:
            a, b = max(low, y / moved), min(high, y * moved)
            if gap(a) * gap(b) < 0:
                found.append(float(brentq(gap, a, b, xtol=_TIGHT * y)))
                break
    return found
