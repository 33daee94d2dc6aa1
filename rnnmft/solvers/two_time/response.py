"""How the pair averages of a stationary kernel answer to small changes of the covariances.

    delta C_e,k(t, s) = S_k(t - s) delta U_k(t, s) + B_k(t - s) [delta U_k(t, t) + delta U_k(s, s)]

with S = sigma_w^2 E[y' y'] (Price) and B = sigma_w^2 E[y'' y] / 2 (Bonnet). A perturbation of the
states, and the covariance between two trajectories, feel S alone.

Eq. (kernel-response).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.two_time.kernel import StationaryKernel
from rnnmft.solvers.two_time.lags import Lags
from rnnmft.solvers.two_time.linear_states import LinearStates

__all__ = ["KernelResponse", "PerturbationResponse"]

Array = NDArray[Any]
# Differences and plateaus below this share of the largest value are rounding of the integrals,
# whose tolerance it is (`quadrature.RTOL`).
_NOISE = 1e-11


@dataclass(frozen=True)
class PerturbationResponse:
    """S on a window of lags and beyond.

    Attributes:
        system: the cell at its ensemble.
        bump: S_k(tau) - S_k(inf), (K, L + 1).
        far: S_k(inf), (K,).
    """

    system: LinearStates
    bump: Array
    far: Array

    @property
    def lags(self) -> Lags:
        """The window."""
        return Lags(self.bump.shape[1] - 1)

    def widened(self) -> PerturbationResponse:
        """On a window twice as long."""
        more = np.zeros((len(self.far), self.lags.length))
        return PerturbationResponse(self.system, np.concatenate([self.bump, more], 1), self.far)

    @property
    def whole(self) -> KernelResponse:
        """The same, for a covariance that no variance moves: B = 0."""
        return KernelResponse(
            self.system, self.bump, self.far, np.zeros_like(self.bump), np.zeros_like(self.far)
        )

    @staticmethod
    def of(kernel: StationaryKernel, scale: float = 1.0) -> PerturbationResponse:
        """S of a stationary kernel; `scale` multiplies every covariance."""
        near, far = kernel.averages("slope", scale)
        return PerturbationResponse(
            kernel.system, *_apart(near, far, np.abs(near).max(1, initial=0.0))
        )


@dataclass(frozen=True)
class KernelResponse(PerturbationResponse):
    """S and B.

    Attributes:
        bend_bump: B_k(tau) - B_k(inf), (K, L + 1).
        bend_far: B_k(inf), (K,).
    """

    bend_bump: Array
    bend_far: Array

    @staticmethod
    def of(kernel: StationaryKernel, scale: float = 1.0) -> KernelResponse:
        """S and B of a stationary kernel; `scale` multiplies every covariance."""
        slope, bend = (kernel.averages(kind, scale) for kind in ("slope", "curvature"))
        size = np.abs(slope[0]).max(1, initial=0.0)
        return KernelResponse(kernel.system, *_apart(*slope, size), *_apart(*bend, size))


def _apart(near: Array, far: Array, size: Array) -> tuple[Array, Array]:
    """What is above the plateau, and the plateau, without what is rounding beside `size`."""
    far = np.where(np.abs(far) > _NOISE * size, far, 0.0)
    bump = near - far[:, None]
    return np.where(np.abs(bump) > _NOISE * size[:, None], bump, 0.0), far
