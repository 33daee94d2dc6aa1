"""The two-time recursion of cells with Gaussian states, as equations.

With S(t, s) the covariance of the states and C_k(t, s) that of the preactivations of updates t + 1,

    C_k(t, s) = sigma_w,k^2 E[Y_k(u_t) Y_k(u_s)] + sigma_v,k^2 R kappa(t - s) + sigma_b,k^2,
    S(t+1, s+1) = A S(t, s+1) + S(t+1, s) A^T - A S(t, s) A^T + F(t, s),
    F(t, s) = B C(t, s) B^T + c c^T R kappa(t - s),

F being the covariance of what an update adds to the leaking states.

Eq. (gaussian-kernel).
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from rnnmft.language import Cell, Preactivation
from rnnmft.theory.gaussian_states import GaussianStatesTheory, gaussian_states_theory
from rnnmft.theory.notation import Notation

__all__ = ["two_time_equations"]

_T, _S = sp.Symbol("t", integer=True), sp.Symbol("s", integer=True)


def two_time_equations(
    cell: Cell,
    notation: Notation,
    covariance: Callable[[Preactivation], sp.Expr],
    drive: Callable[[Preactivation], sp.Expr],
) -> dict[str, sp.Eq]:
    """{preactivation: C(t, s) = ..} and {"S" or "S_ab": S(t + 1, s + 1) = ..} of the states.

    Args:
        cell: with Gaussian states.
        notation: its symbols.
        covariance: C(t, s) of a preactivation, a function of t and s.
        drive: what input and bias add to it.
    """
    theory = gaussian_states_theory(cell)
    found = {}
    for p in cell.preactivations:
        value = drive(p)
        if p.is_recurrent:
            value += notation.sigma_w[p] ** 2 * _overlap(theory, p)
        found[p.name] = sp.Eq(covariance(p), value, evaluate=False)
    return found | _filter(theory, notation, covariance)


def _between(theory: GaussianStatesTheory, t: sp.Expr, s: sp.Expr) -> sp.Matrix:
    """S(t, s), (m, m); S_ba(t, s) is S_ab(s, t)."""
    names = [a.name for a in theory.cell.states]

    def entry(a: int, b: int) -> sp.Expr:
        if len(names) == 1:
            return sp.Function("S", real=True)(t, s)
        if a > b:
            return entry(b, a).subs({t: s, s: t}, simultaneous=True)
        return sp.Function(f"S_{names[a]}{names[b]}", real=True)(t, s)

    return sp.Matrix(len(names), len(names), entry)


def _overlap(theory: GaussianStatesTheory, p: Preactivation) -> sp.Expr:
    """E[Y(u_t) Y(u_s)] in the covariances of the states."""
    averages, r = theory.averages(p), theory.rows[p]
    means = [sp.Function(f"m_{a.name}", real=True) for a in theory.cell.states]
    values = {
        symbol: (r * sp.Matrix([m(time) for m in means]))[0]
        for symbol, time in zip(averages.arguments[:2], (_T, _S), strict=True)
    }
    for symbol, times in zip(averages.arguments[2:], ((_T, _T), (_T, _S), (_S, _S)), strict=True):
        values[symbol] = (r * _between(theory, *times) * r.T)[0]
    return averages.overlap.xreplace(values)


def _filter(
    theory: GaussianStatesTheory, n: Notation, covariance: Callable[[Preactivation], sp.Expr]
) -> dict[str, sp.Eq]:
    cell, A = theory.cell, theory.A
    power = n.R * sp.Function("kappa", real=True)(_T - _S)
    forced = theory.c * theory.c.T * power
    for k, p in enumerate(cell.preactivations):
        forced += theory.B[:, k] * theory.B[:, k].T * covariance(p)
    late_t, late_s = _T + 1, _S + 1
    value = A * _between(theory, _T, late_s) + _between(theory, late_t, _S) * A.T
    value += forced - A * _between(theory, _T, _S) * A.T
    after = _between(theory, late_t, late_s)
    names = [a.name for a in cell.states]
    return {
        f"S_{names[a]}{names[b]}" if len(names) > 1 else "S": sp.Eq(
            after[a, b], sp.expand(value[a, b]), evaluate=False
        )
        for a in range(len(names))
        for b in range(a, len(names))
    }
