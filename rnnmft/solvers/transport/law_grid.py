"""A one-dimensional law on a spectral grid: E[g(c)] = sum_i w_i g(c_i) for smooth bounded g.

The nodes are Chebyshev points in t, c = sinh(S t), |t| <= 1: dense where activations bend, sparse
in the tails. A step of c' = alpha c + beta moves functions, (P g)(c) = E[g(alpha c + beta)], so
weights move by w' = w P. For independent alpha and beta P is a product of two matrices.

Points near and beyond the ends are brought back by a smooth map that differs from the identity only
where the law has no mass. A hard clamp would put a kink there, and an interpolant feels a kink
everywhere (1e-8); on the whole line the mass at infinity is a second invariant law.

Eq. (transport).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from rnnmft.solvers.transport.gauss_rules import CoefficientRule

__all__ = ["LawGrid"]

Array = NDArray[np.float64]
#: Width in t of the smooth end, and how many of them from 1 the map is the identity to rounding:
#: erfc(6) / 2 = 1e-17. Two thirds of t remain for the law.
_SOFT, _WIDTHS = 0.06, 6.0


@dataclass(frozen=True)
class LawGrid:
    """`size` Chebyshev nodes; the law has negligible mass beyond |c| = `reach`."""

    size: int
    reach: float

    @property
    def extent(self) -> float:
        """S: t = asinh(c) / S stays below 1 - 6 * 0.06 at the reach."""
        return float(np.arcsinh(self.reach)) / (1.0 - _WIDTHS * _SOFT)

    @cached_property
    def _angles(self) -> Array:
        return np.pi * np.arange(self.size) / (self.size - 1)

    @cached_property
    def nodes(self) -> Array:
        """The points c_i, increasing: (n,)."""
        return np.sinh(-self.extent * np.cos(self._angles))

    def interpolation(self, points: Array) -> Array:
        """The cardinal functions at points: (..., n)."""
        t = _soft(np.arcsinh(points.ravel()) / self.extent)
        grid = -np.cos(self._angles)
        weights = (-1.0) ** np.arange(self.size)
        weights[[0, -1]] *= 0.5
        distance = t[:, None] - grid[None, :]
        exact = distance == 0
        if exact.any():
            distance[exact] = 1.0
        terms = weights / distance
        terms /= terms.sum(1, keepdims=True)
        hit = exact.any(1)
        terms[hit] = exact[hit]
        return terms.reshape(*points.shape, self.size)

    def gain_tensor(self, rule: CoefficientRule) -> Array:
        """phi(alpha_j c_i): (m, n, n)."""
        return self.interpolation(rule.nodes[:, None] * self.nodes)

    def noise_tensor(self, rule: CoefficientRule) -> Array:
        """phi(c_i + beta_k): (m, n, n)."""
        return self.interpolation(rule.nodes[:, None] + self.nodes)


def _soft(t: Array) -> Array:
    """t brought smoothly below 1: t - d F((t - 1) / d), F' = erfc(-u) / 2; odd in t."""
    u = (np.abs(t) - 1.0) / _SOFT
    over = 0.5 * (u * erfc(-u) + np.exp(-(u**2)) / np.sqrt(np.pi))
    return np.sign(t) * (np.abs(t) - _SOFT * over)
