"""Sums that cancel in an activation's tail, and the same functions without the cancellation.

    1 - sigmoid(x) = sigmoid(-x)             1 - 2 sigmoid(x) = -tanh(x / 2)
    1 - tanh(x)    = 2 sigmoid(-2 x)         1 - tanh(x)^2    = tanh'(x)
    1 + tanh(x)    = 2 sigmoid(2 x)          1 - Phi(x)       = Phi(-x)

A closed gate, E[(1 - sigmoid(e))^2] at mu = 20, would otherwise keep eight digits.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from rnnmft import activations as act

__all__ = ["without_cancellation"]

# (function, factor, exponent) of the second term of 1 + factor * function(x)^exponent.
_FORMS: dict[tuple[type, sp.Expr, sp.Expr], Callable[[sp.Expr], sp.Expr]] = {
    (act.sigmoid, sp.S.NegativeOne, sp.S.One): lambda x: act.sigmoid(-x),
    (act.sigmoid, sp.Integer(-2), sp.S.One): lambda x: -act.tanh(x / 2),
    (act.gaussian_cdf, sp.S.NegativeOne, sp.S.One): lambda x: act.gaussian_cdf(-x),
    (act.tanh, sp.S.NegativeOne, sp.S.One): lambda x: 2 * act.sigmoid(-2 * x),
    (act.tanh, sp.S.One, sp.S.One): lambda x: 2 * act.sigmoid(2 * x),
    (act.tanh, sp.S.NegativeOne, sp.Integer(2)): lambda x: act.tanh_prime(x),
}


def without_cancellation(expression: sp.Expr) -> sp.Expr:
    """The expression with every two-term sum of the table in its stable form.

    >>> x = sp.Symbol("x", real=True)
    >>> without_cancellation(x * (1 - act.sigmoid(x)) ** 2)
    x*sigmoid(-x)**2
    """
    return expression.replace(
        lambda part: isinstance(part, sp.Add) and len(part.args) == 2, _stable
    )


def _stable(total: sp.Expr) -> sp.Expr:
    constant, term = total.as_coeff_Add()
    if constant == 0:
        return total
    factor, rest = term.as_coeff_Mul()
    base, exponent = rest.as_base_exp()
    form = _FORMS.get((type(base), factor / constant, exponent))
    return total if form is None else constant * form(base.args[0])
