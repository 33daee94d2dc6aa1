"""The linearised unit: how one step of a cell moves small changes, with the matrices W_k cut out.

    ds' = A ds + B de,    dy = C ds + D de,    tau = [[A, B], [C, D]],

A (m x m), B (m x K), C (K x m), D (K x K, strictly lower triangular); tau keeps the K
preactivations that have a recurrent matrix: only through these does de answer dy.

Eq. (linearised), Eq. (transfer).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from rnnmft.language import Cell, Preactivation
from rnnmft.theory.moments import MomentTheory
from rnnmft.theory.unit_average import unit_average

__all__ = ["LinearisedUnit", "never_forgets"]


@dataclass(frozen=True)
class LinearisedUnit:
    """The derivatives of one cell at one unit, and averages of their products (untied)."""

    cell: Cell
    theory: MomentTheory

    def _derivatives(self, functions: tuple[sp.Expr, ...], by: tuple[sp.Symbol, ...]) -> sp.Matrix:
        return sp.Matrix(len(functions), len(by), lambda i, j: sp.diff(functions[i], by[j]))

    @cached_property
    def blocks(self) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Matrix]:
        """A = dF/ds, B = dF/de, C = dY/ds, D = dY/de, in the cell's own symbols."""
        updates = tuple(self.cell.update.values())
        seen = tuple(self.cell.sees.values())
        states, preactivations = self.cell.states, self.cell.preactivations
        return (
            self._derivatives(updates, states),
            self._derivatives(updates, preactivations),
            self._derivatives(seen, states),
            self._derivatives(seen, preactivations),
        )

    @property
    def recurrent(self) -> list[Preactivation]:
        """The preactivations that have a recurrent matrix."""
        return [p for p in self.cell.preactivations if p.is_recurrent]

    @cached_property
    def transfer(self) -> sp.Matrix:
        """tau = [[A, B], [C, D]]: rows (s', y), columns (s, e), recurrent preactivations only.

        Eq. (transfer).
        """
        a, b, c, d = self.blocks
        kept = [k for k, p in enumerate(self.cell.preactivations) if p.is_recurrent]
        upper = a.row_join(b[:, kept])
        return upper.col_join(c[kept, :].row_join(d[kept, kept]))

    @cached_property
    def width_classes(self) -> dict[sp.Rational, tuple[list[int], list[int]]]:
        """{width: its rows of tau, its columns}: tau joins no others. Eq. (widths)."""
        own = [s.width for s in self.cell.states]
        rows = [*own, *(self.cell.seen_widths[p] for p in self.recurrent)]
        columns = [*own, *(p.width for p in self.recurrent)]
        return {
            w: (_places(rows, w), _places(columns, w)) for w in dict.fromkeys([*rows, *columns])
        }

    @cached_property
    def entries(self) -> dict[tuple[int, int], sp.Expr]:
        """The entries of tau that are not constant numbers, by place."""
        tau = self.transfer
        places = ((i, j) for i in range(tau.rows) for j in range(tau.cols))
        return {(i, j): tau[i, j] for i, j in places if not tau[i, j].is_Rational}

    @cached_property
    def names(self) -> dict[tuple[int, int], sp.Symbol]:
        """A symbol for each of `entries`: A, B, C, D, with the marks that tell them apart."""
        m = len(self.cell.states)
        states = [s.name if m > 1 else "" for s in self.cell.states]
        several = len(self.recurrent) > 1
        inside = [p.name if several else "" for p in self.recurrent]

        def named(i: int, j: int) -> sp.Symbol:
            stem = "ABCD"[2 * (i >= m) + (j >= m)]
            row = states[i] if i < m else inside[i - m]
            column = states[j] if j < m else inside[j - m]
            return sp.Symbol("_".join(x for x in (stem, row, column) if x), real=True)

        return {(i, j): named(i, j) for i, j in self.entries}

    @cached_property
    def named_transfer(self) -> sp.ImmutableMatrix:
        """tau with `names` in the place of `entries`."""
        tau, names = self.transfer, self.names
        return sp.ImmutableMatrix(
            tau.rows, tau.cols, lambda i, j: names.get((int(i), int(j)), tau[i, j])
        )

    @cached_property
    def _means(self) -> dict[tuple[int, ...], sp.Expr]:
        return {}

    def mean_of(self, exponents: tuple[int, ...]) -> sp.Expr:
        """E[product of powers of `entries`] over a unit; computed once for all programs."""
        if exponents not in self._means:
            factors = (e**n for e, n in zip(self.entries.values(), exponents, strict=True))
            self._means[exponents] = sp.factor_terms(self.average(sp.Mul(*factors)))
        return self._means[exponents]

    def average(self, expression: sp.Expr) -> sp.Expr:
        """E[expression] over a unit: see `unit_average`."""
        return unit_average(self.theory, expression)


def never_forgets(cell: Cell) -> bool:
    """Whether some state keeps all of itself at every step: |ds'/ds| is a number, 1 or more.

    What such a state adds up has no bound. A gate below 1 forgets, be it ever so slowly.

    >>> from rnnmft import cells
    >>> h, e = cells.State("h"), cells.Preactivation("e")
    >>> walk = Cell("walk", update={h: h + sp.tanh(e)})
    >>> never_forgets(walk), never_forgets(cells.minimal())
    (True, False)
    """
    kept = (sp.diff(update, state) for state, update in cell.update.items())
    return any(bool(k.is_number and abs(k) >= 1) for k in kept)


def _places(widths: list[sp.Rational], width: sp.Rational) -> list[int]:
    return [i for i, w in enumerate(widths) if w == width]
