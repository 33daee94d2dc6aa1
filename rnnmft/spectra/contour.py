"""The mass of a spectrum below a point, without its density: an integral over a circle.

    F(x) = (1/pi) int_0^pi Re [z G(z)] d theta,   z = x e^(i theta),

counts atoms and whatever lies near 0 without resolving it.

Eq. (mass).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.resolved import Resolver

__all__ = ["mass_below"]

Real = NDArray[np.float64]
#: On the half circle: Gauss nodes, of which the error is told by half of the coefficients.
_NODES = 16


def mass_below(resolver: Resolver, x: Real) -> tuple[Real, Real, Real]:
    """F(x) of points x > 0, (n,), the error of the integral over the circle, the standard error."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # theta = pi s^2 crowds the nodes where the circle meets the spectrum.
    s = (nodes + 1.0) / 2.0
    angle = math.pi * s * s
    z = x[:, None] * np.exp(1j * angle)
    found = resolver.resolve(z.ravel(), errors=True)
    inner = np.real(found.value * found.z).reshape(z.shape)
    inner = np.where(found.reached.reshape(z.shape), inner, np.nan)
    mass = (inner * s) @ weights
    half = np.polynomial.legendre.legfit(nodes, (inner * s).T, _NODES // 2)
    spread = (found.error * np.abs(found.z)).reshape(z.shape) * s @ weights
    return mass, np.abs(mass - 2.0 * half[0]), spread
