"""PyTorch's table: SymPy function class -> elementwise implementation, stable in the tails.

At a jump the derivatives follow PyTorch (step(0) = 0, hard_tanh' = 0 at -1 and 1): it matters only
for a law of zero variance placed exactly there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
import torch

from rnnmft import activations as act
from rnnmft.numerics.residual_variance import residual_variance
from rnnmft.regression import ResidualVariance, SafeInverse

__all__ = ["TORCH_FUNCTIONS"]

_INVERSE_SQRT_2PI = 0.3989422804014327
_SQRT_HALF = 0.7071067811865476


def _tanh_prime(x: Any) -> Any:
    e = torch.exp(-2.0 * torch.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


def _sigmoid_prime(x: Any) -> Any:
    e = torch.exp(-torch.abs(x))
    return e / (1.0 + e) ** 2


def _gaussian_cdf_prime(x: Any) -> Any:
    return _INVERSE_SQRT_2PI * torch.exp(-0.5 * x * x)


def _gaussian_cdf(x: Any) -> Any:
    # torch.special.ndtr rounds to 0 and to multiples of eps in the lower tail.
    return 0.5 * torch.erfc(-_SQRT_HALF * x)


def _softplus(x: Any) -> Any:
    # torch.nn.functional.softplus switches to x at 20, an error of 2e-9.
    return torch.logaddexp(x, torch.zeros_like(x))


def _step(x: Any) -> Any:
    return torch.where(x > 0, torch.ones_like(x), torch.zeros_like(x))


def _leaky_relu(x: Any) -> Any:
    return torch.where(x > 0, x, 0.01 * x)


def _leaky_relu_prime(x: Any) -> Any:
    return 0.01 + 0.99 * _step(x)


def _hard_tanh_prime(x: Any) -> Any:
    return _step(1.0 - torch.abs(x))


def _hard_sigmoid_prime(x: Any) -> Any:
    return _step(3.0 - torch.abs(x)) / 6.0


def _softsign_prime(x: Any) -> Any:
    return 1.0 / (1.0 + torch.abs(x)) ** 2


def _softsign_second(x: Any) -> Any:
    return -2.0 * torch.sign(x) / (1.0 + torch.abs(x)) ** 3


def _extremum(choose: Callable[..., Any]) -> Callable[..., Any]:
    def apply(x: Any, y: Any) -> Any:
        like = x if torch.is_tensor(x) else y
        return choose(*(torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (x, y)))

    return apply


def _safe_inverse(x: Any) -> Any:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return torch.where(x > 0, 1.0 / torch.where(x > 0, x, one), zero)


TORCH_FUNCTIONS: dict[type, Callable[..., Any]] = {
    sp.exp: torch.exp,
    sp.log: torch.log,
    sp.sin: torch.sin,
    sp.cos: torch.cos,
    sp.asin: torch.asin,
    sp.acos: torch.acos,
    sp.atan: torch.atan,
    sp.erf: torch.erf,
    sp.erfc: torch.erfc,
    sp.Abs: torch.abs,
    sp.sign: torch.sign,
    sp.Max: _extremum(torch.maximum),
    sp.Min: _extremum(torch.minimum),
    sp.tanh: torch.tanh,
    sp.Heaviside: lambda x, at_zero=0.5: torch.heaviside(x, torch.full_like(x, at_zero)),
    act.tanh: torch.tanh,
    act.tanh_prime: _tanh_prime,
    act.sigmoid: torch.sigmoid,
    act.sigmoid_prime: _sigmoid_prime,
    act.gaussian_cdf: _gaussian_cdf,
    act.gaussian_cdf_prime: _gaussian_cdf_prime,
    act.softplus: _softplus,
    act.silu: lambda x: x * torch.sigmoid(x),
    act.gelu: lambda x: x * _gaussian_cdf(x),
    act.step: _step,
    act.relu: torch.relu,
    act.leaky_relu: _leaky_relu,
    act.leaky_relu_prime: _leaky_relu_prime,
    act.hard_tanh: lambda x: torch.clip(x, -1.0, 1.0),
    act.hard_tanh_prime: _hard_tanh_prime,
    act.hard_sigmoid: lambda x: torch.clip(x / 6.0 + 0.5, 0.0, 1.0),
    act.hard_sigmoid_prime: _hard_sigmoid_prime,
    act.softsign: lambda x: x / (1.0 + torch.abs(x)),
    act.softsign_prime: _softsign_prime,
    act.softsign_second: _softsign_second,
    SafeInverse: _safe_inverse,
    ResidualVariance: lambda a, ab, b: residual_variance(torch, a, ab, b),
}
