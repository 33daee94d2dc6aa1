"""m_1(T) for all horizons T: how the mean squared gradient grows or decays.

Eq. (tangent-mean).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnmft.errors import Status
from rnnmft.records import Quantity

__all__ = ["means_one_by_one"]


def means_one_by_one(mean: Callable[[int], Quantity], horizon: int) -> Quantity:
    """m_1(T), T = 1, .., horizon, shape (horizon,), from m_1 at each horizon."""
    found = [mean(T) for T in range(1, horizon + 1)]
    status = next((q.status for q in found if q.status is not Status.OK), Status.OK)
    name = f"mean of J J^T, horizons 1 to {horizon}"
    value, error = np.array([q.value for q in found]), np.array([q.error for q in found])
    return Quantity(name, value, error, status, error_kind=found[0].error_kind)
