"""The Lyapunov spectrum of a linear network with one set of weights: J = a + b W at every step.

Its exponents are the logarithms of |eigenvalues|. Those of a + b W fill, with r = |b| sigma_w, the
disc around a of radius r evenly (gaussian weights) or its rim evenly (orthogonal ones), so that

    u(mu) = the part of disc or rim outside the circle |z| = e^mu.

Eq. (lyapunov-linear).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnmft.lyapunov.curve import ExponentCurve

__all__ = ["linear_curve"]

Real = NDArray[np.float64]
#: Nodes between the smallest and the largest modulus, crowded at both.
_NODES = 4_000
#: Where the smallest modulus is 0, the curve ends at this one, relative to the largest: u is
#: 1 - 1e-12 there at least.
_LEAST = 1e-6


def linear_curve(centre: float, radius: float, weights: str, nodes: int = _NODES) -> ExponentCurve:
    """u(mu) of J = a + b W, tied.

    Args:
        centre: a.
        radius: |b| sigma_w > 0.
        weights: "gaussian" or "orthogonal".
        nodes: of the curve.

    >>> linear_curve(0.8, 0.1, "gaussian").largest == math.log(0.9)
    True
    >>> round(linear_curve(0.0, 0.5, "gaussian").exponent(0.75), 6) == round(math.log(0.25), 6)
    True
    """
    a, largest = abs(centre), abs(centre) + radius
    if a == 0.0 and weights == "orthogonal":
        return ExponentCurve(np.array([math.log(radius)]), np.ones(1), complete=True)
    inside = weights == "gaussian" and a < radius
    smallest = _LEAST * largest if inside else abs(a - radius)
    smallest = max(smallest, _LEAST * largest)
    phi = np.linspace(0.0, math.pi, nodes)
    low, high = math.log(smallest), math.log(largest)
    mu = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(phi)
    mu[-1] = high
    above = _rim(a, radius, np.exp(mu)) if weights == "orthogonal" else _disc(a, radius, np.exp(mu))
    above[-1] = 0.0
    return ExponentCurve(mu, np.minimum.accumulate(above), complete=True)


def _rim(a: float, radius: float, modulus: Real) -> Real:
    """The part of the circle around a outside |z| = modulus."""
    cosine = (modulus**2 - a * a - radius**2) / (2 * a * radius)
    return np.arccos(np.clip(cosine, -1.0, 1.0)) / math.pi


def _disc(a: float, radius: float, modulus: Real) -> Real:
    """The part of the disc around a outside |z| = modulus: 1 less two segments' areas."""
    if a == 0.0:
        return 1.0 - np.minimum(modulus / radius, 1.0) ** 2
    ours = np.clip((a * a + modulus**2 - radius**2) / (2 * a * modulus), -1.0, 1.0)
    theirs = np.clip((a * a + radius**2 - modulus**2) / (2 * a * radius), -1.0, 1.0)
    area = modulus**2 * (np.arccos(ours) - ours * np.sqrt(1 - ours**2))
    area += radius**2 * (np.arccos(theirs) - theirs * np.sqrt(1 - theirs**2))
    return np.clip(1.0 - area / (math.pi * radius**2), 0.0, 1.0)
