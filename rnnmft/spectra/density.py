"""The density of a spectrum from G on a line above the real axis, continued to it to first order.

    rho(x) = -Im [G - i eta G'](x + i eta) / pi,

exact at eta = 0. An atom shows as a peak of width eta.

Eq. (density).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.resolved import Resolver

__all__ = ["SAMPLED_SMOOTHING", "Density", "find_density"]

Real = NDArray[np.float64]
#: eta / x where units are sampled: a finer law would be that of these units alone. 1 % of x is
#: below what a curve over decades shows.
SAMPLED_SMOOTHING = 0.01
#: Of |G|: what Newton's method leaves (its last step is below 1e-6, its error that squared times
#: the equation's bend) and rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Density:
    """The density at points.

    Attributes:
        value: (n,).
        smoothing_error: the size of the continuation to the axis.
        standard_error: of the sampling.
        reached: whether G was found where it was asked for.
    """

    value: Real
    smoothing_error: Real
    standard_error: Real
    reached: NDArray[np.bool_]


def find_density(resolver: Resolver, x: Real, eta: Real) -> Density:
    """The density at x > 0, smoothed over eta >= 0, both (n,)."""
    z = x + 1j * eta
    found = resolver.resolve(z, errors=True)
    correction = np.imag(found.z) * np.real(found.slope) / math.pi
    value = -np.imag(found.value) / math.pi + correction
    missed = np.abs(found.slope) * np.abs(found.z - z) + _ROUNDING * np.abs(found.value)
    smoothing = np.abs(correction) + missed / math.pi
    # Without smoothing G is the law's own: below 0 there is an error only, and it is noted as one.
    below = np.where(eta > 0, 0.0, np.maximum(-value, 0.0))
    value, smoothing = value + below, smoothing + below
    return Density(value, smoothing, found.error / math.pi, found.reached)
