"""m_1(T) for all horizons T at once: how the mean squared gradient grows or decays."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from rnnmft.errors import Status
from rnnmft.records import Quantity
from rnnmft.solvers.contract import Solver

__all__ = ["GradientSolver", "mean_over_horizons"]


@runtime_checkable
class GradientSolver(Protocol):
    """A method that finds m_1 at every horizon in one run."""

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon."""
        ...


def mean_over_horizons(solver: Solver, horizon: int, burn_in: int) -> Quantity:
    """m_1(T), T = 1, .., horizon, in one run where the solver can, else one by one."""
    if isinstance(solver, GradientSolver):
        return solver.jacobian_means(horizon, burn_in)
    found = [solver.jacobian(T, burn_in).mean for T in range(1, horizon + 1)]
    status = next((q.status for q in found if q.status is not Status.OK), Status.OK)
    name = f"mean of J J^T, horizons 1 to {horizon}"
    return Quantity(
        name,
        np.array([q.value for q in found]),
        np.array([q.error for q in found]),
        status,
        error_kind=found[0].error_kind,
    )
