"""The one-step state-to-state Jacobian J of a cell, and the moments of J J^T, as symbols.

The moments follow from the equations of `characteristic_function`, scaled so that they are series
in t = z^(-1/2). With tau = [[A, B], [C, D]] of the linearised unit,
P_u = diag(t 1_m, a), P_v = diag(t 1_m, b),

    G_v = (1 - tau P_u tau^T P_v)^(-1) tau P_u tau^T,
    G_u = (1 - tau^T P_v tau P_u)^(-1) tau^T P_v tau,
    a_k = Phi(v_k u_k) v_k,   b_k = Phi(v_k u_k) u_k,   v_k = E[(G_v)_{y_k}], u_k = E[(G_u)_{e_k}],
    (1/mN) tr (z - J J^T)^(-1) = (1 + t E[tr_s G_v] / m) / z,

the block equation for operator-valued free W_k ([yang2020b], free independence) with the local
variables eliminated. Expanding in t gives every moment as a polynomial in averages over a unit;
the unknowns of each order come from lower ones.

Where widths differ, tr_s, v_k and u_k count units: each state, each y_k and each e_k for its width,
with m their sum over the states and sigma_w^2 over the width of y_k; Eq. (widths).

Eq. (block), Eq. (moment-expansion), Eq. (jacobian), Eq. (m1), Eq. (m2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp
from sympy.polys.rings import PolyElement, ring

from rnnmft.errors import ParameterError
from rnnmft.language import Cell
from rnnmft.theory.determining_series import (
    DETERMINING_SERIES,
    kinds_by_name,
    rectangular_series,
)
from rnnmft.theory.generating_function import GeneratingFunction
from rnnmft.theory.linearised_unit import LinearisedUnit
from rnnmft.theory.moments import moment_theory

__all__ = ["DETERMINING_SERIES", "JacobianTheory", "MomentProgram", "jacobian_theory"]


@dataclass(frozen=True)
class MomentProgram:
    """m_1..m_k as a chain of definitions: `averages`, then `self_energies`, then `moments`."""

    averages: dict[sp.Symbol, sp.Expr]
    self_energies: dict[sp.Symbol, sp.Expr]
    moments: tuple[sp.Expr, ...]

    def moment(self, k: int) -> sp.Expr:
        """m_k with every definition substituted."""
        whole: dict[sp.Basic, sp.Basic] = {}
        for symbol, expression in (*self.averages.items(), *self.self_energies.items()):
            whole[symbol] = expression.xreplace(whole)
        return self.moments[k - 1].xreplace(whole)


@dataclass(frozen=True)
class JacobianTheory(LinearisedUnit):
    """The linearised unit of one cell and the spectrum of its one-step J J^T (untied)."""

    @cached_property
    def generating_function(self) -> GeneratingFunction:
        """The implicit equations of M(z) and of the S-transform, for one step and for many."""
        return GeneratingFunction(self.cell, self)

    def moment(self, k: int, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """m_k = (1/mN) tr (J J^T)^k in averages over a unit. Eq. (moment-expansion).

        Gaussian expectations and moments of the states, where these are enough; an average that
        needs the law of a state (LSTM) is a `LawExpectation`.

        Args:
            k: 1, 2, 3, ...
            weights: "gaussian" or "orthogonal" for every W_k, or {preactivation: ensemble}.

        >>> from rnnmft import cells
        >>> print(jacobian_theory(cells.vanilla()).moment(1))
        sigma_w**2*E[tanh_prime(z*)**2 | mu_b, q]
        """
        return self.program(k, weights).moment(k)

    def mean(self, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """m_1: the mean squared singular value. Eq. (m1)."""
        return self.moment(1, weights)

    def variance(self, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """sigma^2 = m_2 - m_1^2: 0 (with m_1 = 1) is dynamical isometry. Eq. (m2)."""
        program = self.program(2, weights)
        return program.moment(2) - program.moment(1) ** 2

    def program(self, highest: int, weights: str | Mapping[str, str] = "gaussian") -> MomentProgram:
        """m_1..m_highest as a chain of definitions; what numbers are computed from."""
        if isinstance(highest, bool) or not isinstance(highest, int) or highest < 1:
            raise ParameterError(f"k must be a whole number >= 1, got {highest!r}")
        kinds = kinds_by_name(weights, [p.name for p in self.cell.preactivations])
        return _moment_program(self, highest, tuple(kinds.items()))


@lru_cache(maxsize=64)
def jacobian_theory(cell: Cell, constant_input: bool = False) -> JacobianTheory:
    """The Jacobian theory of a cell; cached."""
    return JacobianTheory(cell, moment_theory(cell, constant_input))


@lru_cache(maxsize=128)
def _moment_program(
    theory: JacobianTheory, highest: int, kinds: tuple[tuple[str, str], ...]
) -> MomentProgram:
    return _TraceExpansion(theory, highest, dict(kinds)).run()


_Rows = list[list[PolyElement]]


class _TraceExpansion:
    """The expansion of the block equation in t, order by order, over a polynomial ring.

    The ring's generators are the entries of tau and the unknowns a_kj, b_kj.
    """

    def __init__(self, theory: JacobianTheory, highest: int, kinds: Mapping[str, str]) -> None:
        self.theory, self.highest, self.kinds = theory, highest, kinds
        self.preactivations = theory.recurrent
        self.m, self.count = len(theory.cell.states), len(self.preactivations)
        self.size = self.m + self.count
        self.widths = [s.width for s in theory.cell.states]
        names = [p.name for p in self.preactivations]
        self.a = [[sp.Symbol(f"a_{n}_{j}") for j in range(highest)] for n in names]
        self.b = [[sp.Symbol(f"b_{n}_{j}") for j in range(highest)] for n in names]
        self.unknowns = [s for row in (*self.a, *self.b) for s in row]
        entries = [sp.Symbol(f"tau_{i}_{j}") for i, j in theory.entries]
        self.ring, *generators = ring([*entries, *self.unknowns], sp.QQ)
        self.generator = dict(zip(self.unknowns, generators[len(entries) :], strict=True))
        at = dict(zip(theory.entries, generators, strict=False))
        over = range(self.size)
        self.tau: _Rows = [
            [at[i, j] if (i, j) in at else self.ring(theory.transfer[i, j]) for j in over]
            for i in over
        ]
        self.averages: dict[sp.Symbol, sp.Expr] = {}
        self.by_monomial: dict[tuple[int, ...], sp.Expr] = {}
        self.self_energies: dict[sp.Symbol, sp.Expr] = {}

    def run(self) -> MomentProgram:
        """Solve order by order; order j fixes a_kj, b_kj and m_{j+1}."""
        self.v_hat: list[list[sp.Expr]] = [[] for _ in range(self.count)]
        self.u_hat: list[list[sp.Expr]] = [[] for _ in range(self.count)]
        moments = []
        right: list[_Rows] = []
        left: list[_Rows] = []
        for j in range(self.highest):
            right.append(self._order(j, right, self._transpose(self.tau), self.a, self.b))
            self._close_a(j, right[j])
            if j + 1 < self.highest:
                left.append(self._order(j, left, self.tau, self.b, self.a))
                self._close_b(j, left[j])
            own = (right[j][i][i] * sp.QQ.from_sympy(w) for i, w in enumerate(self.widths))
            moments.append(self._average(sum(own, self.ring(0))) / sum(self.widths))
        return MomentProgram(self.averages, self.self_energies, tuple(moments))

    def _close_a(self, j: int, right: _Rows) -> None:
        """a_kj ascending in k: what is seen comes first."""
        for k in range(self.count):
            seen = self.theory.cell.seen_widths[self.preactivations[k]]
            self.v_hat[k].append(seen * self._average(right[self.m + k][self.m + k]))
        for k in range(self.count):
            self.self_energies[self.a[k][j]] = self._self_energy(k, j, self.v_hat[k])

    def _close_b(self, j: int, left: _Rows) -> None:
        """b_kj descending in k: what sees comes last."""
        for k in reversed(range(self.count)):
            own = self.preactivations[k].width
            self.u_hat[k].append(own * self._average(left[self.m + k][self.m + k]))
        for k in reversed(range(self.count)):
            self.self_energies[self.b[k][j]] = self._self_energy(k, j, self.u_hat[k])

    def _self_energy(self, k: int, j: int, factor: list[sp.Expr]) -> sp.Expr:
        """Coefficient of t^(2j+1) in Phi(v u) * factor; v, u and factor are odd series in t."""
        p = self.preactivations[k]
        sigma_w = self.theory.theory.notation.sigma_w[p]
        series = rectangular_series(self.kinds[p.name], p.width, self.theory.cell.seen_widths[p])
        total = [series(sigma_w, 0) * factor[j]]
        product = [
            sp.Add(*(self.v_hat[k][i] * self.u_hat[k][n - i] for i in range(n + 1)))
            for n in range(j)
        ]
        power = [sp.S.One] + [sp.S.Zero] * j
        for order in range(1, j + 1):
            coefficient = series(sigma_w, order)
            if coefficient == 0:
                break
            # x = v u starts at t^2: x^order shifts by one and multiplies by the product series.
            power = [sp.S.Zero] + [
                sp.Add(*(power[n - 1 - i] * product[i] for i in range(n))) for n in range(1, j + 1)
            ]
            total += [coefficient * power[n] * factor[j - n] for n in range(order, j + 1)]
        return sp.Add(*total)

    def _order(
        self,
        j: int,
        lower: list[_Rows],
        inner: _Rows,
        near: list[list[sp.Symbol]],
        far: list[list[sp.Symbol]],
    ) -> _Rows:
        """Coefficient of t^(2j+1) in G = X + X P G, X = tau P' tau^T (inner = tau^T).

        G is symmetric; of the last order only the diagonal is read.
        """
        outer, last = self._transpose(inner), j + 1 == self.highest
        layers = [self._sandwich(outer, near, n, inner, False) for n in range(j)]
        total = self._sandwich(outer, near, j, inner, last)
        for i in range(j):
            for n in range(j - i):
                term = self._sandwich(layers[i], far, n, lower[j - 1 - i - n], last)
                for row, added in zip(total, term, strict=True):
                    for c, value in enumerate(added):
                        row[c] += value
        return total

    def _sandwich(
        self, left: _Rows, unknown: list[list[sp.Symbol]], order: int, right: _Rows, diagonal: bool
    ) -> _Rows:
        """left diag(coefficient of order `order`) right; the states' part of the diagonal is t."""
        weights = [self.ring(1 if order == 0 else 0)] * self.m
        weights += [self.generator[unknown[k][order]] for k in range(self.count)]
        scaled = [[w * x for x in row] for w, row in zip(weights, right, strict=True)]
        zero = self.ring(0)
        return [
            [
                sum((row[i] * scaled[i][c] for i in range(self.size) if row[i]), zero)
                if c == r or not diagonal
                else zero
                for c in range(self.size)
            ]
            for r, row in enumerate(left)
        ]

    @staticmethod
    def _transpose(rows: _Rows) -> _Rows:
        return [list(column) for column in zip(*rows, strict=True)]

    def _average(self, polynomial: PolyElement) -> sp.Expr:
        """E of a polynomial: its monomials in tau become averages, the unknowns are numbers."""
        split = len(self.theory.entries)
        collected: dict[tuple[int, ...], list[sp.Expr]] = {}
        for exponents, coefficient in polynomial.terms():
            drawn = zip(self.unknowns, exponents[split:], strict=True)
            term = sp.Mul(sp.Rational(coefficient), *(s**e for s, e in drawn if e))
            collected.setdefault(exponents[:split], []).append(term)
        return sp.Add(*(self._mean_of(e) * sp.Add(*terms) for e, terms in collected.items()))

    def _mean_of(self, exponents: tuple[int, ...]) -> sp.Expr:
        """The symbol of E[monomial in tau], defined once."""
        if exponents not in self.by_monomial:
            value = self.theory.mean_of(exponents)
            if value.is_number or value.is_Symbol:
                self.by_monomial[exponents] = value
            else:
                symbol = sp.Symbol(f"E_{len(self.averages)}")
                self.averages[symbol] = value
                self.by_monomial[exponents] = symbol
        return self.by_monomial[exponents]
