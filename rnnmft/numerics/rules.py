"""The trapezoidal rule on [0, 1] in levels that double the nodes, plain and double-exponential.

A level holds only the nodes the levels before it lack, so that

    T_0 = sum_j w_j F(x_j),      T_k = T_{k-1} / 2 + sum_j w_j F(x_j)  over the nodes of level k.

"plain" is for integrands that vanish at both ends with all their derivatives (the trapezoidal rule
then converges geometrically); "double_exponential" (tanh-sinh) is for pieces that end at a kink.

Sources: [trefethen2014], [takahasi1974].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rnnmft.numerics.backend import Backend

__all__ = ["Level", "double_exponential", "plain"]

# Where the double-exponential weight has fallen to 1e-15 of its maximum:
# 4 cosh(tau) exp(-pi sinh(tau)).
_TAU = 3.2


@dataclass(frozen=True)
class Level:
    """The new nodes of one level: places in [0, 1] and weights, both of shape (nodes,)."""

    place: Any
    weight: Any


@lru_cache(maxsize=256)
def _fractions(intervals: int, level: int) -> Any:
    """j / n for level 0, the midpoints of the grid before for the others."""
    import numpy as np

    if level == 0:
        return np.arange(intervals + 1) / intervals
    cells = intervals << (level - 1)
    return (np.arange(cells) + 0.5) / cells


@lru_cache(maxsize=256)
def plain(backend: Backend, intervals: int, level: int) -> Level:
    """The plain rule that starts with `intervals` intervals."""
    place = _fractions(intervals, level)
    weight = 0.0 * place + 1.0 / (intervals << level)
    return Level(backend.asarray(place), backend.asarray(weight))


@lru_cache(maxsize=256)
def double_exponential(backend: Backend, intervals: int, level: int) -> Level:
    """The double-exponential rule x = 1 / (1 + exp(-pi sinh tau)), |tau| <= 3.2."""
    import numpy as np

    tau = _TAU * (2 * _fractions(intervals, level) - 1)
    place = 1 / (1 + np.exp(-np.pi * np.sinh(tau)))
    slope = np.pi * np.cosh(tau) * place / (1 + np.exp(np.pi * np.sinh(tau)))
    return Level(backend.asarray(place), backend.asarray(slope * 2 * _TAU / (intervals << level)))
