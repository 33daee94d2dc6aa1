"""Gaussian integrals tabulated once: E[f(e)], e ~ N(mu, q), at given means and any variance.

In x = s / (s + 2), s = sqrt(q), which takes all of 0 <= q < inf to 0 <= x < 1, the integral of a
smooth f is smooth, at both ends too; for f that grows like |e|^k it is after division by
(1 - x)^-k. It is interpolated at Chebyshev's points of equal pieces in x, and, where there are
many means, at Chebyshev's points of panels in mu. The error of every piece is what the last
coefficients, the quadrature at the nodes and rounding leave, raised until it holds at points in
between that are computed anew.

Eq. (gaussian-expectation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.compile import Program, compile_elementwise, compile_program

__all__ = ["GaussianTable", "TablePlace", "tabulate"]

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

#: The standard deviation at x = 1 / 2: activations bend where their argument is of this size.
SCALE = 2.0
# Coefficients of a piece, and how many pieces are tried: a kink asks for more than the last.
_NODES, _PIECES = 20, (8, 16, 32)
# Width of a panel of means and how many of its nodes are tried; fewer means are taken themselves.
_WIDTH, _MEANS = 2.0, (16, 22, 30)
# What the last coefficients of a piece may be, of its largest value: a tenth of what a
# fixed point's error may be where its map is far from slope 1.
_TAIL = 1e-10
# The sum of the coefficients that are left out, in units of the last three: they fall by 1/2 or
# faster where the last are that small.
_BEYOND = 2.0
# Chebyshev interpolation multiplies errors at 20 nodes by at most 1 + (2 / pi) log(20 + 1) + ..
_LEBESGUE = 3.0
# Roundings of a sum of 20 products, and of the place in its piece.
_ROUNDING = 64.0 * np.finfo(float).eps
# Where in every piece the table is measured, between its nodes, and at how many means.
_CHECKS, _CHECKED_MEANS = np.array([-0.96, 0.33]), 6
# The highest power that an integral may grow with: of m_2 of a quartic update.
_HIGHEST_GROWTH = 8
# Two deviations at which a growth like s^k is told from the next power.
_FAR = np.array([1e4, 1e5])
# Values that stand so far above their errors are no rounding.
_CLEAR = 100.0

# Chebyshev's points.
_NODE = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
# What makes coefficients of values there.
_TO_COEFFICIENTS = np.linalg.inv(chebvander(_NODE, _NODES - 1))


@dataclass(frozen=True, eq=False)
class TablePlace:
    """Where laws (mu, q) lie in a table: mean, the piece's row, -1 <= t <= 1 in it, and 1 - x."""

    index: Rows
    rows: Rows
    t: Array
    left: Array


