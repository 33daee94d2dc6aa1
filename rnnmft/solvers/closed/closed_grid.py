"""A cell whose moments close, at a whole map of parameters: every quantity with its errors.

Eq. (fixed-point), Eq. (xi), Eq. (chi-1), Eq. (m1), Eq. (m2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import correlation, correlation_error, defined
from rnnmft.numerics.tabulated import Untabulated
from rnnmft.solvers.closed.by_quadrature import ByQuadrature
from rnnmft.solvers.closed.cross_map import CrossStates, cross_states
from rnnmft.solvers.closed.cross_program import CrossProgram
from rnnmft.solvers.closed.map_states import MapStates, map_states
from rnnmft.solvers.closed.reached_grid import Reached, reach, spectral_radius
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.sensitivity import displaced_batch
from rnnmft.solvers.closed.start import start_moments
from rnnmft.solvers.closed.tabulated import TabulatedRecursion

__all__ = ["ClosedGrid", "MapEstimate"]

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


class MapEstimate(NamedTuple):
    """A quantity over the map and its error bounds, (k, B) each; nan where it is not certain."""

    values: Array
    errors: Array


@dataclass(frozen=True, eq=False)
class ClosedGrid:
    """The untied theory at the points of a map, B in all.

    Args:
        recursion: of the cell.
        point: arrays by parameter symbol that broadcast to `shape`.
        shape: of the map.
        weights: the kind of weights by preactivation.
        start: {state: standard deviation at t = 0}; 0 for a state that is absent.
    """

    recursion: UntiedRecursion
    point: Point
    shape: tuple[int, ...]
    weights: Mapping[str, str]
    start: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """B."""
        return int(np.prod(self.shape))

    @cached_property
    def flat(self) -> Point:
        """The parameters of every point, (B,) each."""
        return {s: np.broadcast_to(v, self.shape).reshape(-1) for s, v in self.point.items()}

    def _at(self, rows: Rows) -> Point:
        return {symbol: values[rows] for symbol, values in self.flat.items()}

    def by_tables(self, rows: Rows) -> ClosedGrid:
        """Some of the points as a map of their own, its integrals by NumPy's tables."""
        recursion, start = replace(self.recursion, backend="numpy"), self.start
        return ClosedGrid(recursion, self._at(rows), (len(rows),), self.weights, start)

    # --- fixed points --------------------------------------------------------------------------

    @cached_property
    def _start(self) -> tuple[Array, Array]:
        return start_moments(self.recursion, self.start, self.flat)

    @cached_property
    def _tabulated(self) -> tuple[TabulatedRecursion, MapStates] | None:
        """The recursion by tables and all fixed points; None where tables do not do.

        Tables are NumPy's. On a backend of its own a recursion has its quadratures.
        """
        if self.recursion.backend != "numpy":
            return None
        if len(self.recursion.drivers) != 1 or self.recursion.derivation.cell.averages:
            return None
        tables = TabulatedRecursion(self.recursion)
        try:
            tables.prepare()
            return tables, map_states(tables, self.point, self.shape, self._start[0])
        except Untabulated:
            return None

    @property
    def method(self) -> str:
        """How the integrals are computed: "tables" or "quadrature"."""
        return "quadrature" if self._tabulated is None else "tables"

    @property
    def states(self) -> MapStates | None:
        """All fixed points of all points; None where integrals are computed by quadrature."""
        return None if self._tabulated is None else self._tabulated[1]

    @property
    def _engine(self) -> TabulatedRecursion | ByQuadrature:
        return ByQuadrature(self.recursion) if self._tabulated is None else self._tabulated[0]

    @cached_property
    def reached(self) -> Reached:
        """The fixed point that the start approaches."""
        if self._tabulated is not None:
            return self._tabulated[1].as_reached()
        recursion = self.recursion
        return reach(
            lambda x, rows: recursion.step(x, self._at(rows))[:2],
            lambda x, rows: recursion.slope(x, self._at(rows)),
            self._start[0],
        )

    @property
    def unstable(self) -> Flags:
        """Where the start rests at a fixed point that is not stable, (B,)."""
        return self.reached.certain & ~(self.reached.slope < 1.0)

    @cached_property
    def _moments(self) -> Array:
        return np.where(self.reached.certain, self.reached.values, 0.0)

    @cached_property
    def _beside(self) -> tuple[Array, Array]:
        """Moments displaced along their errors, and what scales the change back to the errors."""
        errors = np.where(self.reached.certain, self.reached.error, 0.0)
        by, factor = displaced_batch(self._moments, errors)
        return self._moments + by, factor

    def _moved(self, step: Callable[[Array], tuple[Array, Array]]) -> MapEstimate:
        """A function of the moments, (k, B), with its own errors and what theirs do to it."""
        values, own = step(self._moments)
        beside, factor = self._beside
        with np.errstate(invalid="ignore"):  # inf - inf, where what is asked does not exist
            changed = factor * np.abs(step(beside)[0] - values)
        return self._sure(values, own + changed)

    def _sure(self, values: Array, errors: Array, also: Flags | None = None) -> MapEstimate:
        certain = self.reached.certain if also is None else self.reached.certain & also
        return MapEstimate(np.where(certain, values, np.nan), np.where(certain, errors, np.nan))

    @property
    def squares(self) -> list[int]:
        """The places of E[s^2] of every state among the moments."""
        recursion = self.recursion
        n = recursion.derivation.notation
        return [recursion.keys.index(n.state_key(s, s)) for s in recursion.derivation.cell.states]

    @cached_property
    def undefined(self) -> Flags:
        """Where a state has no variance, so that nothing correlates, (B,)."""
        squares = self.squares
        second, errors = self._moments[squares], self.reached.error[squares]
        return self.reached.certain & ~defined(second, errors).all(axis=0)

    # --- two trajectories ----------------------------------------------------------------------

    @cached_property
    def _cross(self) -> CrossStates:
        """The stationary cross moment of two trajectories, unrelated at first, there.

        By series; by quadrature where these do not end, or there are several cross moments.
        """
        found = self._cross_by_series()
        open_ = self.reached.certain & ~self.undefined & ~self.unstable
        if found is None:
            found = CrossStates.unknown(len(self.squares), self.size)
        rows = np.flatnonzero(open_ & ~found.certain)
        if len(rows):
            recursion = self.recursion
            n = recursion.derivation.notation
            pairs = [n.state_key(s, s, trajectories=2) for s in recursion.derivation.cell.states]
            columns = [recursion.cross_keys.index(k) for k in pairs]
            found.fill(rows, self._cross_by_quadrature(rows), columns, recursion.rtol)
        return found

    def _cross_by_series(self) -> CrossStates | None:
        if self._tabulated is None:
            return None
        try:
            program, tables = CrossProgram(self.recursion), self._tabulated[0]
            single = self._moved(lambda m: tables.singles(program.singles, m, self.flat))
        except Untabulated:
            return None
        wanted = self.reached.certain & ~self.undefined & ~self.unstable
        limit = self._moments[self.squares[0]]
        found = cross_states(program, self.flat, limit, *single, wanted)
        n, chi_1 = self.recursion.derivation.notation, self._chi_1
        identical = self.flat[n.R] * (1.0 - self.flat[n.c_x]) == 0.0
        rows = np.flatnonzero(wanted & identical & (chi_1.values[0] < 1.0))
        found.identify(rows, limit, chi_1.values[0], chi_1.errors[0])
        return found

    def _cross_by_quadrature(self, rows: Rows) -> Reached:
        recursion, at, point = self.recursion, self._moments[:, rows], self._at(rows)

        def there(some: Rows) -> Point:
            return {symbol: values[some] for symbol, values in point.items()}

        return reach(
            lambda x, some: recursion.cross_step(x, at[:, some], there(some))[:2],
            lambda x, some: recursion.cross_slope(x, at[:, some], there(some)),
            np.zeros((len(recursion.cross_keys), len(rows))),
        )

    @property
    def by_quadrature(self) -> int:
        """How many points' correlations were left to quadrature."""
        return int(self._cross.by_quadrature.sum())

    def correlation(self) -> MapEstimate:
        """c* of each state, (states, B)."""
        cross, second = self._cross, self._moments[self.squares]
        value = correlation(cross.cross, second)
        off = cross.error, self.reached.error[self.squares]
        return self._sure(value, correlation_error(cross.cross, second, *off), cross.certain)

    def xi_c(self) -> MapEstimate:
        """-1/log of the slope of the correlation map at c*, (1, B)."""
        found = _timescale(self._cross.slope, self._cross.slope_error)
        return self._sure(*found, self._cross.certain & ~self.undefined)

    # --- quantities of one trajectory ----------------------------------------------------------

    def second_moment(self) -> MapEstimate:
        """E[s^2] of each state, (states, B)."""
        squares = self.squares
        return self._sure(self.reached.values[squares], self.reached.error[squares])

    def preactivation_variance(self) -> MapEstimate:
        """q of each preactivation, (preactivations, B)."""
        return self._moved(lambda m: self._engine.variances(m, self.flat))

    def xi_q(self) -> MapEstimate:
        """-1/log of the slope of the moment map, (1, B)."""
        slope = self._moved(lambda m: _radius(*self._engine.slope(m, self.flat)))
        return MapEstimate(*_timescale(*slope))

    @cached_property
    def _chi_1(self) -> MapEstimate:
        return self._moved(lambda m: _radius(*self._engine.tangent(m, self.flat)))

    def chi_1(self) -> MapEstimate:
        """Slope of the correlation map at c = 1 with identical inputs, (1, B).

        There E[(s_a - s_b)^2] obeys the tangent process, so this is the growth factor of gradients:
        the same number as the leading eigenvalue of `cross_slope`, without bivariate integrals.
        """
        return self._chi_1

    def gradient_growth(self) -> MapEstimate:
        """log of the tangent operator's leading eigenvalue, per step, (1, B)."""
        chi, error = self._chi_1
        # log 0 = -inf: gradients vanish in one step.
        with np.errstate(divide="ignore", invalid="ignore"):
            return MapEstimate(np.log(chi), np.where(chi > 0.0, error / chi, error))

    def m_1(self) -> MapEstimate:
        """Mean of the one-step J J^T, (1, B)."""
        return self._jacobian(1)

    def m_2(self) -> MapEstimate:
        """Second moment of the one-step J J^T, (1, B)."""
        return self._jacobian(2)

    def _jacobian(self, order: int) -> MapEstimate:
        def moments(m: Array) -> tuple[Array, Array]:
            found = self._engine.jacobian_moments(order, self.weights, m, self.flat)
            return found[0][-1:], found[1][-1:]

        found = self._moved(moments)
        return self._sure(*found, np.isfinite(found.values[0]))

    @property
    def quantities(self) -> dict[str, Callable[[], MapEstimate]]:
        """Every quantity by name."""
        named = (
            self.second_moment,
            self.preactivation_variance,
            self.correlation,
            self.xi_q,
            self.xi_c,
            self.chi_1,
            self.gradient_growth,
            self.m_1,
            self.m_2,
        )
        return {function.__name__: function for function in named}

    def fixed_point_error(self) -> Array:
        """The largest error bound of the moments, (B,)."""
        errors = self.reached.error.max(axis=0, initial=0.0)
        return np.where(self.reached.certain, errors, np.nan)


def _radius(matrices: Array, errors: Array) -> tuple[Array, Array]:
    """Spectral radii (1, B); their errors are at most the largest sum of a row's."""
    return spectral_radius(matrices)[None], errors.sum(axis=2).max(axis=1)[None]


def _timescale(slope: Array, error: Array) -> tuple[Array, Array]:
    """xi and its error, as `solvers.timescale` has them."""

    def xi(slope: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = -1.0 / np.log(slope)
        # What log makes of slopes that are 0 or above 1 is replaced; of unknown ones nan stays.
        return np.where(slope == 0.0, 0.0, np.where(slope >= 1.0, np.inf, found))

    values = np.atleast_2d(xi(slope))
    with np.errstate(invalid="ignore"):
        moved = np.where(slope + error < 1.0, xi(slope + error) - xi(slope), np.inf)
    return values, np.atleast_2d(np.where(slope - error >= 1.0, 0.0, moved))
