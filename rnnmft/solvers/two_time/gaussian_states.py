"""The exact tied theory of cells with Gaussian states, by quadrature: no sampling.

Where the states are linear in their preactivations' history they are Gaussian processes, and their
two-time covariance closes (rate networks, linear leaky cells). It is followed forward in time
(`evolution`) and solved for where it is stationary (`stationary`, `settling`); its perturbations
are eigenvalue problems over the lags (`growth`, `jost`, `modes`).

Sources: [sompolinsky1988], [schuecker2018]. Eq. (gaussian-states), Eq. (gaussian-kernel).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.memory_time import integrated_time, time_error
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)
from rnnmft.solvers.timescale import NO_CORRELATION_TIME, timescale, timescale_error
from rnnmft.solvers.two_time.kernel import StationaryKernel, extended
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.pairs import settle_pair
from rnnmft.solvers.two_time.settling import settle, zero_kernel
from rnnmft.solvers.two_time.stability import modes_of, perturbation, slowest_mode
from rnnmft.solvers.two_time.trajectories import (
    follow_lags,
    follow_moments,
    follow_perturbation,
)

__all__ = ["GaussianStates"]

Array = NDArray[np.float64]
# By which covariances are scaled to see what their errors do: the difference keeps five digits
# above the integrals' 1e-11, and its own curvature is 1e-6.
_MOVED = 1e-6
# Rounding of a number that took some dozens of operations, relative.
_ROUNDING = 1e-14


class GaussianStates:
    """One cell with Gaussian states at one ensemble, tied, by its two-time kernel.

    Args:
        cell: every update is linear with constant coefficients, and every W sees a function of one
            linear combination of the states.
        ensemble, inputs: the setting.
        start: {state: standard deviation at t = 0}, 0 where absent.

    Raises:
        DerivationError: the cell's states are not Gaussian.
    """

    method = "two-time kernel"
    is_sampled = False
    has_law = False

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.start = dict(start or {})
        self.system = LinearStates(cell, ensemble, inputs, self.start)
        # Functions without numbers are refused now, not at the first number.
        _ = self.system.seen

    @property
    def recursion(self) -> None:
        """None: a step depends on the whole past."""

    @property
    def memory(self) -> GaussianStates:
        """Itself."""
        return self

    # --- forward -------------------------------------------------------------------------------

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start."""
        return follow_moments(self.system, steps, self.method)

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """`gradient_growth`, which needs no run."""
        return self.gradient_growth()

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon, of the Jacobians that start after burn_in steps."""
        return follow_perturbation(self.system, horizon, burn_in)

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """m_1 of the T-step Jacobian that starts after burn_in steps."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "the two-time kernel knows m_1 of the Jacobian; m_2 and higher need its "
                    "spectrum"
                )
            found = self.jacobian_means(horizon, burn_in)
            return found.value[-1:], found.error[-1:], found.status

        return JacobianMoments("tied", horizon, self.method, compute)

    # --- stationary ----------------------------------------------------------------------------

    @cached_property
    def kernel(self) -> StationaryKernel:
        """The two-time kernel that the start settles to."""
        return settle(self.system)

    @cached_property
    def _slowest(self) -> tuple[float, bool]:
        return slowest_mode(self.kernel)

    @cached_property
    def _stable(self) -> bool:
        return modes_of(self.kernel).stable

    @cached_property
    def _pair(self) -> StationaryKernel:
        return settle_pair(self.kernel)

    def fixed_point(self) -> FixedPoint:
        """The stationary state that the start approaches.

        `slope`: by what the slowest part of the approach shrinks a step. A network that nothing
        drives stays in its zero state: where that is unstable, the record says so.

        Raises:
            ConvergenceError: the second moment diverges.
        """
        return self._fixed_point(self.kernel, self._slowest[0], self._stable)

    def fixed_points(self) -> list[FixedPoint]:
        """The one that is reached, and the zero state where that is one."""
        reached = self.fixed_point()
        if self.system.driven or not self.kernel.looked_at[0].any():
            return [reached]
        zero = zero_kernel(self.system)
        slope = slowest_mode(zero)[0]
        return [self._fixed_point(zero, slope, modes_of(zero).stable), reached]

    def _fixed_point(self, kernel: StationaryKernel, slope: float, stable: bool) -> FixedPoint:
        states = [s.name for s in self.cell.states]
        variances = self._covariances(kernel)[:, 0]
        mean = self.system.mean
        q = [float(kernel.covariance(k)[0]) for k in range(len(self.system.rows))]
        status, error = kernel.status, self._error(kernel)
        if not stable and status is Status.OK:
            status = Status.UNSTABLE
        return FixedPoint(
            tying="tied",
            second_moment={
                n: float(v + m * m) for n, v, m in zip(states, variances, mean, strict=True)
            },
            mean=dict(zip(states, map(float, mean), strict=True)),
            preactivation_variance={
                p.name: v for p, v in zip(self.cell.preactivations, q, strict=True)
            },
            slope=slope,
            stable=stable,
            error=error,
            status=status,
            method=self.method,
            errors={
                "second_moment": dict.fromkeys(states, error),
                "mean": {n: _ROUNDING * abs(float(v)) for n, v in zip(states, mean, strict=True)},
                "preactivation_variance": dict.fromkeys(self.ensemble, error),
            },
            slope_error=self._slowest_error(kernel, slope),
        )

    def _slowest_error(self, kernel: StationaryKernel, slope: float) -> float:
        """Of the slope of the slowest part of an approach; its own size where that is not proven.

        A slope that is not proven to be the slowest is a lower bound, below 1 where it is stable.
        """
        moved, proven = slowest_mode(kernel, 1.0 + _MOVED)
        if not proven:
            return max(abs(1.0 - slope), slope)
        return self._through(kernel, moved - slope) + _ROUNDING

    def _covariances(self, kernel: StationaryKernel) -> Array:
        """Of each state with itself, at the lags of the window, (m, L + 1)."""
        return kernel.seen_from(np.eye(len(self.system.A)))[0]

    def _error(self, kernel: StationaryKernel) -> float:
        """Of a second moment or a preactivation's variance."""
        looked = float(kernel.looked_at[0][:, 0].max(initial=0.0))
        largest = max(
            float(self._covariances(kernel)[:, 0].max(initial=0.0)),
            float((kernel.forgotten[:, 0] + kernel.plateau).max(initial=0.0)),
        )
        ratio = largest / looked if looked > 0 else 1.0
        return kernel.error * max(1.0, ratio) + _ROUNDING * largest

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation of two trajectories that start apart; slope = exp(-1 / xi_c).

        Raises:
            ConvergenceError: the second moment diverges, or the stationary state is zero.
        """
        pair, own = self._pair, self.kernel
        states = [s.name for s in self.cell.states]
        square = self.system.mean**2
        cross = self._covariances(pair)[:, 0] + square
        second = self._covariances(own)[:, 0] + square
        slope, error = self._slope(pair)
        alike = self.inputs.correlation == 1.0 or not self.system.fed
        slope_at_one, error_at_one = self._slope(own)
        one, at_one = (
            (dict.fromkeys(states, v), w) for v, w in ((1.0, slope_at_one), (0.0, error_at_one))
        )
        bounds = (pair.error + own.error) / second + _ROUNDING
        errors = {
            "correlation": {n: float(e) for n, e in zip(states, bounds, strict=True)},
            "cross_moment": dict.fromkeys(states, self._error(pair)),
        }
        return CorrelationFixedPoint(
            tying="tied",
            correlation={n: float(v) for n, v in zip(states, cross / second, strict=True)},
            cross_moment={n: float(v) for n, v in zip(states, cross, strict=True)},
            slope=slope,
            error=float(bounds.max()),
            status=own.status if own.status is not Status.OK else pair.status,
            others=(one,) if alike and pair is not own else (),
            errors=errors,
            slope_error=error,
            other_errors=(at_one,) if alike and pair is not own else (),
        )

    # --- perturbations -------------------------------------------------------------------------

    def _slope(self, kernel: StationaryKernel) -> tuple[float, float]:
        """By what a perturbation beside a kernel grows a step, and its error."""
        value, error = perturbation(kernel)
        moved, _ = perturbation(kernel, 1.0 + _MOVED)
        return value, error + self._through(kernel, moved - value) + _ROUNDING * value

    def _through(self, kernel: StationaryKernel, change: float) -> float:
        """What the kernel's error does to what changes so much when the kernel is scaled."""
        size = max(curve.q for curve in kernel.curves)
        steep = float(np.abs(kernel.averages("slope")[0]).max(initial=0.0))
        integrals = max(
            w * c.error("slope") for w, c in zip(self.system.weights, kernel.curves, strict=True)
        )
        relative = kernel.error / size if size > 0 else 0.0
        return abs(change) / _MOVED * relative + (integrals if steep > 0 else 0.0)

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), per step: the log of the leading eigenvalue over the lags."""
        slope, error = self._slope(self.kernel)
        value = math.log(slope) if slope > 0 else -math.inf
        relative = error / slope if slope > 0 else 0.0
        return Quantity(
            "gradient growth (tied)", value, relative, self.kernel.status, unit="per step"
        )

    def timescales(self) -> Timescales:
        """xi_q, xi_c in steps, and chi_1.

        xi_q is that of the slowest part of the approach from the start, xi_c that of a change of
        the covariance between two trajectories. Where the edge of a continuous spectrum decides, a
        power of t stands in front. At the zero state, where no correlation is defined, xi_c is that
        of the cross moment.
        """
        own, status = self.kernel, self._status
        slow, resolved = self._slowest
        chi_1, chi_1_error = self._slope(own)
        slow_error = self._slowest_error(own, slow) if resolved else math.inf
        settles = status if resolved else Status.worst(status, Status.NOT_CONVERGED)
        found = {
            "xi_q": (timescale(slow), timescale_error(slow, slow_error), settles),
            "xi_c": self._correlation_time(status),
            "chi_1": (chi_1, chi_1_error, status),
        }
        return Timescales.of("tied", found)

    @property
    def _status(self) -> Status:
        """Of what is said of the stationary state's perturbations."""
        return Status.worst(self.kernel.status, Status.OK if self._stable else Status.UNSTABLE)

    def _correlation_time(self, status: Status) -> tuple[float, float, Status]:
        """xi_c, its error and status; nan where the stationary state is zero."""
        try:
            pair = self._pair
        except ConvergenceError as error:
            if error.status is not Status.UNDEFINED:
                raise
            return NO_CORRELATION_TIME
        slope, error = self._slope(pair)
        return timescale(slope), timescale_error(slope, error), Status.worst(status, pair.status)

    # --- memory --------------------------------------------------------------------------------

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) of every state and preactivation, tau = 0, .., lags.

        At stationarity, or with burn_in of update t = burn_in + lags + 1 and the ones before it.

        Raises:
            ConvergenceError: there is no stationary state.
        """
        if burn_in is not None:
            values, bounds, status = follow_lags(self.system, lags, burn_in)
        else:
            values = self._stationary_lags(lags)
            bounds = {n: np.full(lags + 1, self._error(self.kernel)) for n in values}
            status = self.kernel.status if self._stable else self.fixed_point().status
        return Autocorrelation(
            tying="tied",
            lags=lags,
            value=values,
            error=bounds,
            timescale={n: integrated_time(v) for n, v in values.items()},
            timescale_error={n: time_error(values[n], bounds[n]) for n in values},
            status=status,
            method=self.method,
        )

    def _stationary_lags(self, lags: int) -> dict[str, Array]:
        kernel, mean = self.kernel, self.system.mean
        covariances, far = kernel.seen_from(np.eye(len(self.system.A)))
        values = {
            s.name: extended(covariances[i], far[i], lags) + mean[i] ** 2
            for i, s in enumerate(self.cell.states)
        }
        for k, p in enumerate(self.cell.preactivations):
            values[p.name] = extended(kernel.covariance(k), kernel.plateau[k], lags)
        return values
