"""How large a memoryless state can be: no second moment is looked for beyond.

E[phi(e)^2] <= max phi^2. That spares a bounded activation integrals over the widest Gaussians,
which are dear where it oscillates: a sine turns 10^5 times within a standard deviation of 10^5.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from rnnmft.language import Cell
from rnnmft.numerics.compile import compile_elementwise

__all__ = ["largest_square"]

# Preactivations as far out as the widest Gaussians that are looked at reach, a thousandth apart,
# and finely near zero: a maximum of width w that falls between two is missed by (0.0025 / w)^2 / 8
# of it.
_FAR = np.geomspace(1e-3, 1e6, 20_000)
# A step of 0.0025.
_NEAR = np.linspace(0.0, 50.0, 20_001)
# The square of more is no number.
_OVERFLOWS = 1e150
_PLACES = np.concatenate([-_FAR, -_NEAR, _NEAR, _FAR])


@lru_cache(maxsize=64)
def largest_square(cell: Cell) -> float:
    """max h^2 of h' = phi(e) over all e of any size that matters; inf for other cells.

    >>> from rnnmft import cells, relu, sin
    >>> round(largest_square(cells.vanilla(sin)), 6), largest_square(cells.vanilla(relu))
    (1.0, 1000000000000.0)
    """
    if len(cell.states) != 1 or len(cell.preactivations) != 1 or cell.parameters:
        return math.inf
    (e,), (update,) = cell.preactivations, cell.update.values()
    if not update.free_symbols <= {e}:
        return math.inf
    (values,) = compile_elementwise([update], [e])(_PLACES)
    largest = float(np.max(np.abs(values)))
    return largest**2 if largest < _OVERFLOWS else math.inf
