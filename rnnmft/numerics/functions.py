"""The table of functions: SymPy function class -> elementwise implementation, stable in the tails.

Written once, in the names that the array libraries share; what a library has better is its own.
At a jump the derivatives follow PyTorch (step(0) = 0, hard_tanh' = 0 at -1 and 1): it matters only
for a law of zero variance placed exactly there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from rnnmft import activations as act
from rnnmft.numerics.residual_variance import residual_variance
from rnnmft.regression import ResidualVariance, SafeInverse

__all__ = ["elementwise_functions", "special_functions"]

_INVERSE_SQRT_2PI = 0.3989422804014327


def elementwise_functions(xp: Any) -> dict[type, Callable[..., Any]]:
    """The functions that need no more than the names numpy and torch have in common.

    Args:
        xp: the library of the arrays.
    """

    def step(x: Any) -> Any:
        return xp.where(x > 0, xp.ones_like(x), xp.zeros_like(x))

    def safe_inverse(x: Any) -> Any:
        positive = xp.where(x > 0, x, xp.ones_like(x))
        return xp.where(x > 0, 1.0 / positive, xp.zeros_like(x))

    return {
        sp.exp: xp.exp,
        sp.log: xp.log,
        sp.sin: xp.sin,
        sp.cos: xp.cos,
        sp.asin: xp.arcsin,
        sp.acos: xp.arccos,
        sp.atan: xp.arctan,
        sp.Abs: xp.abs,
        sp.sign: xp.sign,
        sp.tanh: xp.tanh,
        sp.Heaviside: lambda x, at_zero=0.5: xp.heaviside(x, xp.full_like(x, at_zero)),
        act.tanh: xp.tanh,
        act.tanh_prime: lambda x: 4.0 * _logistic_density(xp, 2.0 * x),
        act.sigmoid_prime: lambda x: _logistic_density(xp, x),
        act.gaussian_cdf_prime: lambda x: _INVERSE_SQRT_2PI * xp.exp(-0.5 * x * x),
        act.softplus: lambda x: xp.logaddexp(x, xp.zeros_like(x)),
        act.step: step,
        act.leaky_relu: lambda x: xp.where(x > 0, x, 0.01 * x),
        act.leaky_relu_prime: lambda x: 0.01 + 0.99 * step(x),
        act.hard_tanh: lambda x: xp.clip(x, -1.0, 1.0),
        act.hard_tanh_prime: lambda x: step(1.0 - xp.abs(x)),
        act.hard_sigmoid: lambda x: xp.clip(x / 6.0 + 0.5, 0.0, 1.0),
        act.hard_sigmoid_prime: lambda x: step(3.0 - xp.abs(x)) / 6.0,
        act.softsign: lambda x: x / (1.0 + xp.abs(x)),
        act.softsign_prime: lambda x: 1.0 / (1.0 + xp.abs(x)) ** 2,
        act.softsign_second: lambda x: -2.0 * xp.sign(x) / (1.0 + xp.abs(x)) ** 3,
        SafeInverse: safe_inverse,
        ResidualVariance: lambda a, ab, b: residual_variance(xp, a, ab, b),
    }


def special_functions(
    special: Any, gaussian_cdf: Callable[..., Any]
) -> dict[type, Callable[..., Any]]:
    """The functions made of what `scipy.special` and `torch.special` have in common.

    Args:
        special: one of the two.
        gaussian_cdf: Phi, right in its tails.
    """
    expit = special.expit
    return {
        sp.erf: special.erf,
        sp.erfc: special.erfc,
        act.sigmoid: expit,
        act.silu: lambda x: x * expit(x),
        act.gaussian_cdf: gaussian_cdf,
        act.gelu: lambda x: x * gaussian_cdf(x),
    }


def _logistic_density(xp: Any, x: Any) -> Any:
    e = xp.exp(-xp.abs(x))
    return e / (1.0 + e) ** 2
