"""The one-step state-to-state Jacobian J of a cell, and the moments of J J^T, as symbols.

Linearised at one unit, with the matrices W_k cut out, a step reads

    ds' = A ds + B de,    dy = C ds + D de,    de_k = W_k dy_k,

A (m x m), B (m x K), C (K x m), D (K x K, strictly lower triangular). With tau = [[A, B], [C, D]],
t = z^(-1/2), P_u = diag(t 1_m, a), P_v = diag(t 1_m, b) the resolvent of J J^T follows from

    G_v = (1 - tau P_u tau^T P_v)^(-1) tau P_u tau^T,    G_u = (1 - tau^T P_v tau P_u)^(-1) tau^T P_v tau,
    a_k = Phi(v_k u_k) v_k,   b_k = Phi(v_k u_k) u_k,   v_k = E[(G_v)_{y_k}], u_k = E[(G_u)_{e_k}],
    (1/mN) tr (z - J J^T)^(-1) = (1 + t E[tr_s G_v] / m) / z,

which is the block equation for operator-valued free W_k (Yang 2020, free independence) with the
local variables eliminated. Phi is the ensemble's determining series. Expanding in t gives every
moment as a polynomial in Gaussian expectations; the unknowns of each order come from lower ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp
from sympy.polys.rings import PolyElement, ring

from rnnmft.cells import Cell
from rnnmft.errors import DerivationError, ParameterError
from rnnmft.theory.moments import MomentTheory, moment_theory

__all__ = ["DETERMINING_SERIES", "JacobianTheory", "MomentProgram", "jacobian_theory"]


def _gaussian(sigma_w: sp.Expr, order: int) -> sp.Expr:
    """Phi(x) = sigma_w^2."""
    return sigma_w**2 if order == 0 else sp.S.Zero


def _orthogonal(sigma_w: sp.Expr, order: int) -> sp.Expr:
    """Phi(x) = (sqrt(1 + 4 sigma_w^2 x) - 1) / 2x: the Catalan numbers with alternating signs."""
    return sp.S.NegativeOne**order * sp.catalan(order) * sigma_w ** (2 * order + 2)


#: Coefficient of x^n in Phi(x), by ensemble; a bi-invariant ensemble of one's own is one more row.
DETERMINING_SERIES = {"gaussian": _gaussian, "orthogonal": _orthogonal}


@dataclass(frozen=True)
class MomentProgram:
    """Moments m_1..m_k as a chain of definitions: `averages`, then `self_energies`, then `moments`."""

    averages: dict[sp.Symbol, sp.Expr]
    self_energies: dict[sp.Symbol, sp.Expr]
    moments: tuple[sp.Expr, ...]

    def moment(self, k: int) -> sp.Expr:
        """m_k with every definition substituted."""
        value = self.moments[k - 1]
        for definitions in (self.self_energies, self.averages):
            for symbol, expression in reversed(definitions.items()):
                value = value.subs(symbol, expression)
        return value


@dataclass(frozen=True)
class JacobianTheory:
    """The linearised unit of one cell and the moments of its one-step J J^T (untied)."""

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

    @cached_property
    def transfer(self) -> sp.Matrix:
        """tau = [[A, B], [C, D]]: rows (s', y), columns (s, e)."""
        a, b, c, d = self.blocks
        return sp.Matrix(sp.BlockMatrix([[a, b], [c, d]]))

    def moment(self, k: int, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """m_k = (1/mN) tr (J J^T)^k in Gaussian expectations and moments of the states.

        Args:
            k: 1, 2, 3, ...
            weights: "gaussian" or "orthogonal" for every W_k, or {preactivation: ensemble}.

        >>> from rnnmft import cells
        >>> print(jacobian_theory(cells.vanilla()).moment(1))
        sigma_w**2*E[tanh_prime(z*)**2 | mu_b, q]
        """
        return self.program(k, weights).moment(k)

    def mean(self, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """m_1: the mean squared singular value."""
        return self.moment(1, weights)

    def variance(self, weights: str | Mapping[str, str] = "gaussian") -> sp.Expr:
        """sigma^2 = m_2 - m_1^2: zero is dynamical isometry."""
        program = self.program(2, weights)
        return program.moment(2) - program.moment(1) ** 2

    def program(self, highest: int, weights: str | Mapping[str, str] = "gaussian") -> MomentProgram:
        """m_1..m_highest as a chain of definitions; what numbers are computed from."""
        if isinstance(highest, bool) or not isinstance(highest, int) or highest < 1:
            raise ParameterError(f"k must be a whole number >= 1, got {highest!r}")
        names = [p.name for p in self.cell.preactivations]
        kinds = {
            n: weights if isinstance(weights, str) else weights.get(n, "gaussian") for n in names
        }
        for kind in kinds.values():
            if kind not in DETERMINING_SERIES:
                known = ", ".join(DETERMINING_SERIES)
                raise ParameterError(f"weights must be one of {known}, got {kind!r}")
        return _moment_program(self, highest, tuple(kinds.items()))


@lru_cache(maxsize=64)
def jacobian_theory(cell: Cell, constant_input: bool = False) -> JacobianTheory:
    """The Jacobian theory of a cell; cached."""
    return JacobianTheory(cell, moment_theory(cell, constant_input))


@lru_cache(maxsize=128)
def _moment_program(
    of: JacobianTheory, highest: int, kinds: tuple[tuple[str, str], ...]
) -> MomentProgram:
    return _Expansion(of, highest, dict(kinds)).run()


class _Expansion:
    """The expansion of the block equation in t, order by order, over a polynomial ring."""

    def __init__(self, of: JacobianTheory, highest: int, kinds: Mapping[str, str]) -> None:
        self.of, self.highest, self.kinds = of, highest, kinds
        self.m, self.count = len(of.cell.states), len(of.cell.preactivations)
        self.a = [
            [sp.Symbol(f"a_{p.name}_{j}") for j in range(highest)] for p in of.cell.preactivations
        ]
        self.b = [
            [sp.Symbol(f"b_{p.name}_{j}") for j in range(highest)] for p in of.cell.preactivations
        ]
        size = self.m + self.count
        tau = of.transfer
        entries = {
            (i, j): sp.Symbol(f"tau_{i}_{j}")
            for i in range(size)
            for j in range(size)
            if not tau[i, j].is_Rational
        }
        self.value = {symbol: tau[at] for at, symbol in entries.items()}
        unknowns = [s for row in (*self.a, *self.b) for s in row]
        self.ring, *generators = ring([*entries.values(), *unknowns], sp.QQ)
        self.generator = dict(zip([*entries.values(), *unknowns], generators, strict=True))
        self.entry_count = len(entries)
        self.tau = [
            [
                self.generator[entries[i, j]] if (i, j) in entries else self.ring(tau[i, j])
                for j in range(size)
            ]
            for i in range(size)
        ]
        self.averages: dict[sp.Symbol, sp.Expr] = {}
        self.by_monomial: dict[tuple[int, ...], sp.Expr] = {}
        self.self_energies: dict[sp.Symbol, sp.Expr] = {}

    def run(self) -> MomentProgram:
        """Solve order by order; order j fixes a_kj, b_kj and m_{j+1}."""
        self.v_hat: list[list[sp.Expr]] = [[] for _ in range(self.count)]
        self.u_hat: list[list[sp.Expr]] = [[] for _ in range(self.count)]
        moments = []
        right: list[list[list[PolyElement]]] = []
        left: list[list[list[PolyElement]]] = []
        for j in range(self.highest):
            right.append(self._order(j, right, self._transpose(self.tau), self.a, self.b))
            left.append(self._order(j, left, self.tau, self.b, self.a))
            self._close(j, right[j], left[j])
            trace = sum((right[j][i][i] for i in range(self.m)), self.ring(0))
            moments.append(self._average(trace) / self.m)
        return MomentProgram(self.averages, self.self_energies, tuple(moments))

    def _close(self, j: int, right: list[list[PolyElement]], left: list[list[PolyElement]]) -> None:
        """a_kj ascending in k (what is seen comes first), b_kj descending (what sees comes last)."""
        for k in range(self.count):
            self.v_hat[k].append(self._average(right[self.m + k][self.m + k]))
        for k in range(self.count):
            self.self_energies[self.a[k][j]] = self._self_energy(k, j, self.v_hat[k])
        if j + 1 == self.highest:
            return
        for k in reversed(range(self.count)):
            self.u_hat[k].append(self._average(left[self.m + k][self.m + k]))
        for k in reversed(range(self.count)):
            self.self_energies[self.b[k][j]] = self._self_energy(k, j, self.u_hat[k])

    def _self_energy(self, k: int, j: int, factor: list[sp.Expr]) -> sp.Expr:
        """Coefficient of t^(2j+1) in Phi(v u) * factor, all three series in odd or even powers of t."""
        p = self.of.cell.preactivations[k]
        sigma_w = self.of.theory.notation.sigma_w[p]
        series = DETERMINING_SERIES[self.kinds[p.name]]
        total = series(sigma_w, 0) * factor[j]
        product = [
            sum(self.v_hat[k][i] * self.u_hat[k][n - i] for i in range(n + 1)) for n in range(j)
        ]
        power = [sp.S.One] + [sp.S.Zero] * j
        for order in range(1, j + 1):
            # x = v u starts at t^2: x^order shifts by one and multiplies by the product series.
            power = [
                sp.S.Zero if n == 0 else sum(power[n - 1 - i] * product[i] for i in range(n))
                for n in range(j + 1)
            ]
            coefficient = series(sigma_w, order)
            if coefficient != 0:
                total += coefficient * sum(power[n] * factor[j - n] for n in range(j + 1))
        return total

    def _order(
        self,
        j: int,
        lower: list[list[list[PolyElement]]],
        inner: list[list[PolyElement]],
        near: list[list[sp.Symbol]],
        far: list[list[sp.Symbol]],
    ) -> list[list[PolyElement]]:
        """Coefficient of t^(2j+1) in G = X + X P G, X = tau P' tau^T (inner = tau^T)."""
        outer = self._transpose(inner)
        layers = [self._sandwich(outer, near, n, inner) for n in range(j + 1)]
        total = layers[j]
        for i in range(j):
            for n in range(j - i):
                weighted = self._sandwich(layers[i], far, n, lower[j - 1 - i - n])
                total = [
                    [x + y for x, y in zip(*rows, strict=True)]
                    for rows in zip(total, weighted, strict=True)
                ]
        return total

    def _sandwich(
        self,
        left: list[list[PolyElement]],
        unknown: list[list[sp.Symbol]],
        order: int,
        right: list[list[PolyElement]],
    ) -> list[list[PolyElement]]:
        """left diag(coefficient of order `order`) right, the states' part of the diagonal being t."""
        size = self.m + self.count
        diagonal = [self.ring(1 if order == 0 else 0)] * self.m
        diagonal += [self.generator[unknown[k][order]] for k in range(self.count)]
        scaled = [[diagonal[i] * x for x in right[i]] for i in range(size)]
        return [
            [sum((row[i] * scaled[i][c] for i in range(size)), self.ring(0)) for c in range(size)]
            for row in left
        ]

    @staticmethod
    def _transpose(rows: list[list[PolyElement]]) -> list[list[PolyElement]]:
        return [list(column) for column in zip(*rows, strict=True)]

    def _average(self, polynomial: PolyElement) -> sp.Expr:
        """E of a polynomial: its monomials in tau become averages, the unknowns are numbers."""
        total = sp.S.Zero
        for exponents, coefficient in polynomial.terms():
            entries, unknowns = exponents[: self.entry_count], exponents[self.entry_count :]
            symbols = list(self.generator)[self.entry_count :]
            factor = sp.Mul(*(s**e for s, e in zip(symbols, unknowns, strict=True) if e))
            total += sp.Rational(coefficient) * self._mean_of(entries) * factor
        return total

    def _mean_of(self, exponents: tuple[int, ...]) -> sp.Expr:
        """The symbol of E[monomial in tau], defined once."""
        if exponents not in self.by_monomial:
            product = sp.Mul(*(v**e for v, e in zip(self.value.values(), exponents, strict=True)))
            value = sp.factor(self.of.theory.expect(product))
            if value.is_number or value.is_Symbol:
                self.by_monomial[exponents] = value
            else:
                symbol = sp.Symbol(f"E_{len(self.averages)}")
                self.averages[symbol] = value
                self.by_monomial[exponents] = symbol
        return self.by_monomial[exponents]
