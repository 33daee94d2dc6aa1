"""The backward solution as symbols: stationarity, criticality and the definition of q, solved.

One chain of equations, each in the symbols of those before it. Gaussian integrals are closed
where the activations allow (erf, ReLU, linear, hard gates), and vanish where an odd function meets
a mean of zero.

Eq. (critical), Eq. (balance), Eq. (minimal-critical), Eq. (vanilla-critical).
"""

from __future__ import annotations

import sympy as sp

from rnnmft.activations import erf, hard_tanh, sin, softsign, tanh
from rnnmft.errors import DerivationError
from rnnmft.expectation import GaussianExpectation
from rnnmft.initialization.design.design import Design
from rnnmft.solvers.closed.homogeneous import homogeneous
from rnnmft.theory.derivation import Derivation, closed_derivation

__all__ = ["critical_formula"]

_ODD = (tanh, erf, sin, softsign, hard_tanh)
_DERIVATIVES = tuple(f(sp.Symbol("x", real=True)).diff().func for f in (tanh, softsign, hard_tanh))


def critical_formula(design: Design) -> sp.Tuple | None:
    """The equations for Q*, every sigma_w^2 and sigma_v^2 or sigma_b^2; None where none are closed.

    Where the variance map is linear there is no Q*, and q is the variance after T steps.

    Args:
        design: what was chosen; numbers that are zero there are zero in the equations.
    """
    try:
        derivation = closed_derivation(design.cell, design.inputs.temporal == "constant")
    except DerivationError:
        return None
    chain = _Chain(derivation, design)
    if homogeneous(design.cell) is not None:
        return sp.Tuple(*chain.weights(), *chain.growth())
    return sp.Tuple(*chain.moments(), *chain.weights(), *chain.balances())


