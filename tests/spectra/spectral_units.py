"""Units with known laws for the tests of spectra: linear networks and products with discrete D."""

import itertools
import math

import numpy as np

from rnnmft.spectra.unit_transfer import UnitTransfer

D = np.array([0.2, 0.7, 1.3])
MASS = np.array([0.3, 0.3, 0.4])


def linear_units(
    horizon: int, weights: str, tied: bool = True, sigma_w: float = 1.0
) -> UnitTransfer:
    """A linear network: every unit is alike, y^t = s^{t-1} = e^{t-1}; exact with one unit."""
    size = 1 + horizon
    tau = np.zeros((1, size, size))
    tau[:, 0, horizon] = 1.0
    tau[:, 1, 0] = 1.0
    for t in range(1, horizon):
        tau[:, 1 + t, t] = 1.0
    return UnitTransfer(tau, np.ones(1), 1, horizon, (sigma_w,), (weights,), tied)


def product_units(
    horizon: int, weights: str, tied: bool = True, persistence: float = 0.0
) -> UnitTransfer:
    """J = D_T W .. D_1 W, each D one of three values, repeated with a probability `persistence`."""
    taus, masses = [], []
    for path in itertools.product(range(len(D)), repeat=horizon):
        tau = np.zeros((1 + horizon, 1 + horizon))
        tau[1, 0] = 1.0
        for t in range(horizon - 1):
            tau[2 + t, 1 + t] = D[path[t]]
        tau[0, horizon] = D[path[-1]]
        mass = MASS[path[0]]
        for a, b in itertools.pairwise(path):
            mass *= persistence * (a == b) + (1 - persistence) * MASS[b]
        taus.append(tau)
        masses.append(mass)
    return UnitTransfer(np.array(taus), np.array(masses), 1, horizon, (1.1,), (weights,), tied)


def fuss_catalan(horizon: int, highest: int) -> list[float]:
    """m_1, .. of a product of T Ginibre matrices: binom(k (T + 1), k) / (k T + 1)."""
    return [math.comb(k * (horizon + 1), k) / (k * horizon + 1) for k in range(1, highest + 1)]


def fuss_catalan_resolvent(z: complex, horizon: int) -> complex:
    """G of that law at z, Im z > 0: u = z G solves z (u - 1) = u^(T + 1); u -> 1.

    Followed inwards in small steps by the nearest root of the polynomial.
    """
    u = 1.0 + 0j
    for size in np.geomspace(1e4 * max(1.0, abs(z)), abs(z), 600):
        at = size * z / abs(z)
        coefficients = [1.0, *[0.0] * (horizon - 1), -at, at]
        roots = np.roots(coefficients)
        u = roots[np.abs(roots - u).argmin()]
    return complex(u / z)
