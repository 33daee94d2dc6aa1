"""NumPy's table: SymPy function class -> elementwise implementation, stable in the tails.

At a jump the derivatives follow PyTorch (step(0) = 0, hard_tanh' = 0 at -1 and 1): it matters only
for a law of zero variance placed exactly there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as special
import sympy as sp

from rnnmft import activations as act
from rnnmft.numerics.residual_variance import residual_variance
from rnnmft.regression import ResidualVariance, SafeInverse

__all__ = ["NUMPY_FUNCTIONS"]

_INVERSE_SQRT_2PI = 0.3989422804014327


def _tanh_prime(x: Any) -> Any:
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


def _sigmoid_prime(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return e / (1.0 + e) ** 2


def _gaussian_cdf_prime(x: Any) -> Any:
    return _INVERSE_SQRT_2PI * np.exp(-0.5 * x * x)


def _step(x: Any) -> Any:
    return np.where(x > 0, np.ones_like(x), np.zeros_like(x))


def _leaky_relu(x: Any) -> Any:
    return np.where(x > 0, x, 0.01 * x)


def _leaky_relu_prime(x: Any) -> Any:
    return 0.01 + 0.99 * _step(x)


def _hard_tanh_prime(x: Any) -> Any:
    return _step(1.0 - np.abs(x))


def _hard_sigmoid_prime(x: Any) -> Any:
    return _step(3.0 - np.abs(x)) / 6.0


def _softsign_prime(x: Any) -> Any:
    return 1.0 / (1.0 + np.abs(x)) ** 2


def _softsign_second(x: Any) -> Any:
    return -2.0 * np.sign(x) / (1.0 + np.abs(x)) ** 3


def _safe_inverse(x: Any) -> Any:
    return np.where(x > 0, 1.0 / np.where(x > 0, x, 1.0), 0.0)


NUMPY_FUNCTIONS: dict[type, Callable[..., Any]] = {
    sp.exp: np.exp,
    sp.log: np.log,
    sp.sin: np.sin,
    sp.cos: np.cos,
    sp.asin: np.arcsin,
    sp.acos: np.arccos,
    sp.atan: np.arctan,
    sp.erf: special.erf,
    sp.erfc: special.erfc,
    sp.Abs: np.abs,
    sp.sign: np.sign,
    sp.Max: np.maximum,
    sp.Min: np.minimum,
    sp.tanh: np.tanh,
    sp.Heaviside: lambda x, at_zero=0.5: np.heaviside(x, at_zero),
    act.tanh: np.tanh,
    act.tanh_prime: _tanh_prime,
    act.sigmoid: special.expit,
    act.sigmoid_prime: _sigmoid_prime,
    act.gaussian_cdf: special.ndtr,
    act.gaussian_cdf_prime: _gaussian_cdf_prime,
    act.softplus: lambda x: np.logaddexp(x, 0.0),
    act.silu: lambda x: x * special.expit(x),
    act.gelu: lambda x: x * special.ndtr(x),
    act.step: _step,
    act.relu: lambda x: np.maximum(x, 0.0),
    act.leaky_relu: _leaky_relu,
    act.leaky_relu_prime: _leaky_relu_prime,
    act.hard_tanh: lambda x: np.clip(x, -1.0, 1.0),
    act.hard_tanh_prime: _hard_tanh_prime,
    act.hard_sigmoid: lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    act.hard_sigmoid_prime: _hard_sigmoid_prime,
    act.softsign: lambda x: x / (1.0 + np.abs(x)),
    act.softsign_prime: _softsign_prime,
    act.softsign_second: _softsign_second,
    SafeInverse: _safe_inverse,
    ResidualVariance: lambda a, ab, b: residual_variance(np, a, ab, b),
}
