"""Cells whose states are linear in the history of their preactivations: Gaussian states.

Where every update is linear with constant coefficients and each W sees a function of one linear
combination of the states,

    s' = A s + B e + c x + d,      y_k = Y_k(u_k),      u_k = r_k s,

the preactivations are Gaussian processes, and so are the states, whose two-time covariances are
linear filters of theirs. E[y_k^t y_k^s] is then an integral over the Gaussian pair (u_k^t, u_k^s),
and the tied theory closes. The rate network h' = (1 - d) h + d e, e = W phi(h) + b, is the one that
everybody knows [sompolinsky1988].

Eq. (gaussian-states).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import sympy as sp

from rnnmft.closed_forms import closed_form
from rnnmft.dirac_deltas import without_deltas
from rnnmft.errors import DerivationError
from rnnmft.expectation import GaussianExpectation
from rnnmft.language import Cell, Preactivation
from rnnmft.theory.independence import GaussianLaw, expect

__all__ = ["GaussianStatesTheory", "PairAverages", "gaussian_states_theory", "has_gaussian_states"]

#: The combination u of the states that a W sees.
_U = sp.Symbol("u", real=True)
_T, _S = sp.symbols("u_t u_s", real=True)
#: Means, and covariance matrix, of the combination at two times.
ARGUMENTS = tuple(sp.symbols("mu_t mu_s q_t q_ts q_s", real=True))


@dataclass(frozen=True)
class PairAverages:
    """Averages over one combination u of the states at two times, in the symbols `arguments`.

    Attributes:
        arguments: mu_t, mu_s, q_t, q_ts, q_s.
        overlap: E[y(u_t) y(u_s)].
        slope: E[y'(u_t) y'(u_s)] = d overlap / d q_ts (Price).
        curvature: E[y''(u_t) y(u_s)] / 2 = d overlap / d q_t (Bonnet).
        equal: the same three at equal times, in mu_t and q_t.
    """

    arguments: tuple[sp.Symbol, ...]
    overlap: sp.Expr
    slope: sp.Expr
    curvature: sp.Expr
    equal: tuple[sp.Expr, sp.Expr, sp.Expr]

    def centred(self) -> PairAverages:
        """The same at mean zero, in closed form where one is known."""
        zero = dict.fromkeys(self.arguments[:2], sp.S.Zero)
        averages = (self.overlap, self.slope, self.curvature)
        overlap, slope, curvature = (_closed(without_deltas(f.xreplace(zero))) for f in averages)
        if overlap.has(sp.sinh):
            # exp(-q) sinh(q_ts) overflows; the integral does not.
            overlap, slope, curvature = (f.xreplace(zero) for f in averages)
            return PairAverages(self.arguments, overlap, slope, curvature, self.equal)
        if not overlap.has(GaussianExpectation):
            _, _, q_t, q_ts, _ = self.arguments
            if slope.has(GaussianExpectation):
                slope = sp.diff(overlap, q_ts)
            if curvature.has(GaussianExpectation):
                curvature = sp.diff(overlap, q_t)
        return PairAverages(self.arguments, overlap, slope, curvature, self.equal)

    @property
    def is_closed(self) -> bool:
        """Whether no integral is left."""
        averages = (self.overlap, self.slope, self.curvature)
        return not any(f.has(GaussianExpectation) for f in averages)


@dataclass(frozen=True)
class GaussianStatesTheory:
    """The linear system of a cell with Gaussian states, and what its weights see.

    Attributes:
        cell: with m states and K preactivations.
        A: (m, m); B: (m, K); c: (m, 1), of the elementwise input; d: (m, 1).
        rows: {preactivation: r_k, (1, m)}; zero where it has no recurrent matrix.
        seen: {preactivation: Y_k, in the symbol `u`}.
        u: the symbol.
    """

    cell: Cell
    A: sp.ImmutableMatrix
    B: sp.ImmutableMatrix
    c: sp.ImmutableMatrix
    d: sp.ImmutableMatrix
    rows: dict[Preactivation, sp.ImmutableMatrix]
    seen: dict[Preactivation, sp.Expr]
    u: sp.Symbol = _U

    def averages(self, p: Preactivation) -> PairAverages:
        """The pair averages of what a preactivation's weights see."""
        return _pair_averages(self.seen[p])


def has_gaussian_states(cell: Cell) -> bool:
    """Whether the states are linear in the preactivations with constant coefficients.

    >>> from rnnmft import cells
    >>> from rnnmft.activations import identity
    >>> has_gaussian_states(cells.leaky_rnn(activation=identity))
    True
    >>> has_gaussian_states(cells.leaky_rnn()), has_gaussian_states(cells.gru())
    (False, False)
    """
    try:
        gaussian_states_theory(cell)
    except DerivationError:
        return False
    return True


