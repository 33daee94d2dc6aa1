"""The contract of a mean-field solver: what each method of solving the theory must answer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rnnmft.records import Quantity
from rnnmft.solvers.jacobian import JacobianLaw
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)

__all__ = ["MemorySolver", "Solver"]


class Solver(Protocol):
    """One method of solving the mean-field theory of one cell at one ensemble."""

    method: str

    def evolve(self, steps: int) -> Trajectory:
        """Moments over time from the start."""
        ...

    def fixed_points(self) -> list[FixedPoint]:
        """Every fixed point found, by increasing second moment."""
        ...

    def fixed_point(self) -> FixedPoint:
        """The one that the start approaches, or where it stays."""
        ...

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation of two trajectories."""
        ...

    def timescales(self) -> Timescales:
        """xi_q, xi_c and chi_1."""
        ...

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), per step."""
        ...

    def jacobian(self, horizon: int, burn_in: int) -> JacobianLaw:
        """The law of the T-step Jacobian's singular values."""
        ...


@runtime_checkable
class MemorySolver(Protocol):
    """A method that also knows the correlations of a unit with its own past."""

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau), tau = 0, .., lags, at stationarity (sampled: after burn_in steps, if given)."""
        ...
