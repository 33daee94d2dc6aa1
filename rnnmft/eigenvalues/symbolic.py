"""What a unit contributes to P, in symbols: for derivations and for reading.

Eq. (eigenvalue-response), Eq. (eigenvalue-boundary).
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from rnnmft.language import Cell
from rnnmft.theory.jacobian import jacobian_theory

__all__ = ["UnitPowers", "unit_powers"]


@dataclass(frozen=True)
class UnitPowers:
    """sum_k sigma_k^2 |M_rk|^2, k in s, of one unit.

    Attributes:
        powers: (R, R), in the cell's own symbols.
        sigma_w: a symbol by preactivation.
        rows: the row that each recurrent preactivation sees, by name.
    """

    powers: sp.Matrix
    sigma_w: dict[str, sp.Symbol]
    rows: dict[str, int]

    def place(self, preactivation: str) -> int:
        """The row of what a preactivation's matrix sees."""
        return self.rows[preactivation]


def unit_powers(cell: Cell, point: sp.Expr) -> UnitPowers:
    """The unit's part of P at lambda = `point`.

    >>> from rnnmft import cells
    >>> x, y = sp.symbols("x y", real=True)
    >>> found = unit_powers(cells.vanilla(), x + sp.I * y)
    >>> found.powers
    Matrix([[sigma_w_e**2*tanh_prime(e)**2/(x**2 + y**2)]])
    """
    unit = jacobian_theory(cell)
    recurrent = unit.recurrent
    tau, m = unit.transfer, len(cell.states)
    a, b, c, d = tau[:m, :m], tau[:m, m:], tau[m:, :m], tau[m:, m:]
    distinct: list[sp.Matrix] = []
    rows = {}
    for k, p in enumerate(recurrent):
        row = tau[m + k, :]
        if row not in distinct:
            distinct.append(row)
        rows[p.name] = distinct.index(row)
    first = [list(rows.values()).index(r) for r in range(len(distinct))]
    at = sp.Dummy("lambda")
    inner = (at * sp.eye(m) - a).inv(method="ADJ")
    # Written as a ratio without common factors, a product of which the squares are taken.
    response = (c[first, :] * inner * b + d[first, :]).applyfunc(lambda x: sp.factor(sp.cancel(x)))
    sigma_w = {p.name: sp.Symbol(f"sigma_w_{p.name}", positive=True) for p in recurrent}
    columns = list(enumerate(recurrent))

    def power(r: int, s: int) -> sp.Expr:
        own = [(k, p) for k, p in columns if rows[p.name] == s]
        terms = (sigma_w[p.name] ** 2 * _square(response[r, k], at, point) for k, p in own)
        return sp.Add(*terms)

    count = len(distinct)
    return UnitPowers(sp.Matrix(count, count, lambda r, s: power(int(r), int(s))), sigma_w, rows)


def _square(x: sp.Expr, at: sp.Symbol, point: sp.Expr) -> sp.Expr:
    """|x|^2 of a product, at `point`: those factors that hold lambda are complex there."""
    found = sp.S.One
    for factor in sp.Mul.make_args(x):
        base, exponent = factor.as_base_exp()
        if base.has(at):
            real, imaginary = sp.expand(base.subs(at, point)).as_real_imag()
            base = sp.sqrt(real**2 + imaginary**2)
        found *= base ** (2 * exponent)
    return found
