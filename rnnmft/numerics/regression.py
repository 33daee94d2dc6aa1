"""A Gaussian pair as a variable and a regression on it: e_b = mu_b + S (e_a - mu_a) + residual.

    S = q_ab / q_a,     Var(residual) = q_b - q_ab^2 / q_a,

with S = 0 where q_a = 0. A residual variance that is negative by rounding is 0 (an exactly
degenerate pair); one that is really negative is nan, which the quadrature reports as
`Status.INVALID`.
"""

from __future__ import annotations

from typing import Any, cast

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
    """The residual variance, elementwise: 0 where rounding made it negative, nan where invalid.

    q_a q_b - q_ab^2 is formed without rounding of the products: near a correlation of one its
    relative error would otherwise be that of the whole expectation.
    """
    shape = xp.broadcast_shapes(*(tuple(q.shape) for q in (q_a, q_ab, q_b)))
    q_a, q_ab, q_b = (xp.broadcast_to(q, shape) for q in (q_a, q_ab, q_b))
    determinant = _difference_of_products(xp, q_a, q_b, q_ab, q_ab)
    size = q_a * q_b
    slack = max(1e4 * float(xp.finfo(size.dtype).eps), _SLACK)
    zero, point = size * 0, q_a == 0
    residual = xp.where(point, q_b, determinant / xp.where(point, zero + 1, q_a))
    valid = (q_a >= 0) & (q_b >= 0) & (determinant >= -slack * size)
    return xp.where(valid, xp.where(residual > 0, residual, zero), zero + float("nan"))


def _difference_of_products(xp: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """a b - c d with the rounding of both products put back (Dekker 1971)."""
    first, lost_first = _exact_product(xp, a, b)
    second, lost_second = _exact_product(xp, c, d)
    return (first - second) + (lost_first - lost_second)


def _exact_product(xp: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """fl(a b) and what rounding took off."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(xp, a), _halves(xp, b)
    lost = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, lost


def _halves(xp: Any, x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of half its digits."""
    factor = 134217729.0 if float(xp.finfo(x.dtype).eps) < 1e-10 else 4097.0
    scaled = factor * x
    high = scaled - (scaled - x)
    return high, x - high


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