class _Chain:
    """The equations of one design in the notation of one derivation."""

    def __init__(self, derivation: Derivation, design: Design) -> None:
        self.derivation, self.design = derivation, design
        n = derivation.notation
        self.zero: dict[sp.Basic, sp.Basic] = {}
        for p in design.cell.preactivations:
            choice = design.choices[p.name]
            self.zero |= {n.mu_b[p]: sp.S.Zero} if choice.mu_b == 0 else {}
            self.zero |= {n.sigma_b[p]: sp.S.Zero} if choice.sigma_b == 0 else {}
            self.zero |= {n.sigma_v[p]: sp.S.Zero} if choice.sigma_v == 0 else {}
        #: Moments that stay zero, once they are solved for: the means where nothing has a mean.
        self.vanishing: dict[sp.Basic, sp.Basic] = {}
        self.squares = {p: n.sigma_w[p] ** 2 for p in design.cell.preactivations}

    def read(self, expression: sp.Expr) -> sp.Expr:
        """With what is zero left out, and closed forms where there are any."""
        reduced = expression.xreplace(self.zero).replace(
            lambda part: isinstance(part, GaussianExpectation), _closed
        )
        return sp.factor_terms(reduced.xreplace(self.vanishing))

    def moments(self) -> list[sp.Eq]:
        """Stationarity: linear in the moments, coupled groups solved together."""
        n, theory = self.derivation.notation, self.derivation.theory
        seen = [theory.expect(y**2) for y in self.design.cell.sees.values() if y != 0]
        used = [*seen, self.derivation.jacobian.moment(1)]
        needed = [k for e in used for k in theory.moments_in(e)]
        updates = theory.closure([*self.derivation.moments, *needed])
        symbols = [n.moment(k) for k in updates]
        rows = [self.read(e) - s for e, s in zip(updates.values(), symbols, strict=True)]
        (solved,) = sp.linsolve(rows, symbols)
        found = {s: sp.factor_terms(v) for s, v in zip(symbols, solved, strict=True)}
        self.vanishing = {s: sp.S.Zero for s, v in found.items() if v == 0}
        left = [s for s in symbols if s not in self.vanishing]
        for s, row in zip(symbols, (r.xreplace(self.vanishing) for r in rows), strict=True):
            if s in left and not row.free_symbols & set(left) - {s}:
                # One moment alone: as the papers write it, not multiplied out.
                found[s] = row.subs(s, 0) / -sp.diff(row, s)
        used_symbols = set().union(*(self.read(e).free_symbols for e in used))
        squares = {n.moment(n.state_key(s, s)) for s in self.design.cell.states}
        return [
            sp.Eq(s, v, evaluate=False)
            for s, v in found.items()
            if v != 0 and (s in used_symbols or s in squares)
        ]

    def weights(self) -> list[sp.Eq]:
        """Every sigma_w^2 that is found: by its share of q, or by m_1 = 1."""
        n, design, found = self.derivation.notation, self.design, []
        for p in design.cell.preactivations:
            choice = design.choices[p.name]
            if not p.is_recurrent or choice.sigma_w is not None or p.name == design.main:
                continue
            left = n.q[p] - n.sigma_b[p] ** 2
            if choice.balance == "sigma_w":
                left = left - n.sigma_v[p] ** 2 * n.R
            else:
                left = sp.Symbol("r", positive=True) * left
            seen = self.derivation.theory.expect(p.sees**2)
            found.append(sp.Eq(self.squares[p], self.read(left / seen), evaluate=False))
        return found + self._critical()

    def _critical(self) -> list[sp.Eq]:
        """m_1 = 1, linear in the main sigma_w^2. Eq. (critical)."""
        main = next((p for p in self.squares if p.name == self.design.main), None)
        if main is None:
            return []
        w = sp.Dummy("w", positive=True)
        m_1 = self.derivation.jacobian.moment(1).subs(self.squares[main], w)
        slope = sp.diff(m_1, w)
        rest = self.read(m_1.subs(w, 0))
        return [sp.Eq(self.squares[main], (1 - rest) / self.read(slope), evaluate=False)]

    def balances(self) -> list[sp.Eq]:
        """What the definition of q leaves for sigma_v^2, sigma_b^2 or q itself. Eq. (balance)."""
        n, found = self.derivation.notation, []
        for p in self.design.cell.preactivations:
            balance = self.design.choices[p.name].balance
            if balance == "sigma_w":
                continue
            seen = self.derivation.theory.expect(p.sees**2) if p.is_recurrent else sp.S.Zero
            recurrent = self.squares[p] * seen
            drive = n.sigma_v[p] ** 2 * n.R if p.has_input else sp.S.Zero
            bias = n.sigma_b[p] ** 2
            left, right = {
                "sigma_v": (n.sigma_v[p] ** 2, (n.q[p] - recurrent - bias) / n.R),
                "sigma_b": (n.sigma_b[p] ** 2, n.q[p] - recurrent - drive),
                "q": (n.q[p], recurrent + drive + bias),
            }[balance]
            if left.xreplace(self.zero) == 0:
                continue
            found.append(sp.Eq(left, self.read(right), evaluate=False))
        return found

    def growth(self) -> list[sp.Eq]:
        """q = T (sigma_v^2 R + sigma_b^2) + (T - 1) mu_b^2, solved for what balances."""
        n, T = self.derivation.notation, sp.Symbol("T", positive=True)
        (choice,) = self.design.choices.values()
        (p,) = self.design.cell.preactivations
        drive = n.sigma_v[p] ** 2 * n.R if p.has_input and self.design.inputs.R > 0 else sp.S.Zero
        relation = T * (drive + n.sigma_b[p] ** 2) + (T - 1) * n.mu_b[p] ** 2 - n.q[p]
        left = n.q[p] if choice.balance == "q" else getattr(n, choice.balance)[p] ** 2
        unknown = sp.Dummy("unknown")
        rest = relation.xreplace({left: unknown}).xreplace(self.zero)
        right = -rest.xreplace({unknown: sp.S.Zero}) / sp.diff(rest, unknown)
        return [sp.Eq(left, sp.expand(right), evaluate=False)]


def _closed(node: GaussianExpectation) -> sp.Expr:
    """0, a closed form, or the node as it is written."""
    if _without_odd(node) == 0:
        return sp.S.Zero
    value = node.doit()
    return node if value.has(GaussianExpectation) else value


def _without_odd(node: GaussianExpectation) -> sp.Expr:
    """0 where the integrand is odd about a mean of zero; else the node."""
    if len(node.variables) != 1 or node.means[0] != 0:
        return node
    (z,) = node.variables
    mirrored = node.integrand.replace(lambda f: f.func in _ODD and f.args == (z,), lambda f: -f)
    mirrored = mirrored.replace(lambda f: f == z, lambda f: f)
    opaque = {f: sp.Dummy() for f in mirrored.atoms(sp.Function) if f.args == (z,)}
    known = all(f.func in (*_ODD, *_DERIVATIVES) for f in opaque)
    if not known or z in mirrored.xreplace(opaque).free_symbols:
        return node
    odd = sp.expand(mirrored + node.integrand) == 0
    return sp.S.Zero if odd else node
