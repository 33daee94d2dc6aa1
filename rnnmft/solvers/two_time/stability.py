"""The modes and perturbations of a stationary kernel, by the method for its number of states.

Eq. (kernel-mode), Eq. (kernel-modes), Eq. (growth-modes).
"""

from __future__ import annotations

import numpy as np

from rnnmft.solvers.two_time.growth import leading_growth, plateau_modes
from rnnmft.solvers.two_time.jost import JostModes
from rnnmft.solvers.two_time.kernel import StationaryKernel
from rnnmft.solvers.two_time.modes import KernelModes
from rnnmft.solvers.two_time.response import KernelResponse, PerturbationResponse

__all__ = ["modes_of", "perturbation", "slowest_mode"]

# A plateau that is less than this of the variance is what the window's end left (1e-12, 1e-8 at
# worst).
_FORGOTTEN = 1e-9


def modes_of(kernel: StationaryKernel, scale: float = 1.0) -> JostModes | KernelModes:
    """What small changes of a kernel decay like; `scale` multiplies its covariances."""
    response = KernelResponse.of(kernel, scale)
    return JostModes(response) if len(kernel.system.A) == 1 else KernelModes(response)


def slowest_mode(kernel: StationaryKernel, scale: float = 1.0) -> tuple[float, bool]:
    """By what the slowest part of a start's approach shrinks a step, and whether that is proven.

    The modes of the kernel, and what a start lacks of what is never forgotten: of the mean, and of
    the plateau that a bias or a constant input gives, where no variance takes part in it.
    """
    modes, system = modes_of(kernel, scale), kernel.system
    slow, proven = modes.slowest()
    if system.mean.any():
        slow = max(slow, system.memory)
    covariances, far = kernel.seen_from(np.eye(len(system.A)))
    if (np.abs(far) > _FORGOTTEN * covariances[:, 0]).any() and not modes.kernel.bend_far.any():
        slow = max(slow, float(np.abs(plateau_modes(system, modes.kernel.far)).max()))
    return slow, proven


def perturbation(kernel: StationaryKernel, scale: float = 1.0) -> tuple[float, float]:
    """By what E|delta s|^2 grows a step beside a kernel, lambda^2, and its numerical error.

    Beside the kernel of two trajectories it is what their covariance is perturbed by.
    """
    response = PerturbationResponse.of(kernel, scale)
    if len(kernel.system.A) == 1:
        return JostModes(response.whole).slowest()[0], 0.0
    growth, error = leading_growth(response)
    return growth**2, 2 * growth * error
