"""A Gaussian pair as a variable and a regression on it: e_b = mu_b + S (e_a - mu_a) + residual.

    S = q_ab / q_a,     Var(residual) = q_b - q_ab^2 / q_a,

with S = 0 where q_a = 0, as functions of SymPy; `numerics.residual_variance` knows their numbers.
"""

from __future__ import annotations

from typing import cast

import sympy as sp

from rnnmft.expectation import GaussianExpectation

__all__ = ["ResidualVariance", "SafeInverse", "nested_pair"]


class SafeInverse(sp.Function):
    """1/x for x > 0 and 0 otherwise: the regression on a constant is 0."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """-1/x^2, as a function that is 0 where this one is."""
        return -self * self


class ResidualVariance(sp.Function):
    """q_b - q_ab^2 / q_a as a function of (q_a, q_ab, q_b)."""

    nargs = 3

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """(S^2, -2 S, 1) with the slope S = q_ab / q_a."""
        q_a, q_ab, _ = self.args
        slope = q_ab * SafeInverse(q_a)
        return (slope**2, -2 * slope, sp.S.One)[argindex - 1]


def nested_pair(node: GaussianExpectation) -> GaussianExpectation:
    """The expectation over a pair as one over d = e_a - mu_a of one over e_b given d.

    The outer variable is centred because S d must not inherit the rounding of mu_a + d: with
    q_a far below q_b the slope S magnifies it.
    """
    a, b = node.variables
    mu_a, mu_b = node.means
    q_a, q_ab, q_b = node.covariance
    inner = GaussianExpectation(
        cast("sp.Expr", node.integrand.xreplace({a: mu_a + a})),
        sp.Tuple(b),
        sp.Tuple(mu_b + q_ab * SafeInverse(q_a) * a),
        sp.Tuple(ResidualVariance(q_a, q_ab, q_b)),
    )
    return GaussianExpectation(inner, sp.Tuple(a), sp.Tuple(sp.S.Zero), sp.Tuple(q_a))
