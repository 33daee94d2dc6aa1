"""Cells whose Jacobian is one product of matrices: closed S-transforms, and powers of them.

Where one state goes round one chain, s' = d_K W_K d_{K-1} .. W_1 d_0 s with diagonal d_i, the
factors of J J^T are free of each other and S-transforms multiply [voiculescu1987]:

    S(x) = prod_i S_{d_i^2}(x) prod_k S_{W_k W_k^T}(x),     S(x) = (1 + x) / (x M^-1(x)).

The vanilla RNN is the chain J = D W [pennington2017].

Eq. (s-transform), Eq. (factor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from rnnmft.language import Preactivation
from rnnmft.theory.determining_series import kinds_by_name, weight_s_transform
from rnnmft.theory.linearised_unit import LinearisedUnit
from rnnmft.theory.squared_factor import SquaredFactor

__all__ = ["FactorChain", "factor_chain"]

_X, _Y = sp.Symbol("x"), sp.Symbol("y")


@dataclass(frozen=True)
class FactorChain:
    """J = d_K W_K d_{K-1} .. W_1 d_0: the diagonal factors, from the old state to the new.

    Attributes:
        factors: (d_0, .., d_K).
        names: their symbols; a constant factor stands for itself.
    """

    unit: LinearisedUnit
    factors: tuple[sp.Expr, ...]
    names: tuple[sp.Expr, ...]

    @cached_property
    def squares(self) -> tuple[SquaredFactor | None, ...]:
        """The laws of d_i^2; None for a factor of more than one Gaussian variable."""
        return tuple(_squared(self.unit, d) for d in self.factors)

    @property
    def powers_are_exact(self) -> bool:
        """Whether S of T steps is S^T: no two diagonals that are not constant touch between steps.

        d_0 of a step multiplies d_K of the step before, in the same unit: these are not free.
        """
        return len(self.factors) > 1 and (
            self.factors[0].is_number or self.factors[-1].is_number  # type: ignore[return-value]
        )

    def generating_function(self, i: int, y: sp.Expr) -> sp.Expr:
        """M of d_i^2."""
        law = self.squares[i]
        if law is not None:
            return law.generating_function(y)
        square = self.factors[i] ** 2
        return self.unit.average(square / (y - square))

    def _factor(self, i: int, x: sp.Expr) -> sp.Expr:
        """S of d_i^2: closed, or named."""
        law = self.squares[i]
        closed = None if law is None else law.s_transform(x)
        return sp.Function(f"S_{self.names[i]}")(x) if closed is None else closed

    def _open(self) -> list[int]:
        """The factors whose S-transform is not closed."""
        return [i for i, law in enumerate(self.squares) if law is None or not law.is_closed]

    def _weights(self, weights: str | Mapping[str, str], x: sp.Expr) -> list[sp.Expr]:
        kinds = kinds_by_name(weights, [p.name for p in self.unit.cell.preactivations])
        sigma_w = self.unit.theory.notation.sigma_w
        return [weight_s_transform(kinds[p.name], sigma_w[p], x) for p in self.unit.recurrent]

    def s_transform(self, weights: str | Mapping[str, str] = "gaussian") -> tuple[sp.Eq, ...]:
        """S(x) as a product; then, for each factor that is not closed, what defines it."""
        diagonal = [self._factor(i, _X) for i in range(len(self.factors))]
        product = sp.Mul(*diagonal, *self._weights(weights, _X))
        found = [_equation(sp.Function("S")(_X), product)]
        for i in self._open():
            found.append(_equation(_X, self.generating_function(i, _Y)))
            found.append(_equation(sp.Function(f"S_{self.names[i]}")(_X), (1 + _X) / (_X * _Y)))
        return tuple(found)

    def master_equation(self, weights: str | Mapping[str, str] = "gaussian") -> sp.Eq | None:
        """M_T of T steps: M = M_{d^2}(z^{1/T} F(M)), F(M) = S_rest(M) ((1 + M) / M)^{1 - 1/T}.

        d is the factor of which S is not closed, or else the first one that is not constant;
        S_rest is the S-transform of all others. Where all are constant, z = (1 + M) / (M S(M)^T).
        None where several factors are not closed.
        """
        varied = [i for i, d in enumerate(self.factors) if not d.is_number]
        left_open = self._open()
        if len(left_open) > 1:
            return None
        chosen = (left_open or varied)[:1]
        m, length, z = sp.Symbol("M"), sp.Symbol("T", positive=True), sp.Symbol("z")
        rest = [self._factor(j, m) for j in range(len(self.factors)) if j not in chosen]
        s_rest, power = sp.Mul(*rest, *self._weights(weights, m)), 1 / length
        if not chosen:
            return _equation(z, (1 + m) / (m * s_rest**length))
        inside = z**power * ((1 + m) / m) ** (1 - power) * s_rest
        return _equation(m, self.generating_function(chosen[0], inside))


def factor_chain(unit: LinearisedUnit) -> FactorChain | None:
    """The cell as a chain of factors, or None: one state, and one entry in each row and column.

    >>> from rnnmft import cells
    >>> from rnnmft.theory.jacobian import jacobian_theory
    >>> factor_chain(jacobian_theory(cells.vanilla())).factors
    (1, tanh_prime(e))
    >>> factor_chain(jacobian_theory(cells.gru())) is None
    True
    """
    if unit.cell.has_widths:  # S-transforms of rectangles do not multiply as those of squares
        return None
    tau, size = unit.transfer, unit.transfer.rows
    held = [[j for j in range(size) if tau[i, j] != 0] for i in range(size)]
    once = all(len(row) == 1 for row in held) and len({row[0] for row in held if row}) == size
    if len(unit.cell.states) != 1 or not once:
        return None
    # From the old state (column 0): the row it feeds, the column that answers that row, and so on.
    column, path = 0, []
    while not path or column:
        row = next(i for i in range(size) if held[i] == [column])
        path.append((row, column))
        column = row
    named = unit.named_transfer
    return FactorChain(unit, tuple(tau[p] for p in path), tuple(named[p] for p in path))


def _squared(unit: LinearisedUnit, d: sp.Expr) -> SquaredFactor | None:
    """The law of d^2 where d is constant or a function of one preactivation."""
    symbols = list(d.free_symbols)
    if not symbols:
        return SquaredFactor(d, sp.Symbol("e", real=True), sp.S.Zero, sp.S.One)
    if len(symbols) > 1 or not isinstance(symbols[0], Preactivation):
        return None
    n = unit.theory.notation
    return SquaredFactor(d, symbols[0], n.mu_b[symbols[0]], n.q[symbols[0]])


def _equation(left: sp.Basic, right: sp.Basic) -> sp.Eq:
    return sp.Eq(left, right, evaluate=False)
