"""The untied recursion of one cell by tables of its integrals, for whole maps at once.

Arrays of parameters broadcast: over a grid each keeps the axis that it varies along, and an
integral is computed for the laws that occur, not for every point.

Eq. (affine), Eq. (fixed-point), Eq. (untied-tangent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import sympy as sp

from rnnmft.numerics.tabulated import TableStore, TabulatedProgram, tabulated_program
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.theory.notation import MomentKey

__all__ = ["Stationary", "TabulatedRecursion", "solved"]


# Moments, one array each: a list of those or an array (n, B).
Moments = Sequence[Array] | Array


class Stationary(NamedTuple):
    """The moments that are stationary at given preactivation variances, and how they move.

    `moments`: one array each, inf where none are stationary; `gap`: of the driver, F(Q) - Q, and
    `slope`: F'(Q) - 1.
    """

    moments: list[Array]
    gap: Array
    slope: Array


@dataclass(frozen=True, eq=False)
class TabulatedRecursion:
    """Programs of a recursion with one driver, by tables.

    Raises:
        Untabulated: an expectation that no table holds.
    """

    exact: UntiedRecursion
    store: TableStore = field(default_factory=TableStore)

    @property
    def driver(self) -> int:
        """The index of the moment on which the preactivation variances depend."""
        return self.exact.drivers[0]

    def _program(
        self,
        outputs: Sequence[sp.Expr],
        keys: Sequence[MomentKey] | None = None,
        before: Sequence[tuple[sp.Symbol, sp.Expr]] = (),
    ) -> TabulatedProgram:
        symbols = self.exact.symbols(self.exact.keys if keys is None else keys)
        assignments = [*self.exact.variances(), *before]
        arguments = [*symbols, *self.exact.parameters]
        return tabulated_program(assignments, outputs, arguments, self.store)

    @cached_property
    def _linear(self) -> TabulatedProgram:
        return self._program(self.exact.linear_moments())

    @cached_property
    def _slope(self) -> TabulatedProgram:
        return self._program(list(self.exact.derivation.variance_slope))

    @cached_property
    def _step(self) -> TabulatedProgram:
        q = [s for s, _ in self.exact.variances()]
        return self._program([*self.exact.derivation.moments.values(), *q])

    @cached_property
    def _tangent(self) -> TabulatedProgram:
        return self._program(list(self.exact.derivation.tangent.operator))

    def prepare(self) -> None:
        """Tell the store every body before anything is tabulated."""
        _ = self._linear, self._slope, self._step, self._tangent

    def _given(self, moments: Moments, point: Point) -> list[Array]:
        return [*moments, *(point[s] for s in self.exact.parameters)]

    # --- the driver's equation -----------------------------------------------------------------

    def _system(
        self, driver: Array, point: Point, given: Mapping[sp.Symbol, Array] | None = None
    ) -> tuple[list[list[Array]], list[Array]]:
        """Matrix and constant of the moments' affine map at a driver."""
        n = len(self.exact.keys)
        moments = [driver if i == self.driver else np.zeros(()) for i in range(n)]
        found = self._linear.values(*self._given(moments, point), given=given)
        return [found[i * n : (i + 1) * n] for i in range(n)], found[n * n :]

    def gap(
        self, driver: Array, point: Point, given: Mapping[sp.Symbol, Array] | None = None
    ) -> Array:
        """F(Q) - Q; +inf where nothing is stationary. `given`: known variances, by symbol."""
        matrix, constant = self._system(driver, point, given)
        return solved(matrix, constant)[self.driver] - driver

    def stationary(self, driver: Array, point: Point) -> Stationary:
        """The stationary moments at a driver, of shape (B,), with the slope of the gap.

        dm/dQ = (1 - A)^{-1} (M - A) e, with A the moments' matrix at fixed variances, M the slope
        of the whole map and e the driver's direction.
        """
        matrix, constant = self._system(driver, point)
        moments = solved(matrix, constant)
        at = [np.broadcast_to(m, driver.shape) for m in moments]
        at[self.driver] = driver
        n, d = len(moments), self.driver
        slopes = self._slope.values(*self._given(at, point))
        moved = [slopes[i * n + d] - matrix[i][d] for i in range(n)]
        return Stationary(at, moments[d] - driver, solved(matrix, moved)[d] - 1.0)

    # --- at fixed points -----------------------------------------------------------------------

    def step(self, moments: Moments, point: Point) -> tuple[Array, Array]:
        """New moments and their error bounds, (n, B) each."""
        found = self._bounded(self._step, moments, point)
        n = len(self.exact.keys)
        return found[0][:n], found[1][:n]

    def stepped(self, moments: Moments, point: Point) -> Array:
        """New moments alone, (n, B)."""
        found = self._step.values(*self._given(moments, point))
        return _full(found[: len(self.exact.keys)], len(moments[0]))

    def variances(self, moments: Moments, point: Point) -> tuple[Array, Array]:
        """q of every preactivation and its error bounds, (K, B) each."""
        found = self._bounded(self._step, moments, point)
        n = len(self.exact.keys)
        return found[0][n:], found[1][n:]

    def slope(self, moments: Moments, point: Point) -> tuple[Array, Array]:
        """The Jacobian of the moment map, (B, n, n), and its entries' error bounds."""
        return _matrices(*self._bounded(self._slope, moments, point))

    def tangent(self, moments: Moments, point: Point) -> tuple[Array, Array]:
        """The operator on E[ds_a ds_b], (B, pairs, pairs), and its entries' error bounds."""
        return _matrices(*self._bounded(self._tangent, moments, point))

    def singles(
        self, expressions: Sequence[sp.Expr], moments: Moments, point: Point
    ) -> tuple[Array, Array]:
        """Expressions in the moments, variances and expectations, and their bounds, (k, B) each."""
        return self._bounded(self._program(expressions), moments, point)

    def jacobian_moments(
        self, highest: int, weights: Mapping[str, str], moments: Moments, point: Point
    ) -> tuple[Array, Array]:
        """m_1..m_highest of one step's J J^T and their error bounds, (highest, B) each."""
        chain = self.exact.derivation.jacobian.program(highest, dict(weights))
        before = [*chain.averages.items(), *chain.self_energies.items()]
        theory = self.exact.derivation.theory
        used = [*chain.moments, *(e for _, e in before)]
        needed = dict.fromkeys(k for e in used for k in theory.moments_in(e))
        closed = theory.closure(needed)
        higher = [k for k in closed if k not in self.exact.keys]
        rows = [*moments, *self._higher(higher, closed, moments, point)]
        program = self._program(chain.moments, [*self.exact.keys, *higher], before)
        return self._bounded(program, rows, point)

    def _higher(
        self,
        higher: Sequence[MomentKey],
        closed: Mapping[MomentKey, sp.Expr],
        moments: Moments,
        point: Point,
    ) -> list[Array]:
        """Stationary moments of higher degree, the recursion's own held fixed."""
        if not higher:
            return []
        program = self._program(self.exact.linear([closed[k] for k in higher], higher))
        found, n = program.values(*self._given(moments, point)), len(higher)
        matrix = [found[i * n : (i + 1) * n] for i in range(n)]
        return solved(matrix, found[n * n :])

    def _bounded(
        self, program: TabulatedProgram, moments: Moments, point: Point
    ) -> tuple[Array, Array]:
        values, errors = program.bounds(*self._given(moments, point))
        size = len(moments[0])
        return _full(values, size), _full(errors, size)


