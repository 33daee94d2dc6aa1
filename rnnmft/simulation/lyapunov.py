"""Lyapunov exponents of finite networks: directions pushed along a trajectory and kept orthonormal.

Of k directions the first j span a volume that grows as exp(t (lambda_1 + .. + lambda_j)). Pushed by
the linearised step and orthonormalised after each, J^t Q^{t-1} = Q^t R^t,

    lambda_j = lim (1/T) sum_t log |R^t_jj|

[benettin1980]. Directions take a while to sort; what they did before is left out, and the rest is
measured in two halves, whose difference tells whether the first part was long enough.

Eq. (lyapunov).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from rnnmft.errors import Status
from rnnmft.simulation.estimates import Estimate, LyapunovEstimate, estimate_over_networks
from rnnmft.simulation.jacobians import TangentMap
from rnnmft.simulation.weights import standard_normals

__all__ = ["GrowthRates", "lyapunov_estimate", "random_directions"]

#: The part of the steps in which directions sort: 1/4.
_SORTING = 4
#: Probability that halves of one law are called different.
_FALSE_ALARM = 1e-3


class GrowthRates:
    """log |R_jj| of many networks, added up over the two halves of a run.

    Args:
        tangent: the directions.
        steps: of the whole run.
    """

    def __init__(self, tangent: TangentMap, steps: int) -> None:
        self.tangent = tangent
        self._done, self._first = 0, steps // _SORTING
        self._half = (steps - self._first) // 2
        self._sums: list[Tensor] = []

    def record(self) -> None:
        """After a step: orthonormalise, and note how the volumes grew."""
        grown = self.tangent.orthonormalize()
        if not self._sums:
            self._sums = [torch.zeros_like(grown) for _ in range(2)]
        half, measured = self._half, self._done - self._first
        if 0 <= measured < 2 * half:
            self._sums[measured // half] += grown
        self._done += 1

    def rates(self) -> np.ndarray:
        """The exponents of both halves, (networks, 2, k)."""
        return torch.stack(self._sums, dim=1).cpu().numpy() / self._half


def random_directions(
    generators: list[torch.Generator], size: int, count: int, dtype: torch.dtype
) -> Tensor:
    """Orthonormal directions, uniform over all, (networks, size, count)."""
    return torch.linalg.qr(standard_normals(generators, (size, count), dtype)).Q


def lyapunov_estimate(halves: np.ndarray) -> LyapunovEstimate:
    """The record of what `GrowthRates` of all networks gave, (networks, 2, k).

    >>> import numpy as np
    >>> found = lyapunov_estimate(np.array([[[0.5], [0.7]], [[0.6], [0.6]], [[0.7], [0.5]]]))
    >>> found
    LyapunovEstimate(1 exponents; largest 0.6 +- 0)
    """
    finite = bool(np.isfinite(halves).all())
    halves = np.where(np.isfinite(halves), halves, np.nan)
    status = Status.OK if finite else Status.UNDEFINED
    reason = "" if finite else "a direction vanished or overflowed."
    exponents = estimate_over_networks(halves.mean(axis=1), status, reason)
    drift = estimate_over_networks(halves[:, 1] - halves[:, 0], status, reason)
    if finite and _differs(drift):
        status = Status.NOT_CONVERGED
    return LyapunovEstimate(exponents, drift, status)


def _differs(drift: Estimate) -> bool:
    """Whether some mean is not 0: a t-test of each, at the false-alarm rate of all."""
    networks, count = drift.samples.shape
    if networks == 1:
        return False
    allowed = -stdtrit(networks - 1, _FALSE_ALARM / (2 * count)) * drift.sem
    # Rounding: exponents that are the same at every step have no scatter.
    return bool((np.abs(drift.mean) > allowed + 1e-6).any())
