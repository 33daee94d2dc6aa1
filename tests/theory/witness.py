"""An independent integrator: tensor trapezoidal rule over standard normal variables.

The rule converges geometrically for analytic integrands, so the change at the last halving of the
step bounds the error of the finer sum; rounding is added. NumPy's activations are named again.
"""

from __future__ import annotations

import itertools

import numpy as np
import sympy as sp
from scipy import special

from rnnmft.numerics.compile import compile_program

NUMPY = {
    "tanh": np.tanh,
    "tanh_prime": lambda x: 1 / np.cosh(x) ** 2,
    "sigmoid": special.expit,
    "sigmoid_prime": lambda x: special.expit(x) * special.expit(-x),
    "erf": special.erf,
    "gaussian_cdf": special.ndtr,
    "relu": lambda x: np.maximum(x, 0),
    "step": lambda x: np.heaviside(x, 0.5),
}
REACH, ROUNDING = 8.5, 1e-14


def direct(expression, laws, numbers, steps):
    """(value, error) of E[expression] over independent Gaussian laws.

    `laws`: as rnnmft's, one or two variables each; `numbers`: values of their parameters and of the
    expression's other symbols; `steps`: a step and the finer one that is believed.
    """
    coarse, fine = (_sum(expression, laws, numbers, step) for step in steps)
    return fine, abs(fine - coarse) + ROUNDING * (1 + abs(fine))


def _sum(expression, laws, numbers, step):
    variables = [v for law in laws for v in law.variables]
    axes = np.arange(-REACH, REACH + step / 2, step)
    weight = step * np.exp(-(axes**2) / 2) / np.sqrt(2 * np.pi)
    count = len(variables)
    z = np.meshgrid(*[axes] * count, indexing="ij", sparse=True)
    weights = np.meshgrid(*[weight] * count, indexing="ij", sparse=True)
    values, at = [], 0
    for law in laws:
        means = [float(m.subs(numbers)) for m in map(sp.sympify, law.means)]
        factor = _factor([float(c.subs(numbers)) for c in map(sp.sympify, law.covariance)])
        for i, mean in enumerate(means):
            values.append(mean + sum(factor[i, j] * z[at + j] for j in range(i + 1)))
        at += len(means)
    rest = sorted(expression.free_symbols - set(variables), key=str)
    function = sp.lambdify([*variables, *rest], expression, [NUMPY, "numpy"])
    total = function(*values, *(numbers[s] for s in rest))
    for w in weights:
        total = total * w
    return float(np.sum(total))


def _factor(covariance):
    if len(covariance) == 1:
        return np.sqrt(np.array([covariance]))
    q_a, q_ab, q_b = covariance
    return np.linalg.cholesky(np.array([[q_a, q_ab], [q_ab, q_b]]))


def engine(expression, numbers):
    """(value, error) of an expression in expectation nodes, by the project's quadrature."""
    symbols = sorted(expression.free_symbols, key=str)
    found = compile_program([], [expression], symbols)(*(numbers[s] for s in symbols))
    assert found.ok
    return float(found.values[0]), float(found.errors[0]) + ROUNDING


def isserlis(powers, means, covariance):
    """E[prod x_i^n_i] of a Gaussian vector, summing over all pairings and all choices of means."""
    factors = [i for i, n in enumerate(powers) for _ in range(n)]
    return _pairings(tuple(factors), means, covariance)


def _pairings(factors, means, covariance):
    if not factors:
        return 1.0
    first, rest = factors[0], factors[1:]
    total = means[first] * _pairings(rest, means, covariance)
    for k in range(len(rest)):
        left = rest[:k] + rest[k + 1 :]
        total += covariance[first][rest[k]] * _pairings(left, means, covariance)
    return total


def compositions(total, parts):
    """Every tuple of `parts` counts that add up to `total` or less."""
    return [c for c in itertools.product(range(total + 1), repeat=parts) if sum(c) <= total]
