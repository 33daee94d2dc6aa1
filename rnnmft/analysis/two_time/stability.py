"""The modes and perturbations of a stationary kernel, by the method for its number of states."""

from __future__ import annotations

from rnnmft.analysis.two_time.growth import leading_growth
from rnnmft.analysis.two_time.jost import JostModes
from rnnmft.analysis.two_time.kernel import StationaryKernel
from rnnmft.analysis.two_time.modes import KernelModes
from rnnmft.analysis.two_time.response import KernelResponse, Response

__all__ = ["modes_of", "perturbation"]


def modes_of(kernel: StationaryKernel, scale: float = 1.0) -> JostModes | KernelModes:
    """What small changes of a kernel decay like; `scale` multiplies its covariances."""
    response = KernelResponse.of(kernel, scale)
    return JostModes(response) if len(kernel.system.A) == 1 else KernelModes(response)


def perturbation(kernel: StationaryKernel, scale: float = 1.0) -> tuple[float, float]:
    """By what E|delta s|^2 grows a step beside a kernel, lambda^2, and its numerical error.

    Beside the kernel of two trajectories it is what their covariance is perturbed by.
    """
    response = Response.of(kernel, scale)
    if len(kernel.system.A) == 1:
        return JostModes(response.whole).slowest()[0], 0.0
    growth, error = leading_growth(response)
    return growth**2, 2 * growth * error