@dataclass(frozen=True, eq=False)
class GaussianTable:
    """E[f_j(e)] at M means and every variance.

    Attributes:
        means: (M,), increasing.
        pieces: P.
        coefficients: (J, 20, M P), of Chebyshev's polynomials.
        errors: (J, M P), bounds of each piece.
        growth: k of each f_j ~ |e|^k, (J,).
        certain: f_j(mu), which is E[f_j] without variance, (J, M).
    """

    means: Array
    pieces: int
    coefficients: Array
    errors: Array
    growth: tuple[int, ...]
    certain: Array

    def index(self, mean: Array) -> Rows | None:
        """The places of means among the table's; None where one is not there."""
        found = np.minimum(np.searchsorted(self.means, mean), len(self.means) - 1)
        return found if (self.means.take(found) == mean).all() else None

    def place(self, index: Rows, variance: Array) -> TablePlace:
        """Where laws lie, by the places of their means; the arrays broadcast together."""
        s = np.sqrt(variance)
        x = s / (s + SCALE)
        scaled = x * self.pieces
        piece = np.minimum(scaled.astype(np.intp), self.pieces - 1)
        t = 2.0 * (scaled - piece) - 1.0
        rows = index * self.pieces + piece
        return TablePlace(index, rows, t, 1.0 - x)

    def values(self, j: int, place: TablePlace) -> Array:
        """E[f_j] there."""
        found = _clenshaw(self.coefficients[j], place)
        if self.growth[j]:
            found = found / place.left ** self.growth[j]
        if place.left.max(initial=0.0) < 1.0:
            return found
        return np.where(place.left == 1.0, self.certain[j].take(place.rows // self.pieces), found)

    def bounds(self, j: int, place: TablePlace) -> Array:
        """The error bounds of `values`."""
        found = self.errors[j].take(place.rows)
        if self.growth[j]:
            found = found / place.left ** self.growth[j]
        if place.left.max(initial=0.0) < 1.0:
            return found
        exact = _ROUNDING * np.abs(self.certain[j].take(place.rows // self.pieces))
        return np.where(place.left == 1.0, exact, found)


def _clenshaw(coefficients: Array, place: TablePlace) -> Array:
    """sum_k c_k T_k(t) with the coefficients (20, rows) of each place's row."""
    rows, twice = place.rows, 2.0 * place.t
    now, before = coefficients[-1].take(rows), 0.0
    for row in coefficients[-2:0:-1]:
        now, before = row.take(rows) + (twice * now - before), now
    return coefficients[0].take(rows) + (place.t * now - before)


def tabulate(bodies: Sequence[sp.Expr], variable: sp.Symbol, means: Array) -> GaussianTable | None:
    """A table of E[f_j(e)] for expressions f_j in one variable; None where 32 pieces do not do.

    Args:
        bodies: f_j, without other symbols.
        variable: e.
        means: (M,), increasing.
    """
    integrals = _integrals(tuple(bodies), variable)
    growth = _growth(integrals, means)
    if growth is None:
        return None
    for pieces in _PIECES:
        table = _table(integrals, means, pieces, growth)
        if table is not None:
            return table
    return None


@dataclass(frozen=True, eq=False)
class _Integrals:
    """The integrals to be tabulated, computed by quadrature; equal ones are the same object."""

    program: Program
    bodies: Callable[..., tuple[Array, ...]]

    def without_variance(self, means: Array) -> Array:
        """f_j(mu), (J, means)."""
        return np.stack(self.bodies(means))

    def __call__(self, means: Array, deviations: Array) -> tuple[Array, Array]:
        """Values and errors, (J, means, deviations)."""
        found = self.program(means[:, None], deviations**2)
        return np.stack(found.values), np.stack(found.errors)


@lru_cache(maxsize=64)
def _integrals(bodies: tuple[sp.Expr, ...], variable: sp.Symbol) -> _Integrals:
    mean, variance = sp.Symbol("mean", real=True), sp.Symbol("variance", nonnegative=True)
    nodes = [gaussian_expectation(f, [variable], [mean], [variance]) for f in bodies]
    program = compile_program([], nodes, [mean, variance])
    return _Integrals(program, compile_elementwise(bodies, [variable]))


def _growth(integrals: _Integrals, means: Array) -> tuple[int, ...] | None:
    """k of every E[f_j] ~ s^k; None where one grows faster than any power that is taken."""
    found, errors = (np.abs(part[:, 0]) for part in integrals(means[:1], _FAR))
    if not np.isfinite(found).all():
        return None
    # What is nothing but rounding has no growth.
    found = np.where(found > _CLEAR * errors, found, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log10(found[:, 1] / found[:, 0])
    powers = np.rint(np.nan_to_num(powers, nan=0.0, posinf=np.inf, neginf=0.0))
    if powers.max(initial=0.0) > _HIGHEST_GROWTH:
        return None
    return tuple(max(int(p), 0) for p in powers)


def _table(
    integrals: _Integrals, means: Array, pieces: int, growth: tuple[int, ...]
) -> GaussianTable | None:
    parts = [_panel(integrals, part, pieces, growth) for part in _panels(means)]
    if not all(part is not None for part in parts):
        return None
    coefficients, errors = (
        np.concatenate([part[i] for part in parts if part is not None], axis=1) for i in (0, 1)
    )
    count = len(coefficients)
    table = GaussianTable(
        means,
        pieces,
        np.ascontiguousarray(np.moveaxis(coefficients.reshape(count, -1, _NODES), 1, 2)),
        errors.reshape(count, -1),
        growth,
        integrals.without_variance(means),
    )
    return _measured(integrals, table)


def _panels(means: Array) -> list[Array]:
    """The means, by the panel that they are in."""
    panel = np.floor(means / _WIDTH)
    return np.split(means, np.flatnonzero(np.diff(panel)) + 1)


def _panel(
    integrals: _Integrals, means: Array, pieces: int, growth: tuple[int, ...]
) -> tuple[Array, Array] | None:
    """Coefficients (J, means, P, 20) and errors (J, means, P) at the means of one panel."""
    center = _WIDTH * (np.floor(means[0] / _WIDTH) + 0.5)
    for count in _MEANS:
        if len(means) <= count:
            found = _nodes(integrals, tuple(means.tolist()), pieces, growth)
            return (found.coefficients, found.errors) if found.converged else None
        node = np.cos(np.pi * (np.arange(count) + 0.5) / count)
        at = tuple((center + 0.5 * _WIDTH * node).tolist())
        found = _nodes(integrals, at, pieces, growth)
        if not found.converged:
            return None
        to = np.linalg.inv(chebvander(node, count - 1))
        size = np.abs(found.coefficients).sum(axis=(1, 3))
        last = np.einsum("km,jmpd->jkpd", to[-3:], found.coefficients)
        tail = _BEYOND * np.abs(last).sum(axis=(1, 3))
        if (tail <= _TAIL * size + found.errors.max(axis=1)).all():
            onto = chebvander((means - center) / (0.5 * _WIDTH), count - 1) @ to
            coefficients = np.einsum("um,jmpd->jupd", onto, found.coefficients, optimize=True)
            errors = np.einsum("um,jmp->jup", np.abs(onto), found.errors)
            return coefficients, errors + tail[:, None]
    return None


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Coefficients (J, means, P, 20) and errors (J, means, P) at nodes, and whether they end."""

    coefficients: Array
    errors: Array
    converged: bool


@lru_cache(maxsize=64)
def _nodes(
    integrals: _Integrals, means: tuple[float, ...], pieces: int, growth: tuple[int, ...]
) -> _Nodes:
    x = (np.arange(pieces)[:, None] + 0.5 * (_NODE + 1.0)) / pieces
    values, errors = integrals(np.array(means), (SCALE * x / (1.0 - x)).ravel())
    shape = (*values.shape[:2], pieces, _NODES)
    damping = (1.0 - x) ** np.array(growth)[:, None, None, None]
    values, errors = values.reshape(shape) * damping, errors.reshape(shape) * damping
    coefficients = values @ _TO_COEFFICIENTS.T
    tail = np.abs(coefficients[..., -3:]).sum(axis=-1)
    size = np.abs(values).max(axis=-1)
    ends = np.isfinite(tail).all() and (tail <= _TAIL * size + errors.max(axis=-1)).all()
    rounding = _ROUNDING * np.abs(coefficients).sum(axis=-1)
    total = _BEYOND * tail + _LEBESGUE * errors.max(axis=-1) + rounding
    return _Nodes(coefficients, total, bool(ends))


def _measured(integrals: _Integrals, table: GaussianTable) -> GaussianTable:
    """The table with its errors raised until they hold at points between its nodes."""
    rows = np.linspace(0, len(table.means) - 1, min(_CHECKED_MEANS, len(table.means)))
    index = np.unique(rows.astype(int))
    x = (np.arange(table.pieces)[:, None] + 0.5 * (_CHECKS + 1.0)).ravel() / table.pieces
    deviations = SCALE * x / (1.0 - x)
    values, own = integrals(table.means[index], deviations)
    place = table.place(index[:, None], deviations**2)
    factors = []
    for j in range(len(values)):
        off = np.abs(table.values(j, place) - values[j]) - own[j]
        bound = table.bounds(j, place)
        factors.append(max(1.0, float((off / np.maximum(bound, 1e-300)).max())))
    errors = table.errors * np.array(factors)[:, None]
    return replace(table, errors=errors)
