"""The moments of the states at t = 0, where a recursion begins: independent Gaussians.

    s_i^0 ~ N(0, start^2), independent over states; between two trajectories a and b
    E[s_i^{0,a} s_i^{0,b}] = c_x start^2, the correlation of their inputs.

Where the recursion follows a constant input, that is one more such variable, of variance R.

Eq. (second-moment).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion
from rnnmft.theory.notation import MomentKey

__all__ = ["start_moments"]


def start_moments(
    recursion: UntiedRecursion, start: Mapping[str, float], point: Point
) -> tuple[Array, Array]:
    """The moments and the cross moments of a recursion at t = 0, (n, B) and (n_cross, B).

    Args:
        recursion: of the cell.
        start: {state: standard deviation}; 0 for a state that is absent.
        point: of the parameters, (B,) each.
    """
    n = recursion.derivation.notation
    R, c_x = point[n.R], point[n.c_x]
    variances = [
        R if v == n.cell.input else np.full_like(R, start.get(v.name, 0.0) ** 2)
        for v in n.recurrent
    ]

    def moment(key: MomentKey) -> Array:
        # One factor a variable: its power on the first trajectory, and on the second.
        sides = [*key, (0,) * len(variances)][:2]
        product = np.ones_like(R)
        for first, second, variance in zip(*sides, variances, strict=True):
            product = product * _pair_moment(first, second, variance, c_x * variance)
        return product

    single, cross = ([moment(k) for k in keys] for keys in (recursion.keys, recursion.cross_keys))
    return np.array(single), np.array(cross)


def _pair_moment(n: int, m: int, variance: Array, covariance: Array) -> Array:
    """E[u^n v^m] of a Gaussian pair of zero means and equal variances, by Stein's lemma."""
    if n == 0:
        return np.ones_like(variance) if m == 0 else _pair_moment(m, 0, variance, covariance)
    found = np.zeros_like(variance)
    if n > 1:
        found = found + (n - 1) * variance * _pair_moment(n - 2, m, variance, covariance)
    if m > 0:
        found = found + m * covariance * _pair_moment(n - 1, m - 1, variance, covariance)
    return found
