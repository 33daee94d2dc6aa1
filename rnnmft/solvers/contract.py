"""The contract of a mean-field solver: what each method of solving the theory must answer."""

from __future__ import annotations

from typing import Protocol

from rnnmft.records import Quantity
from rnnmft.solvers.closed.recursion import UntiedRecursion
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)

__all__ = ["MemorySolver", "Solver"]


class Solver(Protocol):
    """One method of solving the mean-field theory of one cell at one ensemble.

    Attributes:
        method: its name in results.
        is_sampled: whether its numbers are means of samples, with standard errors.
        has_law: whether it moves the law of a state: the laws of many points are then searched for
            together.
    """

    method: str
    is_sampled: bool
    has_law: bool

    @property
    def recursion(self) -> UntiedRecursion | None:
        """The recursion of moments at one time, where they close: whole grids follow from it."""
        ...

    @property
    def memory(self) -> MemorySolver | None:
        """What knows the correlations of a unit with its own past: itself, or None."""
        ...

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

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """The same, as well as T <= horizon after burn_in steps tell it, where that saves time."""
        ...

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon, of the Jacobians that start after burn_in steps."""
        ...

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """What is known of the moments of the T-step Jacobian's squared singular values."""
        ...


class MemorySolver(Protocol):
    """A method that also knows the correlations of a unit with its own past."""

    method: str

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau), tau = 0, .., lags, at stationarity (sampled: after burn_in steps, if given)."""
        ...
