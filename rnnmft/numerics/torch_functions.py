"""PyTorch's table of functions: extrema of numbers and tensors, and its own derivative of relu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
import torch

from rnnmft import activations as act
from rnnmft.numerics.functions import elementwise_functions, special_functions

__all__ = ["TORCH_FUNCTIONS"]

_SQRT_HALF = 0.7071067811865476


def _gaussian_cdf(x: Any) -> Any:
    # torch.special.ndtr rounds to 0 and to multiples of eps in the lower tail.
    return 0.5 * torch.erfc(-_SQRT_HALF * x)


def _extremum(choose: Callable[..., Any]) -> Callable[..., Any]:
    def apply(x: Any, y: Any) -> Any:
        like = x if torch.is_tensor(x) else y
        return choose(*(torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (x, y)))

    return apply


TORCH_FUNCTIONS: dict[type, Callable[..., Any]] = {
    **elementwise_functions(torch),
    **special_functions(torch.special, _gaussian_cdf),
    sp.Max: _extremum(torch.maximum),
    sp.Min: _extremum(torch.minimum),
    act.relu: torch.relu,
}
