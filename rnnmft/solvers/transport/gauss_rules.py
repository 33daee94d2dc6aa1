"""Gauss rules of random coefficients: a function of Gaussian variables as few nodes and weights.

The law of alpha(e), e Gaussian, enters a transport only through E[g(alpha)] for smooth g. The
m-point Gauss rule of that law ([golub1969]; here by Lanczos with full
reorthogonalisation on a fine discretisation) gives these to spectral accuracy with few nodes. For
two trajectories the joint law is kept as the weights W_jk = E[l_j(alpha_a) l_k(alpha_b)] on the
same nodes, l_j their Lagrange polynomials.

Means and variances may be those of many points, (B,): then nodes and weights are (B, m).

Eq. (gauss-rule).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HIT",
    "CoefficientRule",
    "coefficient_rule",
    "compressed",
    "gaussian_mean",
    "gaussian_pair_mean",
    "joint_weights",
    "pair_grid",
    "product_rule",
]

Array = NDArray[np.float64]
# Standard deviations: 2e-19 of the mass lie beyond.
_REACH = 9.0
# Steps of the trapezoidal rule, in standard deviations and in e. A Gaussian alone leaves 2 exp(-2
# pi^2 / 0.23^2) = 0; what is analytic for |Im e| < pi / 2 leaves exp(-pi^2 / 0.35) = 6e-13.
_STEP_Z, _STEP_E = 0.23, 0.35
#: Stands for the distance of a point that is a node: its term, 1 / this, is all of the sum.
HIT = 1e-150
# The Krylov space of a discrete measure ends where the next vector is rounding: 50 eps.
_ENDS = 1e-14


@dataclass(frozen=True)
class CoefficientRule:
    """Nodes (m,) and weights (m,) of one random coefficient; weights sum to its total mass."""

    nodes: Array
    weights: Array

    def mean(self, values: Array) -> Array:
        """sum_j w_j values_j over the first axis."""
        return np.tensordot(self.weights, values, axes=1)

    def lagrange(self, at: Array) -> Array:
        """The Lagrange polynomials of the nodes at points: (m, len(at))."""
        if len(self.nodes) == 1:
            return np.ones((1, len(at)))
        gap = self.nodes[:, None] - self.nodes[None, :]
        np.fill_diagonal(gap, 1.0)
        # Signs and logarithms: the products of many small differences would underflow.
        log_weight = -np.log(np.abs(gap)).sum(1)
        sign = np.prod(np.sign(gap), axis=1)
        barycentric = sign * np.exp(log_weight - log_weight.max())
        terms = at - self.nodes[:, None]
        terms[terms == 0.0] = HIT
        np.divide(barycentric[:, None], terms, out=terms)
        terms /= terms.sum(0)
        return terms


def _grid(variance: float | Array) -> tuple[Array, Array]:
    """Trapezoidal nodes and weights of a standard normal, fine enough for unit-scale functions.

    An activation of e is analytic for |Im e| < pi/2 or more, the Gaussian everywhere.
    """
    step = min(_STEP_Z, _STEP_E / np.sqrt(max(float(np.max(variance)), np.finfo(float).tiny)))
    count = int(np.ceil(_REACH / step))
    z = np.linspace(-_REACH, _REACH, 2 * count + 1)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def compressed(values: Array, weights: Array, size: int) -> CoefficientRule:
    """The `size`-point Gauss rule of a discrete measure with non-negative weights.

    Fewer points where the measure has no more: of many measures, (B, m), nodes of no weight.
    """
    mass = np.maximum(weights.sum(-1, keepdims=True), np.finfo(float).tiny)
    shape = np.broadcast_shapes(values.shape, weights.shape)
    basis = np.zeros((*shape[:-1], size, shape[-1]))
    diagonal, off = np.zeros((2, *shape[:-1], size))
    root = np.sqrt(weights / mass)
    basis[..., 0, :] = root / np.maximum(np.linalg.norm(root, axis=-1, keepdims=True), HIT)
    ends, used = _ENDS * np.abs(values).max(-1), size
    for j in range(size):
        vector = values * basis[..., j, :]
        diagonal[..., j] = (basis[..., j, :] * vector).sum(-1)
        if j + 1 == size:
            break
        known = basis[..., : j + 1, :]
        for _ in range(2):
            along = known @ vector[..., None]
            vector = vector - (along.swapaxes(-1, -2) @ known)[..., 0, :]
        length = np.linalg.norm(vector, axis=-1)
        # The next is rounding: what comes from here on is apart from the first, and has no weight.
        off[..., j] = np.where(length <= ends, 0.0, length)
        if not off[..., j].any():
            used = j + 1
            break
        basis[..., j + 1, :] = (
            vector * np.where(length <= ends, 0.0, 1.0 / (length + HIT))[..., None]
        )
    matrix = np.zeros((*shape[:-1], used, used))
    at = np.arange(used)
    matrix[..., at, at] = diagonal[..., :used]
    matrix[..., at[1:], at[:-1]] = off[..., : used - 1]
    nodes, vectors = np.linalg.eigh(matrix)
    return CoefficientRule(nodes, mass * vectors[..., 0, :] ** 2)


def coefficient_rule(
    function: Callable[[Array], Array],
    mean: float | Array,
    variance: float | Array,
    size: int | None,
    weight: Callable[[Array], Array] | None = None,
) -> CoefficientRule:
    """The rule of function(e), e ~ N(mean, variance); `weight(e)` >= 0 tilts the measure.

    `size` Gauss nodes; with None the trapezoidal nodes in e themselves, which stay accurate for
    g(alpha c) however large c is (a polynomial rule in alpha would not).
    """
    z, w = _grid(variance)
    e = _spread(mean, variance, z)
    if weight is not None:
        w = w * weight(e)
    if size is None:
        return CoefficientRule(function(e), np.broadcast_to(w, e.shape))
    return compressed(function(e), w, size)


def pair_grid(variance: float, covariance: float) -> tuple[Array, Array, Array]:
    """Nodes and weights of z_a, and z_b = rho z_a + (1 - rho^2)^(1/2) z at pairs of nodes."""
    rho = min(1.0, max(-1.0, covariance / variance)) if variance > 0 else 0.0
    z, w = _grid(variance)
    return z, w, rho * z[:, None] + np.sqrt(1.0 - rho**2) * z[None, :]


def joint_weights(
    rule: CoefficientRule,
    function: Callable[[Array], Array],
    mean: float,
    variance: float,
    covariance: float,
) -> Array:
    """W_jk = E[l_j(f(e_a)) l_k(f(e_b))] of a Gaussian pair: (m, m)."""
    z, w, both = pair_grid(variance, covariance)
    first = rule.lagrange(function(mean + np.sqrt(variance) * z))
    second = rule.lagrange(function(mean + np.sqrt(variance) * both.ravel()))
    inner = second.reshape(len(rule.nodes), len(z), len(z)) @ w
    return (first * w) @ inner.T


def _spread(mean: float | Array, variance: float | Array, z: Array) -> Array:
    """mean + variance^(1/2) z: (.., m)."""
    return np.asarray(mean)[..., None] + np.sqrt(variance)[..., None] * z


def gaussian_mean(
    function: Callable[[Array], Array], mean: float | Array, variance: float | Array
) -> Array:
    """E[function(e)], e ~ N(mean, variance), on the trapezoidal nodes."""
    z, w = _grid(variance)
    return function(_spread(mean, variance, z)) @ w


def gaussian_pair_mean(
    first: Callable[[Array], Array],
    second: Callable[[Array], Array],
    mean: float,
    variance: float,
    covariance: float,
) -> float:
    """E[first(e_a) second(e_b)] of a Gaussian pair of equal laws."""
    z, w, both = pair_grid(variance, covariance)
    inner = second(mean + np.sqrt(variance) * both) @ w
    return float((w * first(mean + np.sqrt(variance) * z)) @ inner)


def _products(first: Array, second: Array) -> Array:
    """All products of one number of each, over the last axis."""
    products = first[..., :, None] * second[..., None, :]
    return products.reshape(*products.shape[:-2], -1)


def product_rule(
    factors: list[CoefficientRule], size: int
) -> tuple[CoefficientRule, Callable[[list[Array]], Array]]:
    """The rule of a product of independent coefficients, and how joint weights of it follow.

    Returns:
        The rule, and a function that takes each factor's joint weights to the product's.
    """
    nodes, weights = factors[0].nodes, factors[0].weights
    for factor in factors[1:]:
        nodes = _products(nodes, factor.nodes)
        weights = _products(weights, factor.weights)
    if len(factors) == 1:
        return factors[0], lambda joint: joint[0]
    rule = compressed(nodes, weights, size)

    def joint(parts: list[Array]) -> Array:
        whole, basis = parts[0], rule.lagrange(nodes)
        for part in parts[1:]:
            whole = np.kron(whole, part)
        return basis @ whole @ basis.T

    return rule, joint
