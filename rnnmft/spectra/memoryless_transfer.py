"""The one-step transfer of a memoryless network, J = D W, at the nodes of a quadrature.

D = phi'(e) with a Gaussian e of known law: Gauss-Legendre panels between the kinks of phi, so that
averages over "units" are integrals, without sampling error. Nodes at which D is the same (ReLU,
hard tanh) are one.

Eq. (factor), Eq. (transfer).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble
from rnnmft.numerics.charts import Kind
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.numerics.landmarks import find_landmarks
from rnnmft.spectra.unit_transfer import UnitTransfer

__all__ = ["is_product", "memoryless_transfer"]

Real = NDArray[np.float64]
#: In standard deviations: exp(-9.5^2 / 2) = 3e-20.
_REACH = 9.5
#: Of a panel, in standard deviations and in units of a preactivation.
_WIDTH = 0.5
#: Gauss-Legendre nodes of a panel. An activation has its poles at pi / 2 or farther: Bernstein's
#: ellipse of a panel has rho = 12.6, and rho^(-20) = 1e-22; the Gaussian alone leaves less.
_NODES = 10


def is_product(cell: Cell) -> bool:
    """Whether every Jacobian is D W with D a function of one Gaussian preactivation.

    >>> from rnnmft import cells
    >>> is_product(cells.vanilla()), is_product(cells.minimal())
    (True, False)
    """
    if len(cell.states) != 1 or len(cell.preactivations) != 1 or cell.parameters:
        return False
    (e,), (state,) = cell.preactivations, cell.states
    update = cell.update[state]
    return e.sees == state and update.free_symbols <= {e} and not _hidden(update, e)


def _hidden(update: sp.Expr, e: sp.Symbol) -> bool:
    return any(mark.kind is Kind.HIDDEN for mark in find_landmarks(update, e))


def memoryless_transfer(
    cell: Cell, ensemble: Ensemble, variance: float, density: int = 1
) -> UnitTransfer:
    """The nodes of one step of a cell that `is_product`.

    Args:
        cell: one that `is_product`.
        ensemble: its law.
        variance: of the preactivation.
        density: how many times finer the panels are than usual.
    """
    (e,), (state,) = cell.preactivations, cell.states
    law, update = ensemble[e.name], cell.update[state]
    std = math.sqrt(variance)
    kinks = [float(mark.place) for mark in find_landmarks(update, e) if mark.kind is Kind.KINK]
    at, weight = _panels(law.mu_b, std, kinks, density)
    function = compile_elementwise((sp.diff(update, e),), [e])
    slope = np.broadcast_to(np.asarray(function(at)[0], dtype=float), at.shape)
    values, place = np.unique(slope, return_inverse=True)
    mass = np.bincount(place.ravel(), weights=weight)
    tau = np.zeros((len(values), 2, 2))
    tau[:, 0, 1] = values
    tau[:, 1, 0] = 1.0
    if law.sigma_w == 0.0:
        return UnitTransfer(np.zeros((1, 1, 1)), np.ones(1), 1, 1, (), (), True)
    return UnitTransfer(tau, mass / mass.sum(), 1, 1, (law.sigma_w,), (law.weights,), True)


def _panels(mean: float, std: float, kinks: list[float], density: int) -> tuple[Real, Real]:
    """Nodes and weights of N(mean, std^2), in panels that end at the kinks."""
    if std == 0.0:
        return np.array([mean]), np.ones(1)
    lowest, highest = mean - _REACH * std, mean + _REACH * std
    inside = sorted(k for k in kinks if lowest < k < highest)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = [], []
    width = min(_WIDTH * std, _WIDTH) / density
    ends = [lowest, *inside, highest]
    for left, right in itertools.pairwise(ends):
        edges = np.linspace(left, right, math.ceil((right - left) / width) + 1)
        half = np.diff(edges)[:, None] / 2
        at = (edges[:-1, None] + half + half * x).ravel()
        gauss = np.exp(-(((at - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
        nodes.append(at)
        weights.append((half * w).ravel() * gauss)
    return np.concatenate(nodes), np.concatenate(weights)