def _full(values: Sequence[Array], size: int) -> Array:
    return np.stack([np.broadcast_to(v, (size,)) for v in values])


def _matrices(values: Array, errors: Array) -> tuple[Array, Array]:
    """Rows of entries, (n n, B), as matrices (B, n, n)."""
    n = round(len(values) ** 0.5)
    return tuple(np.moveaxis(a.reshape(n, n, -1), -1, 0) for a in (values, errors))  # type: ignore[return-value]


def solved(matrix: list[list[Array]], constant: list[Array]) -> list[Array]:
    """Solutions of m = A m + c, one array each; +inf where A's spectral radius is not below 1."""
    if len(constant) == 1:
        left = 1.0 - matrix[0][0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return [np.where((left > 0.0) & (left < 2.0), constant[0] / left, np.inf)]
    if len(constant) == 2:
        return _solved_pair(matrix, constant)
    shape = np.broadcast_shapes(*(a.shape for row in matrix for a in row))
    shape = np.broadcast_shapes(shape, *(c.shape for c in constant))
    full = np.stack(
        [np.stack([np.broadcast_to(a, shape) for a in row], axis=-1) for row in matrix], axis=-2
    )
    right = np.stack([np.broadcast_to(c, shape) for c in constant], axis=-1)
    settles = np.abs(np.linalg.eigvals(full)).max(axis=-1) < 1.0
    full = np.where(settles[..., None, None], full, 0.0)
    solved = np.linalg.solve(np.eye(len(constant)) - full, right[..., None])[..., 0]
    solved = np.where(settles[..., None], solved, np.inf)
    return list(np.moveaxis(solved, -1, 0))


def _solved_pair(matrix: list[list[Array]], constant: list[Array]) -> list[Array]:
    """The same for two moments, by Cramer's rule and Jury's criterion."""
    (a, b), (c, d) = matrix
    determinant, trace = a * d - b * c, a + d
    left = 1.0 - trace + determinant
    settles = (left > 0.0) & (1.0 + trace + determinant > 0.0) & (determinant < 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = ((1.0 - d) * constant[0] + b * constant[1]) / left
        second = (c * constant[0] + (1.0 - a) * constant[1]) / left
    return [np.where(settles, x, np.inf) for x in (first, second)]
