"""The Lyapunov spectrum of a memoryless network, J = D W, in closed form.

The T-step Jacobian has the law of a product of T free factors, tied or not, and the T-th root of
its singular values has a limit whose quantiles are values of the S-transform [kargin2008],
[tucci2010]:

    lambda(u) = (1/2) log(sigma_w^2 u y(u) psi(-u)),     E[D^2 / (y + D^2)] = u,

u the fraction of larger exponents and psi that of the weights' ensemble: 1 for gaussian ones,
1/(1 - u) for orthogonal ones. Its end u -> 0 is half the growth of gradients. Units with D = 0 make
exponents of -inf.

Eq. (lyapunov-memoryless).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnmft.language.weight_ensembles import WeightEnsemble
from rnnmft.lyapunov.curve import ExponentCurve

__all__ = ["memoryless_curve"]

Real = NDArray[np.float64]
#: log y runs this far above log E[D^2]: u = exp(-30) there, 1e-13.
_HIGHEST = 30.0
#: It runs down to where all but this fraction of the exponents that are finite is larger, ..
_TAIL = 1e-6
#: .. at most so far below log E[D^2]; double precision ends at 1e-308.
_LOWEST = 600.0
#: Its step: a cubic through smooth values is right to its fourth power times 1e-2, 1e-9.
_STEP = 0.01
#: A law whose exponents differ by less than this has one exponent.
_ONE = 1e-9


def memoryless_curve(
    slopes: Real, mass: Real, sigma_w: float, weights: WeightEnsemble, step: float = _STEP
) -> ExponentCurve:
    """u(mu) of J = D W.

    Args:
        slopes: D at the nodes of a quadrature, (n,).
        mass: their weights, sum 1, (n,).
        sigma_w: of the weights.
        weights: their ensemble.
        step: of log y.

    >>> from rnnmft.language.weight_ensembles import weight_ensemble
    >>> one = np.ones(1)
    >>> curve = memoryless_curve(one, one, 2.0, weight_ensemble("gaussian"))
    >>> abs(curve.exponent(0.5) - math.log(2.0 * 0.5**0.5)) < 1e-8
    True
    >>> memoryless_curve(one, one, 2.0, weight_ensemble("orthogonal")).largest == math.log(2.0)
    True
    """
    square = np.square(slopes)
    mean = float(mass @ square)
    if mean == 0.0 or sigma_w == 0.0:
        return ExponentCurve(np.array([-math.inf]), np.zeros(1), complete=True)
    finite = float(mass[square > 0].sum())
    log_y = math.log(mean) + np.arange(_HIGHEST, -_LOWEST, -step)
    u, mu = np.array([0.0]), np.array([0.5 * math.log(sigma_w**2 * mean)])
    # In pieces: most laws end long before the lowest y.
    for piece in np.array_split(log_y, max(1, len(log_y) // 2000)):
        y = np.exp(piece)
        above = (square / (y[:, None] + square)) @ mass
        kept = above < finite - _TAIL
        y, above = y[kept], above[kept]
        value = np.log(sigma_w**2 * above * y * _psi(weights, -above))
        u, mu = np.concatenate([u, above]), np.concatenate([mu, 0.5 * value])
        if not kept.all():
            break
    return _monotonic(u, mu, finite)


def _psi(weights: WeightEnsemble, y: Real) -> Real:
    top, below = (
        np.polynomial.polynomial.polyval(y, [float(c) for c in part])
        for part in (weights.numerator, weights.denominator)
    )
    return top / below


def _monotonic(u: Real, mu: Real, finite: float) -> ExponentCurve:
    """The curve of u and mu(u): nodes that rounding moved together or back are left out."""
    largest = mu[0]
    if largest - mu.min() < _ONE:  # every exponent that is finite is the same
        return ExponentCurve(np.array([largest]), np.array([finite]), complete=True)
    kept = [0]
    for i in range(1, len(u)):
        if u[i] > u[kept[-1]] and mu[i] < mu[kept[-1]] - _ONE:
            kept.append(i)
    return ExponentCurve(mu[kept][::-1], u[kept][::-1], complete=True)
