"""The characteristic function of a unit, from which the equations of the whole spectrum follow.

Cut the matrices W_k out of one step and put self-energies a_k, b_k in their place:

    Delta(z; a, b) = det(diag(z 1_m, 1_K) - tau diag(1_m, a) tau^T diag(1_m, b)).

A unit contributes to the resolvent as a small matrix would, and the self-energies are fed by it:

    (1/mN) tr (z - J J^T)^-1 = (1/m) E[d/dz log Delta],
    u_k = -E[d/da_k log Delta],   v_k = -E[d/db_k log Delta],
    a_k = Phi_k(u_k v_k) v_k,     b_k = Phi_k(u_k v_k) u_k.

This is the block resolvent equation for free W_k (linearisation: [belinschi2017])
with a unit's own variables eliminated: for any number of states and staged preactivations.

Where widths differ Delta is a product of one determinant for each, and log Delta stands for the sum
of their logarithms, each times its width; m is the sum of the widths of the states; and Phi_k is a
rectangle's: sigma_w^2 over the width of y_k. Eq. (widths).

Eq. (characteristic), Eq. (self-energies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from rnnmft.language import Preactivation
from rnnmft.theory.determining_series import kinds_by_name, rectangular_function
from rnnmft.theory.law_expectation import LawExpectation
from rnnmft.theory.linearised_unit import LinearisedUnit

__all__ = ["CharacteristicFunction"]


#: Terms of Delta up to which it is factored and written out.
_SHORT = 400


@dataclass(frozen=True)
class CharacteristicFunction:
    """Delta of one cell's linearised unit, and the equations that it gives.

    Attributes:
        z: the spectral parameter.
        a, b, u, v: {preactivation: symbol} of the self-energies and of the averages behind them.
    """

    unit: LinearisedUnit

    def _symbol(self, name: str) -> sp.Symbol:
        """The symbol of that name; with a hat where the cell has a variable of that name."""
        cell = self.unit.cell
        variables = (*cell.states, *cell.preactivations, *cell.parameters, cell.input)
        taken = {v.name for v in variables if v is not None}
        return sp.Symbol(f"{name}hat" if name in taken else name)

    @cached_property
    def z(self) -> sp.Symbol:
        """The spectral parameter."""
        return self._symbol("z")

    def _unknown(self, stem: str) -> dict[Preactivation, sp.Symbol]:
        over = self.unit.recurrent
        return {p: self._symbol(f"{stem}_{p.name}" if len(over) > 1 else stem) for p in over}

    @cached_property
    def a(self) -> dict[Preactivation, sp.Symbol]:
        """The self-energies on the side of e."""
        return self._unknown("a")

    @cached_property
    def b(self) -> dict[Preactivation, sp.Symbol]:
        """The self-energies on the side of y."""
        return self._unknown("b")

    @cached_property
    def u(self) -> dict[Preactivation, sp.Symbol]:
        """The averages at e."""
        return self._unknown("u")

    @cached_property
    def v(self) -> dict[Preactivation, sp.Symbol]:
        """The averages at y."""
        return self._unknown("v")

    @cached_property
    def matrix(self) -> sp.ImmutableMatrix:
        """The matrix whose determinant is Delta, in the names of tau's entries."""
        tau, m = self.unit.named_transfer, len(self.unit.cell.states)
        one, count = [sp.S.One] * m, len(self.unit.recurrent)
        left = sp.diag(*([self.z] * m), *([sp.S.One] * count))
        energies = tau * sp.diag(*one, *self.a.values()) * tau.T
        return sp.ImmutableMatrix(left - energies * sp.diag(*one, *self.b.values()))

    @cached_property
    def parts(self) -> dict[sp.Rational, sp.ImmutableMatrix]:
        """{width: its rows of the matrix}, which is block diagonal; all of it where all are N."""
        classes = self.unit.width_classes
        return {w: self.matrix.extract(rows, rows) for w, (rows, _) in classes.items() if rows}

    @cached_property
    def factors(self) -> tuple[sp.Expr, ...]:
        """Delta as a product: a factor without z, where there is one, and the rest.

        Leading coefficients in z are 1 where a = b = 0.

        >>> from rnnmft import cells
        >>> from rnnmft.theory.jacobian import jacobian_theory
        >>> CharacteristicFunction(jacobian_theory(cells.vanilla())).factors
        (1 - b, -B**2*a + z)
        """
        return tuple(f for _, f in self._weighed)

    @cached_property
    def _weighed(self) -> list[tuple[sp.Rational, sp.Expr]]:
        """The factors, each with the width of the units that it counts."""
        return [(w, f) for w, d in self._determinants.items() for f in self._factored(d)]

    def _factored(self, determinant: sp.Expr) -> list[sp.Expr]:
        if not self.is_short:
            return [determinant]
        # A full factorisation of many variables can take minutes; the content in z is one gcd.
        content, rest = sp.Poly(determinant, self.z).primitive()
        zero = dict.fromkeys(self.matrix.free_symbols - {self.z}, 0)
        parts = (sp.Poly(content, self.z), rest)
        tidy = [f.as_expr() / f.LC().subs(zero) for f in parts]
        return [sp.collect(sp.expand(f), self.z) for f in tidy if f != 1]

    @cached_property
    def _determinants(self) -> dict[sp.Rational, sp.Expr]:
        """Delta multiplied out, by the characteristic polynomial over the ring of its symbols."""
        found = {}
        for width, part in self.parts.items():
            matrix = DomainMatrix.from_Matrix(part)
            constant = matrix.domain.to_sympy(matrix.charpoly()[-1])
            found[width] = sp.expand(sp.S.NegativeOne**part.rows * constant)
        return found

    @property
    def is_short(self) -> bool:
        """Whether Delta, and so the system, can be read."""
        return sum(len(sp.Add.make_args(d)) for d in self._determinants.values()) <= _SHORT

    @property
    def polynomial(self) -> sp.Expr:
        """Delta. Eq. (characteristic)."""
        return sp.Mul(*self.factors)

    def log_slope(self, by: sp.Symbol, sign: int = 1) -> sp.Expr:
        """sign d/d(by) log Delta, in the names of tau's entries."""
        return sp.Add(*(w * sp.factor_terms(sign * sp.diff(f, by)) / f for w, f in self._weighed))

    def _named_average(self, expression: sp.Expr) -> sp.Expr:
        """E over the joint law of tau's entries."""
        inside = [n for n in self.unit.names.values() if n in expression.free_symbols]
        return LawExpectation(expression, *inside) if inside else expression

    def _average(self, expression: sp.Expr) -> sp.Expr:
        """The same, with the entries as functions of the cell's variables."""
        names = self.unit.names
        values = {names[place]: value for place, value in self.unit.entries.items()}
        return self.unit.average(expression.xreplace(values))

    # --- equations -----------------------------------------------------------------------------

    def general(self) -> tuple[sp.Eq, ...]:
        """The equations with Delta and Phi_k as they are named: the same for every cell."""
        z, entries = self.z, list(self.unit.names.values())
        deltas = {
            w: sp.Function(_marked("Delta", w))(z, *self.a.values(), *self.b.values())
            for w in self.parts
        }
        log = sp.Add(*(w * sp.log(delta) for w, delta in deltas.items()))

        def mean(by: sp.Symbol) -> sp.Expr:
            return LawExpectation(sp.Derivative(log, by), *entries)

        found = [_equation(deltas[w], sp.Determinant(part)) for w, part in self.parts.items()]
        for p in self.unit.recurrent:
            a, b, u, v = self.a[p], self.b[p], self.u[p], self.v[p]
            phi = sp.Function(f"Phi_{p.name}" if len(self.a) > 1 else "Phi")(u * v)
            found += [_equation(u, -mean(a)), _equation(v, -mean(b))]
            found += [_equation(a, phi * v), _equation(b, phi * u)]
        return (*found, _equation(sp.Function("G")(z), mean(z) / self._count))

    @property
    def _count(self) -> sp.Rational:
        """m: the states, each for its width."""
        return sp.Add(*(s.width for s in self.unit.cell.states))

    def system(
        self, weights: str | Mapping[str, str] = "gaussian", written_out: bool = False
    ) -> tuple[sp.Eq, ...]:
        """The equations of this cell and ensemble: u_k, v_k, a_k, b_k, then the resolvent G(z).

        Eq. (self-energies).

        Args:
            weights: "gaussian" or "orthogonal" for every W_k, or {preactivation: ensemble}.
            written_out: averages over the cell's own variables, as Gaussian expectations or as
                nodes over the law of the unit where a state enters; else over A, B, C, D.
        """
        kinds = kinds_by_name(weights, [p.name for p in self.unit.cell.preactivations])
        mean = self._average if written_out else self._named_average
        sigma_w, found = self.unit.theory.notation.sigma_w, []
        for p in self.unit.recurrent:
            a, b, u, v = self.a[p], self.b[p], self.u[p], self.v[p]
            seen = self.unit.cell.seen_widths[p]
            phi = rectangular_function(kinds[p.name], sigma_w[p], u * v, p.width, seen)
            found.append(_equation(u, mean(self.log_slope(a, -1))))
            found.append(_equation(v, mean(self.log_slope(b, -1))))
            found += [_equation(a, phi * v), _equation(b, phi * u)]
        slope = mean(self.log_slope(self.z)) / self._count
        return (*found, _equation(sp.Function("G")(self.z), slope))


def _marked(name: str, width: sp.Rational) -> str:
    return name if width == 1 else f"{name}_{width}"


def _equation(left: sp.Basic, right: sp.Basic) -> sp.Eq:
    return sp.Eq(left, right, evaluate=False)
