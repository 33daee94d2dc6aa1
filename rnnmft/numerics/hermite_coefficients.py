"""Hermite's coefficients of functions of a Gaussian, at a whole batch of laws.

    f_k(mu, s) = E[f(mu + s z) h_k(z)],    E[f(a) g(b)] = sum_k f_k g_k rho^k

for a Gaussian pair of one law (mu, s^2) and correlation rho, with the orthonormal polynomials h_k.
Sums over equidistant nodes; where f is analytic for |Im z| < d they are off by exp(-2 pi d / h),
and the change that half the step makes is taken for the error of the finer ones. What the first K
coefficients leave out has the norm sqrt(E[f^2] - sum f_k^2).

Sources: [mehler1866], [daniely2016]. Eq. (mehler).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["HermiteCoefficients", "hermite_coefficients", "hermite_rule"]

Array = NDArray[np.float64]
Functions = Callable[[Array], tuple[Array, ...]]

# The density times h_k falls like exp(-z^2 / 4): nothing is beyond, 2e-16.
_REACH = 12.0
# Steps of the nodes, each half of the one before.
_STEPS = (0.5, 0.25, 0.125, 0.0625, 0.03125)
# The change by half a step that ends the halving, of the function's norm.
_TOLERANCE = 1e-10
# Elements in memory together: functions at the nodes of as many laws as 4 MB hold.
_TOGETHER = 1 << 19
# Rounding of such a sum and of a norm's difference, of the norm: 50 eps.
_ROUNDING = 50.0 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class HermiteCoefficients:
    """Of J functions at B laws.

    Attributes:
        values: f_k, (J, K, B).
        error: of each f_k, (J, B).
        rest: the norm of all that is left out, (J, B).
    """

    values: Array
    error: Array
    rest: Array


@lru_cache(maxsize=64)
def hermite_rule(step: float, terms: int) -> tuple[Array, Array]:
    """Nodes z of the standard normal, (n,), and the map w_i h_k(z_i) from f to f_k, (n, terms)."""
    half = math.ceil(_REACH / step)
    z = step * np.arange(-half, half + 1)
    # Hermite functions, h_k sqrt(phi): their recurrence neither over- nor underflows.
    root = np.exp(-0.25 * z * z) / (2.0 * np.pi) ** 0.25
    functions = np.zeros((terms, len(z)))
    functions[0] = root
    functions[1:2] = z * root
    for k in range(1, terms - 1):
        functions[k + 1] = (z * functions[k] - k**0.5 * functions[k - 1]) / (k + 1) ** 0.5
    return np.asarray(z, dtype=float), np.ascontiguousarray((step * root * functions).T)


def hermite_coefficients(
    functions: Functions, mean: Array, deviation: Array, terms: int
) -> HermiteCoefficients:
    """The first coefficients of functions at laws N(mean, deviation^2), (B,) each.

    Where no step is fine enough the error is infinite.
    """
    order = np.argsort(deviation, kind="stable")
    count = len(functions(np.zeros(1)))
    found = HermiteCoefficients(
        np.zeros((count, terms, len(mean))),
        np.full((count, len(mean)), np.inf),
        np.full((count, len(mean)), np.inf),
    )
    done = 0
    while done < len(order):
        each = _TOGETHER // (2 * math.ceil(_REACH / _first_step(float(deviation[order[done]]))) + 1)
        rows = order[done : done + max(each, 1)]
        _fill(functions, mean[rows], deviation[rows], terms, found, rows)
        done += len(rows)
    return found


def _first_step(deviation: float) -> float:
    """The step from which on halving may end: activations bend over lengths of about 1."""
    return next((h for h in _STEPS[1:] if h * deviation <= 1.0), _STEPS[-1])


def _fill(
    functions: Functions,
    mean: Array,
    deviation: Array,
    terms: int,
    found: HermiteCoefficients,
    rows: NDArray[np.intp],
) -> None:
    """Halve the step until the coefficients of some laws stand still."""
    start = _STEPS.index(_first_step(float(deviation[-1])))
    for step in _STEPS[start:]:
        z, matrix = hermite_rule(step, terms)
        sampled = functions(mean[:, None] + deviation[:, None] * z)
        coarse = matrix[::2] if (len(z) - 1) // 2 % 2 == 0 else matrix[1::2]
        offset = 0 if (len(z) - 1) // 2 % 2 == 0 else 1
        worst = 0.0
        for j, f in enumerate(sampled):
            full = np.broadcast_to(f, (len(mean), len(z)))
            values = full @ matrix
            square = (full * full) @ matrix[:, 0]
            before = 2.0 * (full[:, offset::2] @ coarse)
            norm = np.sqrt(square)
            error = np.abs(values - before).max(axis=1) + _ROUNDING * norm
            left = square - np.einsum("bk,bk->b", values, values)
            found.values[j][:, rows] = values.T
            found.error[j, rows] = error
            found.rest[j, rows] = np.sqrt(np.maximum(left, 0.0) + _ROUNDING * square)
            worst = max(worst, float((error / np.maximum(norm, _ROUNDING)).max()))
        if worst <= _TOLERANCE:
            return
