"""The second moments of what matrices see at rest, Y_r = E[y_r^2]: fixed points of a map.

    q_k = sigma_w,k^2 Y_r(k) + sigma_b,k^2,    T_r(Y) = E[y_r(e)^2],    e_k ~ N(mu_k, q_k).

Where one Y_v breaks every circle of influence, the others follow from it and all fixed points are
the roots of one function on a line; else Newton's method starts from many places.

Eq. (rest).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar

from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble
from rnnmft.rest.averages import Averages, Gaussians
from rnnmft.solvers.closed.fixed_points import linear_error, several_driver_roots
from rnnmft.solvers.closed.scalar_roots import scalar_roots
from rnnmft.theory.rest import RestingUnit, resting_unit

__all__ = ["Rest", "RestMap"]

Array = NDArray[np.float64]
#: Where roots are looked for: from where a second moment is rounding's to where no state is.
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
#: Starts of Newton's method: half decades.
_STARTS = np.geomspace(1e-6, 1e2, 17)
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
def _averages(cell: Cell) -> tuple[Averages, RestingUnit]:
    unit = resting_unit(cell)
    squares = [y**2 for y in unit.seen]
    return Averages(squares, cell.preactivations, cell.parameters), unit


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
        straight = self._order(None)
        if straight is not None:
            found = [self._followed(straight, {}, 1)[:, 0]]
        else:
            lines = ((v, self._order(v)) for v in range(self.rows))
            line = next(((v, order) for v, order in lines if order is not None), None)
            found = self._several() if line is None else self._on_line(*line)
        return [self._rest(y) for y in sorted(found, key=tuple)]

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

        grid = self._grid(gap)
        found = []
        for y in scalar_roots(lambda x: gap(x, grid=_LOOKING), grid):
            if self.is_joint and y > 0.0:  # once more, with all points
                near = root_scalar(lambda x: float(gap(np.array([x]))[0]), x0=y, x1=y * (1 + 1e-4))
                y = float(near.root) if near.converged and near.root > 0 else y
            found.append(self._followed(order, {v: np.array([y])}, 1)[:, 0])
        return found

    @property
    def is_joint(self) -> bool:
        """Whether some average joins several variables."""
        return _averages(self.cell)[0].is_joint

    def _grid(self, gap: Any) -> Array:
        """Where roots are looked for."""
        rough = np.geomspace(_LEAST, _LARGEST, 41)
        largest = np.nanmax(gap(rough, grid=_LOOKING) + rough)
        top = min(_LARGEST, max(_BEYOND * largest, 10 * _LEAST))
        points = round(np.log10(top / _LEAST) * (_SPARSE if self.is_joint else _DENSE))
        return np.concatenate([[0.0], np.geomspace(_LEAST, top, points)])

    def _several(self) -> list[Array]:
        """Newton's method from many places, and where zero is a fixed point, that."""
        rows = list(range(self.rows))

        def image(driver: Array) -> Array:
            if not np.isfinite(driver).all():
                return np.full_like(driver, np.nan)
            return self(np.clip(driver, 0.0, _LARGEST), grid=_LOOKING)[0]

        found = several_driver_roots(image, rows, [np.full(self.rows, y) for y in _STARTS])
        found = [y for y in found if (y >= 0).all() and y.max() > _LEAST]
        zero = np.zeros((self.rows, 1))
        return [zero[:, 0], *found] if not self(zero)[0].any() else found

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
