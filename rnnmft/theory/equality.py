"""Whether two expressions in Gaussian expectations are equal: by algebra, not at sample points.

Both sides are brought to a normal form: derivatives of tanh and the logistic function as
polynomials in the function, every expectation split by linearity into expectations of single
products, the two names of a pair in one order, the whole multiplied out. What has one normal form
is equal; two forms may still be equal by an identity that is not used here (a closed form). Where
both sides agree already with their expectations taken as they stand, that is enough, and quicker.
"""

from __future__ import annotations

from typing import Any, cast

import sympy as sp

from rnnmft.activations import sigmoid, sigmoid_prime, tanh, tanh_prime
from rnnmft.expectation import GaussianExpectation, gaussian_expectation

__all__ = ["equation", "normal_form", "same_expression"]


def same_expression(left: Any, right: Any) -> bool:
    """Whether the normal forms of two expressions agree.

    >>> z, q = sp.Symbol("z"), sp.Symbol("q")
    >>> one = gaussian_expectation((1 - sigmoid(z)) ** 2, z, 0, q)
    >>> two = 1 - 2 * gaussian_expectation(sigmoid(z), z, 0, q)
    >>> same_expression(one, two + gaussian_expectation(sigmoid(z) ** 2, z, 0, q))
    True
    >>> same_expression(one, two)
    False
    """
    return _same_as_it_stands(left, right) or normal_form(left) == normal_form(right)


def equation(name: str, typed: Any, derived: Any) -> str:
    """The sentence "NAME holds: TYPED" where both are equal.

    Raises:
        AssertionError: they differ; the message shows what is left of their difference.
    """
    if not _same_as_it_stands(typed, derived):
        difference = sp.expand(normal_form(typed) - normal_form(derived))
        if difference != 0:
            raise AssertionError(f"{name}: typed minus derived leaves {difference}")
    return f"{name} holds: {typed}"


def _same_as_it_stands(left: Any, right: Any) -> bool:
    """Whether the sides agree as polynomials in their expectations, none taken apart."""
    names: dict[sp.Expr, sp.Symbol] = {}

    def opaque(expression: sp.Expr) -> sp.Expr:
        if isinstance(expression, GaussianExpectation):
            factor, node = sp.factor_terms(expression).as_independent(
                GaussianExpectation, as_Add=False
            )
            return factor * names.setdefault(node, sp.Dummy(f"E{len(names)}"))
        if not expression.has(GaussianExpectation):
            return expression
        return expression.func(*(opaque(part) for part in expression.args))

    sides = [opaque(sp.sympify(side, strict=True)) for side in (left, right)]
    return sp.expand(sides[0] - sides[1]) == 0


def normal_form(expression: Any) -> sp.Expr:
    """The expression multiplied out, each expectation over a single product of activations."""
    whole = _polynomial(cast("sp.Expr", sp.sympify(expression, strict=True)))
    return cast("sp.Expr", sp.expand(_nodes(whole)))


def _polynomial(expression: sp.Expr) -> sp.Expr:
    """tanh' and sigma' as polynomials in tanh and sigma."""
    expression = expression.replace(tanh_prime, lambda x: 1 - tanh(x) ** 2)
    return expression.replace(sigmoid_prime, lambda x: sigmoid(x) * (1 - sigmoid(x)))


def _nodes(expression: sp.Expr) -> sp.Expr:
    """Every node split by linearity, inner ones first."""
    if isinstance(expression, GaussianExpectation):
        return _split(expression)
    if not expression.has(GaussianExpectation):
        return expression
    return expression.func(*(_nodes(part) for part in expression.args))


def _split(node: GaussianExpectation) -> sp.Expr:
    integrand = sp.expand(_nodes(node.integrand))
    means = [sp.expand(m) for m in node.means]
    covariance = [sp.expand(c) for c in node.covariance]
    terms = []
    for term in sp.Add.make_args(integrand):
        one = gaussian_expectation(term, node.variables, means, covariance)
        if len(node.variables) == 2:
            one = min(one, _swapped(term, node, means, covariance), key=sp.default_sort_key)
        terms.append(one)
    return sp.Add(*terms)


def _swapped(
    term: sp.Expr, node: GaussianExpectation, means: list[sp.Expr], covariance: list[sp.Expr]
) -> sp.Expr:
    """The same expectation with the names of the pair exchanged."""
    a, b = node.variables
    exchanged = _reordered(term.xreplace({a: b, b: a}))
    return gaussian_expectation(exchanged, node.variables, means[::-1], covariance[::-1])


def _reordered(expression: sp.Expr) -> sp.Expr:
    """Inner pairs in their own order again, after an outer exchange."""
    if not expression.has(GaussianExpectation):
        return expression
    if isinstance(expression, GaussianExpectation):
        return _split(expression)
    return expression.func(*(_reordered(part) for part in expression.args))
