"""Moments of the Jacobian's squared singular values at a fixed point of closed moments.

Every m_k of one step by quadrature; m_1 of T steps by the T-th power of the tangent operator on
E[ds_a ds_b] = delta_ab. Eq. (untied-tangent).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnmft.errors import DerivationError, Status
from rnnmft.solvers.closed.evolution import worse
from rnnmft.solvers.closed.fixed_points import Root
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.solvers.closed.sensitivity import moved
from rnnmft.solvers.jacobian import JacobianMoments

__all__ = ["closed_jacobian"]


def closed_jacobian(
    recursion: UntiedRecursion,
    weights: Mapping[str, str],
    point: Point,
    at: Root,
    status: Status,
    horizon: int,
) -> JacobianMoments:
    """Moments of the T-step J J^T: every m_k for T = 1; m_1 for any T.

    Args:
        recursion: the recursion of moments.
        weights: the ensemble of W by preactivation.
        point: the parameters.
        at: the fixed point.
        status: whether it is one.
        horizon: T.
    """

    def compute(highest: int) -> tuple[Any, Any, Status]:
        if highest == 1:
            return (*_mean_over(recursion, point, at, horizon), status)
        if horizon != 1:
            raise DerivationError(
                f"m_2 and higher of the {horizon}-step Jacobian are not derived yet; "
                "m_1 is, and every moment at horizon 1"
            )
        values, error, code = _one_step(recursion, weights, point, at, highest)
        return values, error, code if code is Status.DIVERGES else worse(status, code)

    return JacobianMoments("untied", horizon, "quadrature", compute)


def _one_step(
    recursion: UntiedRecursion, weights: Mapping[str, str], point: Point, at: Root, highest: int
) -> tuple[Array, Array, Any]:
    """m_1..m_highest of one step, their errors, and DIVERGES or the codes of the quadrature."""
    own: list[Array] = []
    codes: list[Any] = []

    def moments(m: Array) -> Array:
        values, errors, found = recursion.jacobian_moments(highest, weights, m, point)
        own.append(errors[:, 0])
        codes.append(found)
        return values

    values, error = moved(moments, at.moments, at.errors)
    if not np.isfinite(values).all():
        values = np.where(np.isfinite(values), values, np.inf)
        return values, np.where(np.isfinite(values), error + own[0], np.inf), Status.DIVERGES
    return values, error + own[0], codes[0]


def _mean_over(
    recursion: UntiedRecursion, point: Point, at: Root, horizon: int
) -> tuple[Array, Array]:
    """m_1(T) and its error."""
    pairs, shares = recursion.derivation.tangent.pairs, recursion.derivation.cell.shares
    identity = np.array([float(i == j) for i, j in pairs])
    total = np.array([float(shares[i]) for i, _ in pairs]) * identity

    def mean(m: Array) -> Array:
        powers = np.linalg.matrix_power(recursion.tangent(m, point), horizon)
        return (total @ powers @ identity)[None]

    value, error = moved(mean, at.moments, at.errors)
    return value, error + horizon * recursion.rtol * np.abs(value)
