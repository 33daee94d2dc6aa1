"""Expectations over a Gaussian pair of expectations over further pairs, recognised and taken apart.

    E_{y_a, y_b}[ ... E_{z_a, z_b}[ f(z_a; y_a) g(z_b; y_b) ] ... ]

A reset gate after the product, gates that are normalised together: quadrature over the four or more
variables, one inside another, costs the fourth power of its nodes. `mehler` evaluates such a node
by Hermite series where everything in it is smooth. This file is symbols only.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, cast

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.expectation import GaussianExpectation

__all__ = ["IteratedPair", "PairForm", "mark_iterated_pairs", "pair_form"]

_NOT_SMOOTH = (sp.Abs, sp.sign, sp.Heaviside, sp.DiracDelta, sp.Max, sp.Min, sp.Piecewise)


class IteratedPair(sp.Expr):
    """A mark around such a node: one expression for whoever compiles, with the node inside."""

    is_commutative = True

    def __new__(cls, node: GaussianExpectation) -> IteratedPair:
        """The mark of a node."""
        return cast("IteratedPair", sp.Expr.__new__(cls, node))

    @property
    def node(self) -> GaussianExpectation:
        """The expectation over the outer pair."""
        return cast("GaussianExpectation", self.args[0])

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """The node's."""
        return self.node.free_symbols


@dataclass(frozen=True)
class PairForm:
    """One level of an iterated pair.

    Attributes:
        symbols: what the level depends on: captured symbols and the variables of outer levels.
        law: (mu_a, q_a, q_ab, q_b, mu_b), in the symbols.
        variables: (a, b).
        sides: (f, g) with f free of b and g free of a, where the integrand is their product.
        body: otherwise the integrand, in the symbols, a, b and the placeholders.
        inner: {placeholder: the level whose value it is}.
    """

    symbols: tuple[sp.Symbol, ...]
    law: tuple[sp.Expr, ...]
    variables: tuple[sp.Symbol, sp.Symbol]
    sides: tuple[sp.Expr, sp.Expr] | None
    body: sp.Expr
    inner: dict[sp.Symbol, PairForm]

    @property
    def depth(self) -> int:
        """How many pairs one inside another, this one included."""
        return 1 + max((form.depth for form in self.inner.values()), default=0)


def mark_iterated_pairs(expression: sp.Expr, doubtful: Set[sp.Basic] = frozenset()) -> sp.Expr:
    """The expression with a mark around every outermost iterated pair that is smooth.

    Those that depend on a doubtful symbol are left.
    """
    outermost = (n for n in _outermost(expression) if not doubtful & n.free_symbols)
    found = [n for n in outermost if _inner_pairs(n.integrand) and _smooth(n)]
    return cast("sp.Expr", expression.xreplace({node: IteratedPair(node) for node in found}))


def pair_form(node: GaussianExpectation, symbols: tuple[sp.Symbol, ...]) -> PairForm:
    """The levels of an expectation over a pair whose free symbols are `symbols`."""
    a, b = (sp.Dummy(v.name, real=True) for v in node.variables)
    integrand = node.integrand.xreplace(dict(zip(node.variables, (a, b), strict=True)))
    (mu_a, mu_b), (q_a, q_ab, q_b) = node.means, node.covariance
    inner = {pair: sp.Dummy("inner", real=True) for pair in _inner_pairs(integrand)}
    return PairForm(
        symbols,
        (mu_a, q_a, q_ab, q_b, mu_b),
        (a, b),
        None if inner else _sides(integrand, a, b),
        integrand.xreplace(inner),
        {held: pair_form(pair, (*symbols, a, b)) for pair, held in inner.items()},
    )


def _is_pair(part: Any) -> bool:
    return isinstance(part, GaussianExpectation) and len(part.variables) == 2


def _outermost(expression: sp.Basic) -> list[GaussianExpectation]:
    """The expectations over pairs that are inside no other expectation, each once."""
    if isinstance(expression, GaussianExpectation):
        return [expression] if _is_pair(expression) else []
    found = [node for part in expression.args for node in _outermost(part)]
    return list(dict.fromkeys(found))


def _inner_pairs(integrand: sp.Basic) -> list[GaussianExpectation]:
    """The expectations over pairs inside an integrand, those inside others left to them."""
    if _is_pair(integrand):
        return [cast("GaussianExpectation", integrand)]
    if isinstance(integrand, GaussianExpectation):
        return []
    found = [node for part in integrand.args for node in _inner_pairs(part)]
    return list(dict.fromkeys(found))


def _smooth(node: sp.Basic) -> bool:
    """Whether no function inside has a kink or a jump: a Hermite series would be long."""
    return all(
        not isinstance(f, _NOT_SMOOTH) and not (isinstance(f, Activation) and type(f).kinks)
        for f in node.atoms(sp.Function, *_NOT_SMOOTH)
    )


def _sides(integrand: sp.Expr, a: sp.Symbol, b: sp.Symbol) -> tuple[sp.Expr, sp.Expr] | None:
    """f and g of a product f(a) g(b), or None."""
    left, right = [], []
    for factor in sp.Mul.make_args(integrand):
        if b not in factor.free_symbols:
            left.append(factor)
        elif a not in factor.free_symbols:
            right.append(factor)
        else:
            return None
    return sp.Mul(*left), sp.Mul(*right)
