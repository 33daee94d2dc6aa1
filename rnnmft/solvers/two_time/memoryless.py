"""The exact tied theory of memoryless cells, by quadrature: no sampling.

Where every state is a function of the current preactivations (and the current input) alone, and
every W sees the states alone, a unit remembers nothing but its preactivations. Their two-time,
two-trajectory covariances then close among themselves:

    C_k(t+1, s+1) = sigma_w,k^2 E[y_k(e^t) y_k(e^s)] + sigma_v,k^2 R kappa(t - s) c + sigma_b,k^2

with one bivariate Gaussian integral for each pair of times. At equal times these are the untied
equations: one-time laws, correlations and gradients of tied and untied weights agree, and only
the correlations in time differ. [poole2016], [yang2019]

Eq. (memoryless-kernel).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.compile import STATUSES, Program, compile_program
from rnnmft.records import Quantity
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.closed.recursion import UntiedRecursion
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.memory_time import integrated_time, time_error
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)
from rnnmft.theory.memoryless import memoryless_theory

__all__ = ["TwoTimeKernel"]

Array = NDArray[np.float64]
# Iterations after which a lag counts as not settled: 1e-13 is reached where each keeps 98.5 % or
# less.
_ITERATIONS = 2000
# Of the largest variance: 500 roundings.
_SETTLED = 1e-13
# 1 minus the contraction is not believed below this: the last steps are rounding then.
_LEAST_GAP = 1e-6
# Beside a variance of 0.
_TINY = np.finfo(float).tiny


class TwoTimeKernel:
    """One memoryless cell at one ensemble with tied weights, by quadrature.

    Raises:
        DerivationError: the cell is not memoryless.
    """

    method = "two-time kernel"
    is_sampled = False
    has_law = False

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        backend: str | Backend = "numpy",
        start: Mapping[str, float] | None = None,
    ) -> None:
        memoryless_theory(cell)
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.start = dict(start or {})
        # At equal times only R and c_x of the input matter, not its correlation in time.
        self._equal_times = ClosedMoments(
            cell, ensemble, replace(inputs, temporal="white"), backend, start
        )

    @property
    def recursion(self) -> UntiedRecursion:
        """The untied one: at one time tied weights are as good as fresh ones."""
        return self._equal_times.recursion

    @property
    def memory(self) -> TwoTimeKernel:
        """Itself."""
        return self

    # --- what tied and untied weights have in common -------------------------------------------

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start."""
        return replace(self._equal_times.evolve(steps), tying="tied", method=self.method)

    def fixed_points(self) -> list[FixedPoint]:
        """All fixed points, stable or not, by increasing second moment."""
        found = self._equal_times.fixed_points()
        return [replace(f, tying="tied", method=self.method) for f in found]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the start approaches; UNSTABLE where it merely stays there."""
        return replace(self._equal_times.fixed_point(), tying="tied", method=self.method)

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation of two trajectories."""
        return replace(self._equal_times.correlation_fixed_point(), tying="tied")

    def timescales(self) -> Timescales:
        """xi_q, xi_c in steps, and chi_1."""
        return replace(self._equal_times.timescales(), tying="tied")

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), per step: perturbations of different steps are uncorrelated."""
        return replace(self._equal_times.gradient_growth(), name="gradient growth (tied)")

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """`gradient_growth`, which needs no run."""
        return self.gradient_growth()

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon, at stationarity."""
        return self._equal_times.jacobian_means(horizon, burn_in)

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """Moments of the T-step J J^T: m_1 for any T, every m_k for T = 1."""
        return replace(
            self._equal_times.jacobian_moments(horizon, burn_in), tying="tied", method=self.method
        )

    # --- two times -----------------------------------------------------------------------------

    def kernel(self, steps: int) -> tuple[dict[str, Array], dict[str, Array]]:
        """Covariances of each preactivation between updates t and s, from the start.

        Eq. (memoryless-kernel).

        Args:
            steps: T.

        Returns:
            On one trajectory and between the two: {preactivation: (T, T)}.
        """
        names = [p.name for p in self.cell.preactivations]
        path = self.evolve(steps)
        equal = (path.preactivation_variance, path.preactivation_covariance)
        q, q_ab = (np.stack([values[n] for n in names]) for values in equal)
        covariance = np.zeros((2, len(names), steps, steps))
        drive = np.stack([self._drive(np.arange(steps), same) for same in (True, False)])
        covariance[:, :, 0, 0] = q[:, 0], q_ab[:, 0]
        for s in range(steps):
            later = np.arange(max(s, 1), steps)
            if s == 0:
                seen = np.stack([self._seen_with_start(q[:, :-1])] * 2)
            else:
                before = covariance[:, :, later - 1, s - 1]
                q_s = np.repeat(q[:, s - 1, None], len(later), 1)
                both = [(before[0], True), (before[1], False)]
                seen = np.stack(
                    [self._overlap(q[:, later - 1], c, q_s, later - s, same)[0] for c, same in both]
                )
            row = self._weights[:, None] * seen + drive[:, :, later - s]
            covariance[:, :, later, s] = covariance[:, :, s, later] = row
        same, between = ({n: c[k] for k, n in enumerate(names)} for c in covariance)
        return same, between

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) of every state and preactivation at stationarity, tau = 0, .., lags.

        Every lag is a fixed point of its own: C -> sigma_w^2 E[y y](C) + (input and bias).

        Raises:
            ConvergenceError: there is no stationary state.
        """
        at = self.fixed_point()
        names = [p.name for p in self.cell.preactivations]
        q = np.array([at.preactivation_variance[n] for n in names])[:, None] * np.ones(lags + 1)
        lag = np.arange(lags + 1)
        drive = self._drive(lag, True)
        start = self._weights[:, None] * self._seen_with_start(q) + drive
        # |C| <= q, by Cauchy and Schwarz: only rounding is cut off.
        covariance, step = np.clip(start, -q, q), np.inf
        scale = max(float(q.max()), _TINY)
        ratio, status = 0.0, Status.MAX_STEPS
        for _ in range(_ITERATIONS):
            seen, _, _ = self._overlap(q, covariance, q, lag, True)
            new = np.clip(self._weights[:, None] * seen + drive, -q, q)
            new[:, 0] = q[:, 0]
            moved = float(np.abs(new - covariance).max()) / scale
            ratio = moved / step if 0 < step < np.inf else 0.0
            covariance, step = new, moved
            if moved <= _SETTLED:
                status = at.status
                break
        left = step * scale / max(1.0 - ratio, _LEAST_GAP)
        return self._autocorrelation(lags, q, covariance, left, at.error, status)

    def _autocorrelation(
        self, lags: int, q: Array, covariance: Array, left: float, error: float, status: Status
    ) -> Autocorrelation:
        _, states, errors = self._overlap(q, covariance, q, np.arange(lags + 1), True)
        values = {p.name: covariance[k] for k, p in enumerate(self.cell.preactivations)}
        values |= {s.name: states[i] for i, s in enumerate(self.cell.states)}
        bounds = {n: np.full(lags + 1, left + error) for n in values}
        for i, s in enumerate(self.cell.states):
            # |dE[f(a) f(b)] / dC| = |E[f' f']| is at most E[f^2] / C(0) of the steepest state.
            bounds[s.name] = errors[i] + (left + error) * np.abs(states[i, 0]) / max(q.min(), _TINY)
        times = {n: integrated_time(v) for n, v in values.items()}
        return Autocorrelation(
            tying="tied",
            lags=lags,
            value=values,
            error=bounds,
            timescale=times,
            timescale_error={n: time_error(values[n], bounds[n]) for n in values},
            status=status,
            method=self.method,
        )

    @property
    def _weights(self) -> Array:
        return np.array([self.ensemble[p.name].sigma_w ** 2 for p in self.cell.preactivations])

    def _drive(self, lags: NDArray[np.int64], same: bool) -> Array:
        """What input and bias add to the covariances at each lag, (preactivations, lags)."""
        rows = []
        for p in self.cell.preactivations:
            law = self.ensemble[p.name]
            wide = law.sigma_v**2 if p.has_input else 0.0
            rows.append(wide * self._input(lags, same) + law.sigma_b**2)
        return np.array(rows)

    def _input(self, lags: NDArray[np.int64], same: bool) -> Array:
        """Covariance of the input with itself at each lag."""
        kappa = np.array([self.inputs.kappa(int(lag)) for lag in lags])
        return self.inputs.R * kappa * (1.0 if same else self.inputs.correlation)

    def _seen_with_start(self, q: Array) -> Array:
        """E[y^t y^0] = E[y^t] E[y^0], t = 1, 2, ..: no preactivation knows the unit's own start.

        Args:
            q: variances of the preactivations of the updates before t = 1, 2, .., (K, B).
        """
        theory = memoryless_theory(self.cell)
        variances = {v: sp.Float(self.start.get(s.name, 0.0) ** 2) for s, v in theory.start.items()}
        at_start = [[float(y.xreplace(variances))] for y in theory.mean_at_start.values()]
        if not np.any(at_start) or not q.size:
            return np.zeros_like(q)
        lags = np.zeros(q.shape[1], dtype=np.int64)
        means = self._averages(q, q, q, lags, True)[0][len(q) : 2 * len(q)]
        return np.array(at_start) * means

    def _overlap(
        self, q_t: Array, covariance: Array, q_s: Array, lags: NDArray[np.int64], same: bool
    ) -> tuple[Array, Array, Array]:
        """E[y_k^t y_k^s] of what is seen and E[s_a^t s_a^s] of the states, and the latter's errors.

        Args:
            q_t: variances of the preactivations at the first time, (preactivations, B).
            covariance: of the two times, the same shape.
            q_s: variances at the second time.
            lags: t - s, (B,).
            same: whether both times are on one trajectory.
        """
        values, errors = self._averages(q_t, covariance, q_s, lags, same)
        count, states = len(self.cell.preactivations), len(self.cell.states)
        return values[:count], values[-states:], errors[-states:]

    def _averages(
        self, q_t: Array, covariance: Array, q_s: Array, lags: NDArray[np.int64], same: bool
    ) -> tuple[Array, Array]:
        """Every average of the compiled program and its error, (averages, B)."""
        rows: list[Array] = []
        for k, p in enumerate(self.cell.preactivations):
            mean = np.full(len(lags), self.ensemble[p.name].mu_b)
            rows += [mean, q_t[k], covariance[k], q_s[k]]
        rows += [np.full(len(lags), self.inputs.R), self._input(lags, same)]
        found = _two_time_program(self.cell)(*rows)
        codes = np.asarray(found.status)
        if (codes != 0).any():
            raise ConvergenceError(STATUSES[int(codes[codes != 0][0])])
        return np.stack(found.values), np.stack(found.errors)


@lru_cache(maxsize=32)
def _two_time_program(cell: Cell) -> Program:
    """E[y_k y_k], E[y_k], E[s_a s_a] of (mu, q_t, C, q_s) a preactivation, then R and R_ts."""
    theory = memoryless_theory(cell)
    by_preactivation = (theory.mu, theory.q_t, theory.q_ts, theory.q_s)
    arguments = [by[p] for p in cell.preactivations for by in by_preactivation]
    outputs = [*theory.seen.values(), *theory.mean_seen.values(), *theory.states.values()]
    return compile_program([], outputs, [*arguments, theory.R, theory.R_ts])
