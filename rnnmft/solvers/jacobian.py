"""JacobianMoments: what a solver knows of the squared singular values of the T-step Jacobian.

Eq. (generating-function).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnmft.errors import DerivationError, Status
from rnnmft.records import Quantity

__all__ = ["JacobianMoments"]


@dataclass(frozen=True)
class JacobianMoments:
    """The first moments m_k = (1/mN) tr (J J^T)^k of the T-step Jacobian, N -> infinity.

    Attributes:
        tying, horizon, method: of which Jacobian, and how they are found.
        compute: compute(k) gives the values, errors and status of m_1..m_k, and raises
            DerivationError beyond what the solver knows.
        error_kind: "bound" or "standard error".
    """

    tying: str
    horizon: int
    method: str
    compute: Callable[[int], tuple[Any, Any, Status]]
    error_kind: str = "bound"

    def known(self, highest: int) -> Quantity | None:
        """As many of m_1..m_highest as the solver knows; None where it knows none."""
        for order in range(highest, 0, -1):
            try:
                value, error, status = self.compute(order)
            except DerivationError:
                continue
            return Quantity(
                f"moments of J J^T, horizon {self.horizon}, {self.tying}",
                np.asarray(value),
                np.asarray(error),
                status,
                error_kind=self.error_kind,
            )
        return None

    @property
    def mean(self) -> Quantity:
        """m_1: the mean squared singular value."""
        value, error, status = self.compute(1)
        name = f"mean of J J^T, horizon {self.horizon}, {self.tying}"
        return Quantity(name, float(value[0]), float(error[0]), status, error_kind=self.error_kind)
