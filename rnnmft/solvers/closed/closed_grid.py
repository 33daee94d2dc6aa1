"""A cell whose moments close, at a whole batch of parameters: every quantity, vectorised.

Eq. (fixed-point), Eq. (xi), Eq. (chi-1), Eq. (m1), Eq. (m2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import correlation, defined
from rnnmft.solvers.closed.reached_grid import Reached, reach
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.start import start_moments

__all__ = ["ClosedGrid"]

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class ClosedGrid:
    """The untied theory at B points. Values are nan where they are not certain.

    Args:
        recursion: of the cell.
        point: arrays of shape (B,) by parameter symbol.
        weights: the kind of weights by preactivation.
        start: {state: standard deviation at t = 0}; 0 for a state that is absent.
    """

    recursion: UntiedRecursion
    point: Point
    weights: Mapping[str, str]
    start: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """B."""
        return len(next(iter(self.point.values())))

    def _at(self, rows: Rows) -> Point:
        return {symbol: values[rows] for symbol, values in self.point.items()}

    @cached_property
    def reached(self) -> Reached:
        """The fixed point that the start approaches."""
        of = self.recursion
        return reach(
            lambda x, rows: of.step(x, self._at(rows))[:2],
            lambda x, rows: of.slope(x, self._at(rows)),
            start_moments(of, self.start, self.point)[0],
        )

    @cached_property
    def _cross(self) -> Reached:
        """The stationary cross moments of two trajectories, unrelated at first, there."""
        of, at = self.recursion, self._moments
        return reach(
            lambda x, rows: of.cross_step(x, at[:, rows], self._at(rows))[:2],
            lambda x, rows: of.cross_slope(x, at[:, rows], self._at(rows)),
            np.zeros((len(of.cross_keys), self.size)),
        )

    @property
    def _moments(self) -> Array:
        return np.where(self.reached.certain, self.reached.values, 0.0)

    def _square(self, state: str) -> int:
        n = self.recursion.derivation.notation
        (s,) = (s for s in self.recursion.derivation.cell.states if s.name == state)
        return self.recursion.keys.index(n.state_key(s, s))

    def _states(self) -> list[str]:
        return [s.name for s in self.recursion.derivation.cell.states]

    def _sure(self, values: Array, also: Flags | None = None) -> Array:
        certain = self.reached.certain if also is None else self.reached.certain & also
        return np.where(certain, values, np.nan)

    @property
    def undefined(self) -> Flags:
        """Where a state has no variance, so that nothing correlates, (B,)."""
        squares = [self._square(s) for s in self._states()]
        return self.reached.certain & ~defined(self._moments[squares], self.reached.error).all(
            axis=0
        )

    # --- quantities ----------------------------------------------------------------------------

    def second_moment(self) -> Array:
        """E[s^2] of each state, (states, B)."""
        rows = [self.reached.values[self._square(s)] for s in self._states()]
        return self._sure(np.stack(rows))

    def fixed_point_error(self) -> Array:
        """The error bound of the moments, (B,)."""
        return self._sure(self.reached.error)

    def preactivation_variance(self) -> Array:
        """q of each preactivation, (preactivations, B)."""
        return self._sure(self.recursion.step(self._moments, self.point)[2])

    def correlation(self) -> Array:
        """c* of each state, (states, B)."""
        n, of = self.recursion.derivation.notation, self.recursion
        rows = []
        for s in of.derivation.cell.states:
            cross = self._cross.values[of.cross_keys.index(n.state_key(s, s, trajectories=2))]
            second = self._moments[self._square(s.name)]
            rows.append(correlation(cross, second))
        return self._sure(np.stack(rows), self._cross.certain)

    def xi_q(self) -> Array:
        """-1/log of the slope of the moment map, (B,)."""
        return self._sure(_timescale(self.reached.slope))

    def xi_c(self) -> Array:
        """-1/log of the slope of the correlation map at c*, (B,)."""
        return self._sure(_timescale(self._cross.slope), self._cross.certain & ~self.undefined)

    def chi_1(self) -> Array:
        """Slope of the correlation map at c = 1 with identical inputs, (B,).

        There E[(s_a - s_b)^2] obeys the tangent process, so this is the growth factor of gradients:
        the same number as the leading eigenvalue of `cross_slope`, without bivariate integrals.
        """
        return self._sure(_radius(self.recursion.tangent(self._moments, self.point)))

    def gradient_growth(self) -> Array:
        """log of the tangent operator's leading eigenvalue, per step, (B,)."""
        with np.errstate(divide="ignore"):  # log 0 = -inf: gradients vanish in one step
            return np.log(self.chi_1())

    def m_1(self) -> Array:
        """Mean of the one-step J J^T, (B,)."""
        return self._jacobian(1)

    def m_2(self) -> Array:
        """Second moment of the one-step J J^T, (B,)."""
        return self._jacobian(2)

    def _jacobian(self, order: int) -> Array:
        found, _, codes = self.recursion.jacobian_moments(
            order, self.weights, self._moments, self.point
        )
        return self._sure(found[order - 1], codes < 1)

    @property
    def quantities(self) -> dict[str, Callable[[], Array]]:
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
            self.fixed_point_error,
        )
        return {function.__name__: function for function in named}


def _radius(matrices: Array) -> Array:
    usable = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.where(np.expand_dims(usable, (1, 2)), matrices, 0.0)
    return np.where(usable, np.abs(np.linalg.eigvals(safe)).max(axis=1), np.nan)


def _timescale(slope: Array) -> Array:
    # What log makes of slopes that are 0, above 1 or unknown is replaced below, or stays nan.
    with np.errstate(divide="ignore", invalid="ignore"):
        xi = -1.0 / np.log(slope)
    return np.where(slope == 0, 0.0, np.where(slope >= 1, np.inf, xi))
