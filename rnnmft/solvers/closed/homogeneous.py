"""Positively homogeneous activations, phi(a e) = a phi(e) for a > 0: ReLU networks and linear ones.

phi is a line on each side of zero, so that for e ~ N(0, q)

    E[phi^2] = a q,    E[phi'^2] = a,    a = (phi(1)^2 + phi(-1)^2) / 2:

the variance map q -> sigma_w^2 a q + sigma_v^2 R + sigma_b^2 is linear, and slopes know no scale:
the law of the Jacobian is the same at every variance, stationary or growing. At criticality,
sigma_w^2 a = 1, every input adds to the variance and nothing is forgotten: no variance is
stationary, and gradients neither grow nor decay. [he2015], [hayou2019]

Eq. (homogeneous).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rnnmft.language import Cell, Ensemble
from rnnmft.numerics.compile import compile_elementwise

__all__ = ["Homogeneous", "homogeneous", "scale_free"]

# phi(e) / e is compared over these sizes: seven in no relation to each other over ten decades, on
# which no function of the tables is homogeneous by accident.
_SIZES = np.array([1.0, 1e-4, 0.03, 0.5, 7.0, 300.0, 1e6])
# To this accuracy: 500 eps.
_ACCURACY = 1e-13


@dataclass(frozen=True)
class Homogeneous:
    """phi(e) = right e for e > 0, left e for e < 0."""

    right: float
    left: float

    @property
    def mean_square(self) -> float:
        """a = E[phi'^2] = E[phi^2] / q, centred. Eq. (homogeneous)."""
        return 0.5 * (self.right**2 + self.left**2)

    @property
    def even_slope(self) -> bool:
        """Whether phi'^2 is the same on both sides, as the identity's is: then a mean is free."""
        return self.right**2 == self.left**2


@lru_cache(maxsize=64)
def homogeneous(cell: Cell) -> Homogeneous | None:
    """The slopes of h' = phi(e), e = W h + ..., with a positively homogeneous phi; else None.

    >>> from rnnmft import cells, leaky_relu, tanh
    >>> homogeneous(cells.vanilla(leaky_relu)), homogeneous(cells.vanilla(tanh))
    (Homogeneous(right=1.0, left=0.01), None)
    """
    if len(cell.states) != 1 or len(cell.preactivations) != 1 or cell.parameters:
        return None
    (e,), (state,) = cell.preactivations, cell.states
    update = cell.update[state]
    if e.sees != state or not update.free_symbols <= {e}:
        return None
    (values,) = compile_elementwise([update], [e])(np.concatenate([_SIZES, -_SIZES]))
    slopes = np.reshape(values, (2, -1)) / np.stack([_SIZES, -_SIZES])
    right, left = slopes[:, 0]
    if not (np.abs(slopes - slopes[:, :1]) <= _ACCURACY * max(abs(right), abs(left))).all():
        return None
    return Homogeneous(float(right), float(left) + 0.0) if right or left else None


def scale_free(cell: Cell, ensemble: Ensemble) -> bool:
    """Whether the law of the slopes phi'(e) is the same at every variance of e."""
    found = homogeneous(cell)
    if found is None:
        return False
    (e,) = cell.preactivations
    return ensemble[e.name].mu_b == 0.0 or found.even_slope
