"""The tangent process: how a small perturbation's second moments move, untied.

    ds' = A ds + B de,   dy = C ds + D de,   de_k ~ N(0, v_k),   v_k = sigma_w^2 E[dy_k^2],

with de independent of everything at that step. For a cell affine in its states this is a linear
map on T_ab = E[ds_a ds_b]; its leading eigenvalue is the growth factor of m_1(T) a step, and for
one state it equals chi at c = 1 [chen2018], [gilboa2019].

Eq. (untied-tangent), Eq. (chi-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.theory.jacobian import JacobianTheory

__all__ = ["TangentTheory"]


@dataclass(frozen=True)
class TangentTheory:
    """The linear recursion of E[ds_a ds_b] of one cell affine in its states."""

    jacobian: JacobianTheory

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The index pairs (a, b), a <= b, in the order of the operator's rows."""
        return list(combinations_with_replacement(range(len(self.jacobian.cell.states)), 2))

    @cached_property
    def operator(self) -> sp.Matrix:
        """The matrix of the map T -> T', rows and columns in the order of `pairs`.

        Eq. (untied-tangent).

        Raises:
            DerivationError: the cell is not affine in its states, or the weight of a state depends
                on an elementwise input that is constant in time (the perturbation remembers it).
        """
        theory, cell = self.jacobian.theory, self.jacobian.cell
        a, b, c, d = self.jacobian.blocks
        if (a.free_symbols | c.free_symbols) & set(theory.notation.recurrent):
            raise DerivationError(
                f"cell {cell.name!r} is not affine in its states: its tangent process depends on "
                "the law of the state"
            )
        pairs = self.pairs
        size = len(pairs)
        rows_v: list[sp.Matrix] = []
        for k, p in enumerate(cell.preactivations):
            row = sp.zeros(1, size)
            for n, (i, j) in enumerate(pairs):
                row[n] += (1 + (i != j)) * theory.expect(c[k, i] * c[k, j])
            for earlier in range(k):
                row += theory.expect(d[k, earlier] ** 2) * rows_v[earlier]
            rows_v.append(theory.notation.sigma_w[p] ** 2 * row)
        operator = sp.zeros(size, size)
        for m, (x, y) in enumerate(pairs):
            for n, (i, j) in enumerate(pairs):
                operator[m, n] += theory.expect(a[x, i] * a[y, j])
                if i != j:
                    operator[m, n] += theory.expect(a[x, j] * a[y, i])
            for k in range(len(cell.preactivations)):
                weight = theory.expect(b[x, k] * b[y, k])
                operator[m, :] += weight * rows_v[k]
        return operator.applyfunc(sp.factor_terms)
