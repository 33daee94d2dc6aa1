"""What each function is, in mpmath and independently of the package: what tests compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp

__all__ = ["MEANING"]


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return mp.log(1 + mp.exp(x))


# By the name of the activation or of SymPy's function; derivatives with a name of their own too.
MEANING: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "tanh": mp.tanh,
    "tanh_prime": lambda x: mp.sech(x) ** 2,
    "sigmoid": _sigmoid,
    "sigmoid_prime": lambda x: _sigmoid(x) * _sigmoid(-x),
    "gaussian_cdf": mp.ncdf,
    "gaussian_cdf_prime": mp.npdf,
    "softplus": _softplus,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * mp.ncdf(x),
    "step": lambda x: mp.mpf(x > 0),
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "leaky_relu_prime": lambda x: mp.mpf(1) if x > 0 else mp.mpf(1) / 100,
    "hard_tanh": lambda x: min(mp.mpf(1), max(mp.mpf(-1), x)),
    "hard_tanh_prime": lambda x: mp.mpf(abs(x) < 1),
    "hard_sigmoid": lambda x: min(mp.mpf(1), max(mp.mpf(0), (x + 3) / 6)),
    "hard_sigmoid_prime": lambda x: mp.mpf(abs(x) < 3) / 6,
    "softsign": lambda x: x / (1 + abs(x)),
    "softsign_prime": lambda x: 1 / (1 + abs(x)) ** 2,
    "softsign_second": lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3,
    "exp": mp.exp,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "sin": mp.sin,
    "cos": mp.cos,
    "atan": mp.atan,
    "Abs": abs,
    "sign": mp.sign,
}
