"""NumPy's table of functions, with SciPy's special functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import sympy as sp

from rnnmft import activations as act
from rnnmft.numerics.functions import elementwise_functions, special_functions

__all__ = ["NUMPY_FUNCTIONS"]

NUMPY_FUNCTIONS: dict[type, Callable[..., Any]] = {
    **elementwise_functions(np),
    **special_functions(scipy.special, scipy.special.ndtr),
    sp.Max: np.maximum,
    sp.Min: np.minimum,
    act.relu: lambda x: np.maximum(x, 0.0),
}
