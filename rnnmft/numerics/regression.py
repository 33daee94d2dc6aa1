"""A Gaussian pair as a variable and a regression on it: e_b = mu_b + S (e_a - mu_a) + residual.

    S = q_ab / q_a,     Var(residual) = q_b - q_ab^2 / q_a,

with S = 0 where q_a = 0. A residual variance that is negative by rounding is 0 (an exactly
degenerate pair); one that is really negative is nan, which the quadrature reports as
`Status.INVALID`.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from rnnmft.expectation import GaussianExpectation

__all__ = ["ResidualVariance", "SafeInverse", "nested_pair", "residual_variance"]

# A determinant may be this negative, relative to q_a q_b, before the pair counts as invalid: more
# than rounding, because a covariance is often itself the result of a quadrature.
_SLACK = 1e-10


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


def residual_variance(xp: Any, q_a: Any, q_ab: Any, q_b: Any) -> Any:
    """The residual variance, elementwise: 0 where rounding made it negative, nan where invalid."""
    positive = q_a > 0
    divisor = xp.where(positive, q_a, q_a * 0 + 1)
    # A constant correlates with nothing: any covariance with it is invalid.
    explained = xp.where(
        positive, q_ab / divisor * q_ab, xp.where(q_ab == 0, q_ab, divisor * float("inf"))
    )
    residual = q_b - explained
    slack = max(1e4 * float(xp.finfo(residual.dtype).eps), _SLACK)
    valid = (residual >= -slack * q_b) & (q_a >= 0) & (q_b >= 0)
    zero = residual * 0
    return xp.where(valid, xp.where(residual > 0, residual, zero), zero + float("nan"))


def nested_pair(node: GaussianExpectation) -> GaussianExpectation:
    """The expectation over a pair as one over e_a of one over e_b given e_a."""
    a, b = node.variables
    mu_a, mu_b = node.means
    q_a, q_ab, q_b = node.covariance
    mean = mu_b + q_ab * SafeInverse(q_a) * (a - mu_a)
    inner = GaussianExpectation(
        node.integrand,
        sp.Tuple(b),
        sp.Tuple(mean),
        sp.Tuple(ResidualVariance(q_a, q_ab, q_b)),
    )
    return GaussianExpectation(inner, sp.Tuple(a), sp.Tuple(mu_a), sp.Tuple(q_a))