@lru_cache(maxsize=64)
def gaussian_states_theory(cell: Cell) -> GaussianStatesTheory:
    """The linear system of a cell with Gaussian states. Eq. (gaussian-states).

    Raises:
        DerivationError: an update is not linear with constant coefficients, or a W sees more than
            a function of one linear combination of the states.

    >>> from rnnmft.cells import Cell, Preactivation, State
    >>> from rnnmft.activations import tanh
    >>> h = State("h")
    >>> cell = Cell("rate", update={h: 0.75 * h + 0.25 * Preactivation("e", tanh(h))})
    >>> theory = gaussian_states_theory(cell)
    >>> theory.A, theory.B, theory.seen
    (Matrix([[0.75]]), Matrix([[0.25]]), {e: tanh(u)})
    """
    if cell.parameters or not cell.preactivations:
        raise DerivationError(
            f"cell {cell.name!r} has random parameters or no preactivation: its states are not "
            "Gaussian"
        )
    if cell.averages:
        raise DerivationError(
            f"cell {cell.name!r} has averages over units, which move in time: the coefficients of "
            "its updates are not constant"
        )
    inputs = [] if cell.input is None else [cell.input]
    variables = [*cell.states, *cell.preactivations, *inputs]
    rows = [_linear(cell, f, variables) for f in cell.update.values()]
    matrix = sp.Matrix([row for row, _ in rows])
    m, k = len(cell.states), len(cell.preactivations)
    x = matrix[:, m + k :] if inputs else sp.zeros(m, 1)
    combinations = {p: _combination(cell, p) for p in cell.preactivations}
    return GaussianStatesTheory(
        cell,
        sp.ImmutableMatrix(matrix[:, :m]),
        sp.ImmutableMatrix(matrix[:, m : m + k]),
        sp.ImmutableMatrix(x),
        sp.ImmutableMatrix([rest for _, rest in rows]),
        {p: sp.ImmutableMatrix([row]) for p, (row, _) in combinations.items()},
        {p: y for p, (_, y) in combinations.items()},
    )


def _linear(
    cell: Cell, update: sp.Expr, variables: Sequence[sp.Symbol]
) -> tuple[list[sp.Expr], sp.Expr]:
    """Coefficients of the variables in an update, and the constant that is left."""
    row = [sp.diff(update, v) for v in variables]
    if any(f.free_symbols for f in row):
        raise DerivationError(
            f"cell {cell.name!r}: the update {update} is not linear with constant coefficients, "
            "so its states are not Gaussian"
        )
    return row, update.xreplace(dict.fromkeys(variables, sp.S.Zero))


def _combination(cell: Cell, p: Preactivation) -> tuple[list[sp.Expr], sp.Expr]:
    """(r, Y) with Y(r s) what the preactivation's weights see."""
    y, none = cell.sees[p], [sp.S.Zero] * len(cell.states)
    if not y.free_symbols <= set(cell.states):
        raise DerivationError(
            f"cell {cell.name!r}: what {p.name!r} sees, {y}, depends on more than the states"
        )
    gradient = [sp.diff(y, s) for s in cell.states]
    moving = [i for i, slope in enumerate(gradient) if slope != 0]
    if not moving:
        return none, y
    first = moving[0]
    if gradient[first].has(sp.DiracDelta):
        raise DerivationError(
            f"cell {cell.name!r}: what {p.name!r} sees, {y}, jumps: its mean squared slope is "
            "infinite"
        )
    row = list(none)
    for i in moving:
        ratio = sp.cancel(gradient[i] / gradient[first])
        if ratio.free_symbols:
            raise DerivationError(
                f"cell {cell.name!r}: what {p.name!r} sees, {y}, is not a function of one linear "
                "combination of the states"
            )
        row[i] = ratio
    along = {s: _U if i == first else sp.S.Zero for i, s in enumerate(cell.states)}
    return row, y.xreplace(along)


@lru_cache(maxsize=64)
def _pair_averages(y: sp.Expr) -> PairAverages:
    mu_t, mu_s, q_t, q_ts, q_s = ARGUMENTS
    law = GaussianLaw((_T, _S), (mu_t, mu_s), (q_t, q_ts, q_s))
    slope, curvature = sp.diff(y, _U), sp.diff(y, _U, 2)
    alone = GaussianLaw((_T,), (mu_t,), (q_t,))
    pairs = ((y, y, 1), (slope, slope, 1), (curvature, y, sp.Rational(1, 2)))

    def averages(other: sp.Symbol, given: GaussianLaw) -> list[sp.Expr]:
        products = (c * f.xreplace({_U: _T}) * g.xreplace({_U: other}) for f, g, c in pairs)
        return [without_deltas(expect(product, [given])) for product in products]

    overlap, slopes, bend = averages(_S, law)
    power, steepness, turn = averages(_T, alone)
    return PairAverages(ARGUMENTS, overlap, slopes, bend, (power, steepness, turn))


def _closed(expression: sp.Expr) -> sp.Expr:
    return cast(
        "sp.Expr",
        expression.replace(lambda part: isinstance(part, GaussianExpectation), closed_form),
    )
