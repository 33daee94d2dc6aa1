"""Two populations of rate units, fast and slow, with gains of their own: [aljadeff2015].

The network with cell-type-specific connectivity of Aljadeff, Stern & Sharpee, where the
second population leaks by less a step. At rest leaks do not matter: without biases the zero state
is stable where the largest eigenvalue of the matrix sigma_kl^2 f_l is below 1.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from rnnmft.cells.populations import Populations, populations
from rnnmft.cells.rate import rate

__all__ = ["two_populations"]

_LEAKS = (sp.Rational(1, 2), sp.Rational(1, 4))


def two_populations(fraction: float = 0.25, leaks: tuple[Any, Any] = _LEAKS) -> Populations:
    """h_k' = (1 - leak_k) h_k + leak_k e_k, e_k = W_k1 phi(h_1) + W_k2 phi(h_2) + V_k x + b_k.

    Args:
        fraction: of the units that are of the first population.
        leaks: of each.

    >>> cell = two_populations()
    >>> cell.states
    (h_1, h_2)
    >>> cell.fractions
    {'1': 0.25, '2': 0.75}
    """
    members = [rate(leak) for leak in leaks]
    return populations(members, (fraction, 1.0 - fraction), name="two_populations")
