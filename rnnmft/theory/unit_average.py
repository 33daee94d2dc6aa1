"""Averages over one unit: Gaussian integrals where they are enough, else nodes over its law.

Eq. (moments).
"""

from __future__ import annotations

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.theory.law_expectation import LawExpectation
from rnnmft.theory.moments import MomentTheory

__all__ = ["unit_average"]


def unit_average(theory: MomentTheory, expression: sp.Expr) -> sp.Expr:
    """E[expression] over the states, preactivations, input and parameters of a unit.

    What depends on the preactivations and a white input alone, and polynomially on the states,
    becomes Gaussian expectations and moments of the states. What depends on a state otherwise, or
    on a parameter that is fixed in time, needs the law of the unit: a `LawExpectation` over all
    variables that it ties together, times Gaussian expectations of the rest.

    >>> from rnnmft import cells
    >>> from rnnmft.theory.moments import moment_theory
    >>> cell = cells.lstm()
    >>> (f, i, g, o), (c, h) = cell.preactivations, cell.states
    >>> from rnnmft.activations import sigmoid, tanh
    >>> print(unit_average(moment_theory(cell), sigmoid(o) ** 2 * tanh(c) ** 2))
    E[sigmoid(z*)**2 | mu_b_o, q_o]*E[tanh(c)**2 | law of c]
    """
    try:
        return theory.expect(expression)
    except DerivationError:
        return sp.Add(*(_term(theory, term) for term in sp.Add.make_args(expression)))


def _term(theory: MomentTheory, term: sp.Expr) -> sp.Expr:
    """One product: the factors tied to the states, directly or by a shared variable, and others."""
    cell = theory.cell
    tied: set[sp.Basic] = {*cell.states, *cell.parameters}
    if theory.notation.follow_input and cell.input is not None:
        tied.add(cell.input)
    variables = {*tied, *cell.preactivations, *([cell.input] if cell.input is not None else [])}
    inside: list[sp.Expr] = []
    outside = list(sp.Mul.make_args(term))
    while touched := [f for f in outside if f.free_symbols & tied]:
        inside += touched
        outside = [f for f in outside if not f.free_symbols & tied]
        tied |= set().union(*(f.free_symbols & variables for f in touched))
    product = sp.Mul(*inside)
    over = sorted(product.free_symbols & variables, key=str)
    return LawExpectation(product, *over) * theory.expect(sp.Mul(*outside))
