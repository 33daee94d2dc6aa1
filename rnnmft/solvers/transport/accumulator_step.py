"""One step of an accumulated state's law at given preactivation variances, as matrices.

Its gain and noise (`coefficient`) at one set of preactivation laws, applied to laws, joint laws and
tangents.

Eq. (transport), Eq. (transport-tangent).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import factorial2

from rnnmft.language import Cell
from rnnmft.solvers.transport.coefficient import (
    Coefficient,
    Kind,
    coefficient,
    coefficient_factors,
)
from rnnmft.solvers.transport.law_grid import LawGrid

__all__ = ["AccumulatorStep"]

Array = NDArray[np.float64]
# Standard deviations beyond which a Gaussian has no mass to speak of: 2e-19.
_REACH = 9.0
# A moment whose 1 - E[alpha^n] is below this has no use as a bound (the least of them is taken).
_LEAST_GAP = 1e-9


@dataclass(frozen=True)
class AccumulatorStep:
    """Matrices of one step at preactivation laws {name: (mean, variance)}, or of many at (B,) each.

    `size`: Gauss nodes of a coefficient.
    """

    cell: Cell
    grid: LawGrid
    laws: Mapping[str, tuple[float, float]]
    size: int

    def _coefficient(self, kind: Kind) -> Coefficient:
        factors = coefficient_factors(self.cell)[kind]
        names = sorted({name for f in factors for name, _ in f.terms})
        if any(np.ndim(v) for name in names for v in self.laws[name]):
            laws = {name: self.laws[name] for name in names}
            return Coefficient(kind, self.cell, self.grid, laws, self.size)
        known = tuple((name, *map(float, self.laws[name])) for name in names)
        return coefficient(kind, self.cell, self.grid, known, self.size)

    @cached_property
    def gain(self) -> Coefficient:
        """alpha of c' = alpha c + beta."""
        return self._coefficient("gain")

    @cached_property
    def noise(self) -> Coefficient:
        """beta, likewise."""
        return self._coefficient("noise")

    @cached_property
    def matrix(self) -> Array:
        """P: (P g)(c_i) = E[g(alpha c_i + beta)]; weights move by w' = w P. Eq. (transport)."""
        return self.gain.powers[0] @ self.noise.powers[0]

    def move(self, law: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """The weights of E[c^p g(c)], p = 0, 1, 2, one step later: c'^p = (alpha c + beta)^p."""
        (a0, a1, a2), (b0, b1, b2), (w0, w1, w2) = self.gain.powers, self.noise.powers, law
        one = (w1 @ a1) @ b0 + (w0 @ a0) @ b1
        two = (w2 @ a2) @ b0 + 2.0 * (w1 @ a1) @ b1 + (w0 @ a0) @ b2
        return (w0 @ a0) @ b0, one, two

    def stationary(self) -> tuple[Array, Array, Array]:
        """The weights of E[c^p g(c)], p = 0, 1, 2, of the stationary law."""
        (a0, a1, a2), (b0, b1, b2) = self.gain.powers, self.noise.powers
        w0 = self.stationary_weights()
        one = np.eye(self.grid.size) - a1 @ b0
        w1 = np.linalg.solve(one.T, (w0 @ a0) @ b1)
        two = np.eye(self.grid.size) - a2 @ b0
        w2 = np.linalg.solve(two.T, 2.0 * (w1 @ a1) @ b1 + (w0 @ a0) @ b2)
        return w0, w1.astype(np.float64), w2.astype(np.float64)

    def stationary_weights(self) -> Array:
        """The first of them alone: (.., n)."""
        size = self.grid.size
        # w (1 - P) = 0 with unit mass: 1 - P + 1 u^T is regular and w its row u^T, for u = 1 / n.
        system = np.eye(size) - self.matrix + 1.0 / size
        weights = np.linalg.solve(system.swapaxes(-1, -2), np.full((size, 1), 1.0 / size))
        return weights[..., 0].astype(np.float64)

    # --- moments of the coefficients -----------------------------------------------------------

    def coefficient_moments(self) -> tuple[Array, Array, Array, Array]:
        """E[alpha], E[alpha^2], E[beta], E[beta^2]."""
        alpha, beta = self.gain, self.noise
        return alpha.moment(1), alpha.moment(2), beta.moment(1), beta.moment(2)

    def moments(self, mean: float, second: float) -> tuple[float, float]:
        """E[c'] and E[c'^2] from E[c] and E[c^2]: exact, whatever the grid."""
        a, aa, b, bb = self.coefficient_moments()
        return float(a * mean + b), float(aa * second + 2 * a * b * mean + bb)

    def reach(self, start: float = 0.0, order: int = 24, mass: float = 1e-17) -> float:
        """C such that the law has at most about `mass` beyond |c| = C, once stationary and before.

        Args:
            start: standard deviation of c at t = 0. What is left of it adds to what the noise has
                brought since, which is no wider than the stationary law.
            order: of the highest moment used.
            mass: see above.
        """
        alpha, beta = np.abs(self.gain.rule.nodes), np.abs(self.noise.rule.nodes)
        size = float(beta.max()) or 1.0
        gains = [float(self.gain.rule.weights @ alpha**j) for j in range(order + 1)]
        noises = [float(self.noise.rule.weights @ (beta / size) ** j) for j in range(order + 1)]
        moments = [1.0]
        for n in range(1, order + 1):
            total = sum(math.comb(n, j) * gains[j] * noises[n - j] * moments[j] for j in range(n))
            moments.append(total / max(1.0 - gains[n], _LEAST_GAP))
        orders = range(8, order + 1, 4)
        stationary = size * min((moments[n] / mass) ** (1.0 / n) for n in orders)
        if start == 0.0:
            return stationary
        if alpha.max() <= 1.0:
            return stationary + _REACH * start
        # E[|c|^n] of what is left falls where E[|alpha|^n] <= 1.
        bounds = [(factorial2(n - 1) / mass) ** (1.0 / n) for n in orders if gains[n] <= 1.0]
        return stationary + min(bounds, default=math.inf) * start

    # --- two trajectories ----------------------------------------------------------------------

    def joint(
        self, covariances: Mapping[str, float]
    ) -> tuple[Callable[[Array], Array], tuple[float, float]]:
        """How the joint weights of (c_a, c_b) move, and (E[alpha alpha], E[beta beta])."""
        gain, noise = (c.joint(covariances) for c in (self.gain, self.noise))

        def move(omega: Array) -> Array:
            for first, second, _ in (gain, noise):
                # sum_r first_r^T omega second_r as one batched and one plain product.
                omega = first.T @ (omega @ second).reshape(first.shape[0], -1)
            return omega

        return move, (gain[2], noise[2])

    # --- tangent -------------------------------------------------------------------------------

    @cached_property
    def tangent_matrix(self) -> Array:
        """How u[g] = E[dc^2 g(c)] moves by itself: u' = u T, T = E[alpha^2 g(alpha c + beta)]."""
        return self.gain.powers[2] @ self.noise.powers[0]

    def tangent_sources(self, law: tuple[Array, Array, Array]) -> dict[str, Array]:
        """{k: weights of E[(dc'/de_k)^2 g(c')]}; (dc'/de)^2 is c^2 f'^2 for a gain."""
        w0, _, w2 = law
        sources = [(f, (w2 @ tilted) @ self.noise.powers[0]) for f, tilted in self.gain.tilts]
        sources += [(f, (w0 @ self.gain.powers[0]) @ tilted) for f, tilted in self.noise.tilts]
        return {name: a * a * source for f, source in sources for name, a in f.terms}
