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

from rnnmft.solvers.transport.gauss_rules import HIT, CoefficientRule

__all__ = ["LawGrid"]

Array = NDArray[np.float64]
#: Width in t of the smooth end, and how many of them from 1 the map is the identity to rounding:
#: erfc(6) / 2 = 1e-17. Two thirds of t remain for the law.
_SOFT, _WIDTHS = 0.06, 6.0
# Numbers in work at once: 128 kB, a part of the second cache.
_IN_CACHE = 1 << 14


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
        terms = self._terms(points)
        np.divide(terms, terms.sum(-1, keepdims=True), out=terms)
        return terms

    def _terms(self, points: Array) -> Array:
        """The barycentric terms at points, not yet divided by their sum: (..., n)."""
        t = _soft(np.arcsinh(points) / self.extent)
        terms: Array = np.add(t[..., None], np.cos(self._angles), dtype=np.float64)
        terms[terms == 0.0] = HIT
        np.divide(self._barycentric, terms, out=terms)
        return terms

    @cached_property
    def _barycentric(self) -> Array:
        weights = np.where(np.arange(self.size) % 2, -1.0, 1.0)
        weights[[0, -1]] *= 0.5
        return weights

    def gain_tensor(self, rule: CoefficientRule) -> Array:
        """phi(alpha_j c_i): (m, n, n)."""
        return self.interpolation(rule.nodes[:, None] * self.nodes)

    def noise_tensor(self, rule: CoefficientRule) -> Array:
        """phi(c_i + beta_k): (m, n, n)."""
        return self.interpolation(rule.nodes[:, None] + self.nodes)

    def gain_means(self, alphas: Array, weights: Array) -> Array:
        """sum_j w_pj phi(alpha_j c_i): (k, n, n), from nodes (m,) and weights (k, m).

        Nodes (B, m) and weights (k, B, m) of many points give (k, B, n, n). The grid is symmetric,
        phi_l(-c) = phi_{n - 1 - l}(c): half of it is computed.
        """
        half = (self.size + 1) // 2
        found = self._means(self.nodes[:half, None] * alphas[..., None, :], weights)
        mirrored = found[..., : self.size - half, :][..., ::-1, ::-1]
        return np.concatenate([found, mirrored], axis=-2)

    def noise_means(self, betas: Array, weights: Array) -> Array:
        """sum_j w_pj phi(c_i + beta_j): (k, n, n), likewise."""
        return self._means(self.nodes[:, None] + betas[..., None, :], weights)

    def _means(self, points: Array, weights: Array) -> Array:
        """sum_j w_pj phi(points_ij): (k, .., n, n), in parts that stay in the cache."""
        if points.ndim > 2:
            several = zip(points, weights.swapaxes(0, 1), strict=True)
            return np.stack([self._means(*one) for one in several], axis=1)
        found = np.empty((len(weights), len(points), self.size))
        rows = max(1, _IN_CACHE // (points.shape[1] * self.size))
        for first in range(0, len(points), rows):
            terms = self._terms(points[first : first + rows])
            shares = weights[:, None] / terms.sum(-1)
            found[:, first : first + rows] = (shares.swapaxes(0, 1) @ terms).swapaxes(0, 1)
        return found


def _soft(t: Array) -> Array:
    """t brought smoothly below 1: t - d F((t - 1) / d), F' = erfc(-u) / 2; odd in t."""
    u = (np.abs(t) - 1.0) / _SOFT
    over = 0.5 * (u * erfc(-u) + np.exp(-(u**2)) / np.sqrt(np.pi))
    return np.sign(t) * (np.abs(t) - _SOFT * over)
