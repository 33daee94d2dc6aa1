"""The residual variance of a Gaussian pair's regression, q_b - q_ab^2 / q_a, without cancellation.

One that is negative by rounding is 0 (an exactly degenerate pair); one that is really negative is
nan, which the quadrature reports as `Status.INVALID`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["pair_slack", "residual_variance"]

# By so much, relative to q_a q_b, q_ab^2 may exceed it before the pair counts as invalid: a
# covariance is often itself the result of a quadrature, right to 1e-11 (`quadrature.RTOL`), in
# single precision to some hundreds of eps. Cutting it off moves E[f g] by that part of q sup|f' g'|
# at most (Price).
_SLACK, _SLACK_EPS = 1e-10, 1e4


def pair_slack(eps: float) -> float:
    """By how much a squared correlation may exceed 1, at arithmetic of that eps."""
    return max(_SLACK, _SLACK_EPS * eps)


def residual_variance(xp: Any, q_a: Any, q_ab: Any, q_b: Any) -> Any:
    """The residual variance, elementwise: 0 where rounding made it negative, nan where invalid.

    q_a q_b - q_ab^2 is formed without rounding of the products: near a correlation of one its
    relative error would otherwise be that of the whole expectation.
    """
    shape = xp.broadcast_shapes(*(tuple(q.shape) for q in (q_a, q_ab, q_b)))
    q_a, q_ab, q_b = (xp.broadcast_to(q, shape) for q in (q_a, q_ab, q_b))
    determinant = _difference_of_products(xp, q_a, q_b, q_ab, q_ab)
    size = q_a * q_b
    slack = pair_slack(float(xp.finfo(size.dtype).eps))
    zero, point = size * 0, q_a == 0
    residual = xp.where(point, q_b, determinant / xp.where(point, zero + 1, q_a))
    valid = (q_a >= 0) & (q_b >= 0) & (determinant >= -slack * size)
    return xp.where(valid, xp.where(residual > 0, residual, zero), zero + float("nan"))


def _difference_of_products(xp: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """a b - c d with the rounding of both products put back [dekker1971]."""
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
    # 2^ceil(p / 2) + 1 for p = 53 digits, or 24.
    factor = 2.0**27 + 1.0 if xp.finfo(x.dtype).bits == 64 else 2.0**12 + 1.0
    scaled = factor * x
    high = scaled - (scaled - x)
    return high, x - high
