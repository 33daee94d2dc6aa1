"""The standard normal quantile function on numbers and on whole arrays of any library."""

from __future__ import annotations

import math
import sys
from numbers import Real
from statistics import NormalDist
from typing import Any

__all__ = ["library_of", "normal_quantile"]


def library_of(u: Any) -> Any:
    """The library that made an array: its own functions; `math` for one number.

    The floor of the cells imports neither NumPy nor torch; an array brings its library with it.
    """
    if isinstance(u, Real):
        return math
    return sys.modules[type(u).__module__.partition(".")[0]]


def normal_quantile(u: Any) -> Any:
    """z with Phi(z) = u, elementwise, for u strictly between 0 and 1, to a few eps.

    Args:
        u: a number, a NumPy array or a torch tensor of floating point numbers.

    Returns:
        The same kind, shape and precision.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    quantile, library = NormalDist().inv_cdf, library_of(u)
    if library is math:
        return quantile(float(u))
    if hasattr(library, "vectorize"):
        # Number by number: NumPy has no such function, and SciPy is not imported on this floor.
        return library.vectorize(quantile, otypes=[u.dtype])(u)
    return library.special.ndtri(u)
