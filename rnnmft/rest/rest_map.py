"""The numbers by which a network at rest makes itself: fixed points of a map.

They are the second moments of what matrices see, Y_r = E[y_r^2], and averages over units, m_a:

    T_r = E[y_r(e)^2],    T_a = E[f_a(e)],    e_k ~ N(mu_k, sigma_w,k^2 Y_r(k) + sigma_b,k^2).

Where one of them breaks every circle of influence, the others follow from it and all fixed points
are the roots of one function on a line; else Newton's method starts from many places.

Eq. (rest), Eq. (rest-averages).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble
from rnnmft.language.laws import Constant, Normal
from rnnmft.rest.averages import FactoredAverages, Gaussians
from rnnmft.rest.positive_roots import positive_roots
from rnnmft.rest.signed_roots import signed_roots
from rnnmft.solvers.closed.fixed_points import linear_error
from rnnmft.solvers.closed.scalar_roots import scalar_roots
from rnnmft.theory.rest import RestingUnit, resting_unit

__all__ = ["FLAT", "STEP", "Kinds", "Rest", "RestMap"]

Array = NDArray[np.float64]
#: Where roots are looked for: from where the largest variance is rounding's to where no state is.
_LEAST, _LARGEST = 1e-12, 1e8
#: Beside a fixed point at zero: what Newton's method at many places takes for zero.
_SIGNED_LEAST = 1e-10
#: Points a decade; of which a quarter where grids of several variables make each dear.
_DENSE, _SPARSE = 24, 6
#: Points of such grids while roots are looked for: errors of 1e-5 in milliseconds.
_LOOKING = 100_000
#: No root is beyond so many times the largest value of the map: the grid of that has 2 points a
#: decade, between which second moments change by less.
_BEYOND = 10.0
#: Steps of the differences that tell slopes: the root of what quadrature leaves; where Y is 0.
STEP, _AT_ZERO = 1e-5, 1e-8
#: How far a root moves at most as errors of 1e-5 are mended: farther near zero than elsewhere.
_MOVED = (1.01, 2.0, 1e2, 1e6)
#: Of a root: rounding; digits that order them, so that m and -m come in one order.
_TIGHT, _DIGITS = 1e-14, 9
#: A slope so near to 1 is 1; fixed points of one Y, all with such a slope, that make a continuum.
FLAT, _MANY = 1e-7, 3
#: Relative errors above this are no result; nothing is smaller than the least float.
_TOLERANCE, _TINY = 1e-2, np.finfo(float).tiny


@dataclass(frozen=True, eq=False)
class Rest:
    """A fixed point of the map: Y and m (R,), bounds of errors, the slope (R, R), a status.

    Of a continuum of fixed points it is one, `continuum` says of how many dimensions that is, and
    bounds are of the distance to it.
    """

    seen: Array
    error: Array
    slope: Array
    status: Status
    continuum: int = 0


@dataclass(frozen=True)
class Kinds:
    """What each symbol of a cell is to an average: Gaussian, of another law, or a given number."""

    gaussian: tuple[sp.Symbol, ...]
    parameters: tuple[sp.Symbol, ...]
    given: tuple[sp.Symbol, ...]

    @classmethod
    def of(cls, cell: Cell, ensemble: Ensemble) -> Kinds:
        """By the laws of the parameters."""
        laws = {s: ensemble.parameters[s.name] for s in cell.parameters}
        normal = [s for s, law in laws.items() if isinstance(law, Normal)]
        fixed = [s for s, law in laws.items() if isinstance(law, Constant)]
        others = [s for s in laws if s not in normal and s not in fixed]
        return cls((*cell.preactivations, *normal), tuple(others), (*fixed, *cell.averages))

    def averages(self, expressions: Sequence[sp.Expr], *given: sp.Symbol) -> FactoredAverages:
        """Averages of expressions in these symbols and further given ones."""
        return FactoredAverages(expressions, self.gaussian, self.parameters, (*self.given, *given))


@lru_cache(maxsize=64)
def _averages(cell: Cell, kinds: Kinds) -> FactoredAverages:
    unit = resting_unit(cell)
    return kinds.averages([*(y**2 for y in unit.seen), *unit.averaged.values()])


@dataclass(frozen=True, eq=False)
class RestMap:
    """T at one ensemble. Eq. (rest), Eq. (rest-averages)."""

    cell: Cell
    ensemble: Ensemble

    @cached_property
    def unit(self) -> RestingUnit:
        """The unit at rest."""
        return resting_unit(self.cell)

    @cached_property
    def kinds(self) -> Kinds:
        """What its symbols are."""
        return Kinds.of(self.cell, self.ensemble)

    @property
    def rows(self) -> int:
        """R: of second moments and averages."""
        return self.squares + len(self.unit.averaged)

    @property
    def squares(self) -> int:
        """How many rows, the first, are second moments."""
        return len(self.unit.seen)

    def laws(self, seen: Array) -> Gaussians:
        """The laws of preactivations and parameters at Y and m, (R, B)."""
        mean, variance, given, drawn = {}, {}, {}, {}
        for p in self.cell.preactivations:
            law = self.ensemble[p.name]
            mean[p] = law.mu_b
            variance[p] = np.full(seen.shape[1:], law.sigma_b**2)
            if p in self.unit.row:
                variance[p] = variance[p] + law.sigma_w**2 * seen[self.unit.row[p]]
        for s in self.cell.parameters:
            own = self.ensemble.parameters[s.name]
            if s in self.kinds.gaussian:
                mean[s], variance[s] = own.mean, np.full(seen.shape[1:], own.variance)
            elif s in self.kinds.given:
                given[s] = own.mean
            else:
                drawn[s] = own
        given |= dict(zip(self.unit.averaged, seen[self.squares :], strict=True))
        return Gaussians(mean, variance, drawn, given)

    def __call__(self, seen: Array, **options: Any) -> tuple[Array, Array]:
        """T and its error bounds, (R, B) each."""
        return _averages(self.cell, self.kinds)(self.laws(seen), **options)

    @cached_property
    def feeds(self) -> list[set[int]]:
        """For each row, the rows on which its T depends."""
        found = []
        for y in (*self.unit.seen, *self.unit.averaged.values()):
            linked = [p for p in self.unit.row if y.has(p) and self.ensemble[p.name].sigma_w > 0]
            found.append({self.unit.row[p] for p in linked})
            found[-1] |= {self.squares + a for a, m in enumerate(self.unit.averaged) if y.has(m)}
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
        """All fixed points, by increasing Y and m."""
        found = sorted(self.found(), key=lambda y: tuple(y.round(_DIGITS)))
        rests = [self._rest(y) for y in found]
        flat = [r for r in rests if self._flat(r)]
        alone = []
        for r in rests:
            like = [s for s in flat if np.allclose(r.seen[: self.squares], s.seen[: self.squares])]
            if not self._flat(r) or len(like) < _MANY:
                alone.append(r)
            elif r is like[0]:
                alone.append(self._rest(r.seen, self._flat(r)))
        return alone

    @staticmethod
    def _flat(rest: Rest) -> int:
        """Along how many directions the map moves nothing, in the linear order."""
        return int((np.abs(np.linalg.eigvals(rest.slope) - 1.0) < FLAT).sum())

    def found(self) -> list[Array]:
        """Y and m (R,) of each, without their errors."""
        straight = self._order(None)
        if straight is not None:
            return [self._followed(straight, {}, 1)[:, 0]]
        lines = ((v, self._order(v)) for v in range(self.rows))
        line = next(((v, order) for v, order in lines if order is not None), None)
        return self._several() if line is None else self._on_line(*line)

    def _followed(
        self, order: list[int], known: dict[int, Array], size: int, **options: Any
    ) -> Array:
        """All rows, (R, B), one after the other, from those known."""
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

        sides = [1.0] if v < self.squares else [1.0, -1.0]
        roots: set[float] = set()
        for side in sides:

            def beside(x: Array, side: float = side, **options: Any) -> Array:
                return side * gap(side * x, **options)

            found = scalar_roots(partial(beside, grid=_LOOKING), self._grid(beside))
            if self.is_joint:  # once more, with all points
                found = _closed(lambda y: float(beside(np.array([y]))[0]), found)
            roots |= {side * y + 0.0 for y in found}
        return [self._followed(order, {v: np.array([y])}, 1)[:, 0] for y in sorted(roots)]

    def blur(self, seen: Array) -> Array:
        """What is left open of T at Y, (R,), while roots are looked for."""
        return self(seen[:, None], grid=_LOOKING)[1][:, 0]

    @property
    def is_joint(self) -> bool:
        """Whether some average joins several variables."""
        return _averages(self.cell, self.kinds).is_joint

    def _grid(self, gap: Any) -> Array:
        """Where roots are looked for."""
        least = _LEAST / max([1.0, *(law.sigma_w**2 for law in self.ensemble.values())])
        rough = np.geomspace(least, _LARGEST, 41)
        largest = np.nanmax(gap(rough, grid=_LOOKING) + rough)
        top = min(_LARGEST, max(_BEYOND * largest, 10 * least))
        points = round(np.log10(top / least) * (_SPARSE if self.is_joint else _DENSE))
        return np.concatenate([[0.0], np.geomspace(least, top, points)])

    def _several(self) -> list[Array]:
        """Newton's method from many places, and where zero is a fixed point, that."""
        image, least = partial(self._image, grid=_LOOKING), _LEAST
        if self.rows > self.squares:
            least = _SIGNED_LEAST
            found = signed_roots(image, self.squares, self.rows)
        else:
            found = positive_roots(image, self.rows)
        zero = np.zeros(self.rows)
        if self(zero[:, None])[0].any():
            return found
        return [zero, *(y for y in found if np.abs(y).max() > least)]

    def _image(self, seen: Array, **options: Any) -> Array:
        return self(seen, **options)[0]

    def _rest(self, seen: Array, continuum: int = 0) -> Rest:
        value, error = self(seen[:, None])
        slope = self.slope_of(lambda y: self(y)[0], seen)
        left = np.abs(value[:, 0] - seen) + error[:, 0]
        bound = linear_error(slope, left)
        if continuum:
            bound = np.abs(np.linalg.pinv(np.eye(self.rows) - slope, rcond=FLAT)) @ left
        good = bool((bound <= _TOLERANCE * np.maximum(self._scale(seen), _TINY)).all())
        return Rest(seen, bound, slope, Status.OK if good else Status.NOT_CONVERGED, continuum)

    def _scale(self, seen: Array) -> Array:
        """What errors are compared with: Y, or m and the size of what it averages."""
        size = np.abs(seen)
        size[self.squares :] = np.maximum(
            size[self.squares :], np.sqrt(size[: self.squares].max(initial=0.0))
        )
        return size

    def slope_of(self, function: Any, seen: Array, step: float = STEP) -> Array:
        """d function / d(Y, m), (J, R), by differences; a function of (R, B) that gives (J, B)."""
        signed = np.arange(self.rows) >= self.squares
        size = self._scale(seen)
        moved = np.where(size > 0, step * size, np.where(signed, step, _AT_ZERO))
        base = np.where((seen != 0) | signed, seen - moved, 0.0)
        high = function(seen[:, None] + np.diag(moved))
        low = function(seen[:, None] - np.diag(seen - base))
        return (high - low) / (seen + moved - base)


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
