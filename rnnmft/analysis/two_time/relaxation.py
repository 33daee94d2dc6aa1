"""How the stationary kernel of Gaussian states is approached: its linear response.

Moving the variance x_r of u at time r moves the pair averages of all pairs (r, s), and the kernel,
which moves the variance at later times:  x_t = (free) + sum_{r < t} R(t - r) x_r.  With z = lambda^2,

    R(z)_jk = sum_tau w_jk(tau) B_k(tau) (lambda^tau + lambda^-tau),   B = sigma_w^2 E[y'' y] / 2,
    w_j = G^T * (e_j delta_0 + S w_j),

S and G as in `growth`: w is what reaches tau = 0 from elsewhere. A mode z^t of the kernel is a zero
of f(z) = det(1 - R(z)), or belongs to the edge of the continuous spectrum of S. (The bound modes of
S alone, such as the growing one of a chaotic network, are poles of R: the kernel does not have
them.) How many zeros f has outside a circle follows from its winding there, so that none is missed.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from rnnmft.analysis.two_time.growth import Response
from rnnmft.analysis.two_time.lags import gain

__all__ = ["KernelResponse"]

Array = NDArray[Any]
# Of S and B above their plateaus, what is below this share of the largest is rounding.
_NOISE = 1e-13


@dataclass(frozen=True)
class KernelResponse:
    """R(z) of a stationary kernel.

    Attributes:
        response: S.
        bend, bend_far: B at the lags and at infinite lag, (K, L + 1), (K,).
    """

    response: Response
    bend: Array
    bend_far: Array

    @cached_property
    def _parts(self) -> tuple[Array, Array]:
        """S and B above their plateaus, without rounding."""
        parts = (self.response.bump, self.bend - self.bend_far[:, None])
        sizes = (np.abs(self.response.near).max(1), np.abs(self.bend).max(1))
        return tuple(
            np.where(np.abs(p) > _NOISE * size[:, None], p, 0.0)
            for p, size in zip(parts, sizes, strict=True)
        )  # type: ignore[return-value]

    def determinant(self, z: complex) -> complex:
        """f(z) = det(1 - R(z))."""
        rows = [self._row(z, j) for j in range(len(self.bend))]
        return complex(np.linalg.det(np.eye(len(rows)) - np.stack(rows)))

    def _row(self, z: complex, j: int) -> Array:
        growth, lags = cmath.sqrt(z), self.response.lags
        bump, bend = self._parts
        w = self._reaching(growth, j)
        exponent = lags.weights * 0 + np.arange(lags.length + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            v = growth**exponent + growth ** (-exponent)
            near = [
                (lags.weights * np.where(part != 0, w * part * v, 0.0)).sum(1)
                for part in (bump, bend)
            ]
        return near[1] + self.bend_far * self._through_plateau(growth, j, near[0])

    def _through_plateau(self, growth: complex, j: int, near: Array) -> Array:
        """sum_tau w_jk (lambda^tau + lambda^-tau), continued to where the sum does not exist."""
        system, far = self.response.system, self.response.far
        angle = np.array([-1j * cmath.log(growth)])
        gamma = gain(system.rows, system.A, system.B, growth, angle)[..., 0].T
        source = near.astype(complex)
        source[j] += 2.0
        return np.asarray(np.linalg.solve(np.eye(len(far)) - gamma * far, gamma @ source))

    def _reaching(self, growth: complex, j: int) -> Array:
        """w_jk(tau), (K, L + 1)."""
        lags, bump = self.response.lags, self._parts[0]
        gamma = np.swapaxes(self.response.resolvent(growth), 0, 1)
        source = np.zeros(bump.shape)
        source[j, 0] = 1.0
        free = lags.filtered(gamma, source).astype(complex)
        if not bump.any():
            return free

        def apply(x: Array) -> Array:
            x = x.reshape(bump.shape)
            return (x - lags.filtered(gamma, bump * x)).ravel()

        operator = LinearOperator((bump.size, bump.size), matvec=apply, dtype=complex)
        found, _ = gmres(operator, free.ravel(), rtol=1e-13, restart=80, maxiter=4)
        return found.reshape(bump.shape)
