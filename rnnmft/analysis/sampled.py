"""The solver by units: exact for tied weights, and for untied cells whose moments do not close.

Every number is a mean over independent repetitions, with their standard error. Stationary values
are averages over the last steps of a run, after the moments have stopped drifting by more than
their error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.analysis.jacobian import JacobianLaw
from rnnmft.analysis.particles import UnitProcess
from rnnmft.analysis.relaxation import decay_rate, growth_rate
from rnnmft.analysis.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)
from rnnmft.analysis.tangent_process import TangentProcess
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

__all__ = ["SampledUnits"]

Array = NDArray[np.float64]
_SETTLE = 60
_WINDOW = 20
_GROWTH_HORIZON = 40


def mean_and_error(samples: Array) -> tuple[Array, Array]:
    """Mean over repetitions (the first axis) and its standard error."""
    count = samples.shape[0]
    return samples.mean(0), samples.std(0, ddof=1) / math.sqrt(count)


class SampledUnits:
    """One cell at one ensemble, tied or untied, by sampling units of the infinite-width process."""

    method = "sampled units"

    def __init__(
        self, cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str, sampling: Sampling
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.tying, self.sampling = tying, sampling

    def process(self, horizon: int, trajectories: int = 2) -> UnitProcess:
        """Units at the zero state, for up to `horizon` steps."""
        return UnitProcess(
            self.cell,
            self.ensemble,
            self.inputs,
            self.tying,
            self.sampling,
            trajectories,
            horizon,
        )

    # --- trajectories --------------------------------------------------------------------------

    def _run(self, steps: int) -> dict[str, dict[str, Array]]:
        """Per repetition: {"second", "mean", "preactivation"}[name]: (R, steps, ...)."""
        process = self.process(steps)
        found: dict[str, dict[str, list[torch.Tensor]]] = {"second": {}, "mean": {}, "pre": {}}
        for _ in range(steps):
            process.step()
            for name, value in process.second_moments().items():
                found["second"].setdefault(name, []).append(value)
                found["mean"].setdefault(name, []).append(process.states[name][:, 0].mean(1))
            for name, value in process.preactivation_moments().items():
                found["pre"].setdefault(name, []).append(value)
        return {
            kind: {n: torch.stack(v, 1).double().cpu().numpy() for n, v in names.items()}
            for kind, names in found.items()
        }

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the zero state, with standard errors."""
        run = self._run(steps)
        reading: dict[str, Callable[[], dict[str, Array]]] = {
            "second_moment": lambda: {n: _diagonal(v) for n, v in run["second"].items()},
            "cross_moment": lambda: {n: v[..., 0, 1] for n, v in run["second"].items()},
            "correlation": lambda: {n: _correlation(v) for n, v in run["second"].items()},
            "mean": lambda: run["mean"],
            "preactivation_variance": lambda: {n: _diagonal(v) for n, v in run["pre"].items()},
            "preactivation_covariance": lambda: {n: v[..., 0, 1] for n, v in run["pre"].items()},
        }
        values: dict[str, dict[str, Array]] = {}
        errors: dict[str, dict[str, Array]] = {}
        for kind, read in reading.items():
            pairs = {n: mean_and_error(v) for n, v in read().items()}
            values[kind] = {n: m for n, (m, _) in pairs.items()}
            errors[kind] = {n: e for n, (_, e) in pairs.items()}
        finite = all(np.isfinite(v).all() for v in values["second_moment"].values())
        return Trajectory(
            tying=self.tying,
            steps=steps,
            **values,
            error=errors,
            status=Status.OK if finite else Status.DIVERGES,
            error_kind="standard error",
            method="sampled units",
        )

    # --- stationary values ---------------------------------------------------------------------

    @cached_property
    def _stationary(self) -> tuple[dict[str, dict[str, Array]], Status]:
        """Run until the moments settle; the run and whether they did."""
        steps = _SETTLE
        while True:
            run = self._run(steps)
            drift, noise = _drift(run["second"])
            if not math.isfinite(drift):
                raise ConvergenceError(Status.DIVERGES)
            if drift <= max(4.0 * noise, 1e-6):
                return run, Status.OK
            if steps >= 4 * _SETTLE:
                if drift > 0.2:
                    raise ConvergenceError(Status.DIVERGES, f"Still growing after {steps} steps.")
                return run, Status.STALLED
            steps *= 2

    def _late(self, kind: str, read: Callable[[Array], Array]) -> dict[str, tuple[float, float]]:
        run, _ = self._stationary
        found = {}
        for name, values in run[kind].items():
            mean, error = mean_and_error(read(values)[:, -_WINDOW:].mean(1))
            found[name] = (float(mean), float(error))
        return found

    def fixed_point(self) -> FixedPoint:
        """Stationary second moments and preactivation variances, reached from the zero state."""
        second = self._late("second", _diagonal)
        mean = self._late("mean", lambda v: v)
        q = self._late("pre", _diagonal)
        return FixedPoint(
            tying=self.tying,
            second_moment={n: v for n, (v, _) in second.items()},
            mean={n: v for n, (v, _) in mean.items()},
            preactivation_variance={n: v for n, (v, _) in q.items()},
            slope=None,
            stable=True,
            error=max(e for _, e in second.values()),
            status=self._stationary[1],
            method="sampled units",
        )

    def fixed_points(self) -> list[FixedPoint]:
        """The fixed point reached from the zero state: sampling follows the process, not its roots."""
        return [self.fixed_point()]

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """Stationary correlation of two trajectories; `slope` is exp(-1 / xi_c) from its approach."""
        found = self._late("second", _correlation)
        cross = self._late("second", lambda v: v[..., 0, 1])
        rate, error, _ = self._approach(_correlation)
        return CorrelationFixedPoint(
            tying=self.tying,
            correlation={n: v for n, (v, _) in found.items()},
            cross_moment={n: v for n, (v, _) in cross.items()},
            slope=math.exp(-rate),
            error=max([error * math.exp(-rate), *(e for _, e in found.values())]),
            status=self._stationary[1],
        )

    def _approach(self, read: Callable[[Array], Array]) -> tuple[float, float, Status]:
        """The slowest rate at which a moment approaches its stationary value, over the states."""
        run, _ = self._stationary
        rates = [decay_rate(read(v), _WINDOW) for v in run["second"].values()]
        resolved = [r for r in rates if r[2] is Status.OK]
        return min(resolved or rates, key=lambda r: r[0])

    def timescales(self) -> Timescales:
        """xi_q and xi_c from the approach to stationarity; chi_1 = exp(gradient growth)."""
        rate_q, error_q, status_q = self._approach(_diagonal)
        rate_c, error_c, status_c = self._approach(_correlation)
        growth = self.gradient_growth()
        chi_1 = math.exp(float(growth))
        status = next((s for s in (status_q, status_c) if s is not Status.OK), self._stationary[1])
        return Timescales(
            tying=self.tying,
            xi_q=1.0 / rate_q if rate_q > 0 else math.inf,
            xi_c=1.0 / rate_c if rate_c > 0 else math.inf,
            chi_1=chi_1,
            error={
                "xi_q": error_q / max(rate_q, 1e-12) ** 2,
                "xi_c": error_c / max(rate_c, 1e-12) ** 2,
                "chi_1": chi_1 * float(growth.error),
            },
            status=status,
        )

    # --- memory and gradients ------------------------------------------------------------------

    def autocorrelation(self, lags: int, burn_in: int = _SETTLE) -> Autocorrelation:
        """C(tau) = E[s^t s^{t - tau}] of every state and preactivation, t = burn_in + lags."""
        process = self.process(burn_in + lags, trajectories=1)
        kept: dict[str, list[torch.Tensor]] = {}
        for _ in range(burn_in + lags):
            process.step()
            if process.time >= burn_in:
                for name, value in process.states.items():
                    kept.setdefault(name, []).append(value[:, 0])
                for p in self.cell.preactivations:
                    centred = process.e[p.name][:, 0] - self.ensemble[p.name].mu_b
                    kept.setdefault(p.name, []).append(centred)
        values, errors = {}, {}
        for name, history in kept.items():
            last = history[-1]
            products = [(last * past).mean(1).double().cpu().numpy() for past in reversed(history)]
            values[name], errors[name] = mean_and_error(np.stack(products, 1))
        return Autocorrelation(self.tying, lags, values, errors)

    def tangent_moments(self, horizon: int, burn_in: int) -> Array:
        """m_1(T) for T = 1..horizon, started after burn_in steps, per repetition: (R, horizon)."""
        process = self.process(burn_in + horizon, trajectories=1)
        for _ in range(burn_in):
            process.step()
        tangent = TangentProcess(process, horizon)
        squares = []
        for _ in range(horizon):
            process.step()
            tangent.step()
            squares.append(tangent.mean_square())
        return torch.stack(squares, 1).double().cpu().numpy()

    @cached_property
    def _growth(self) -> tuple[float, float]:
        return growth_rate(self.tangent_moments(_GROWTH_HORIZON, _SETTLE))

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T): the slope of log m_1 over the second half of the horizon."""
        value, error = self._growth
        return Quantity(
            f"gradient growth ({self.tying})",
            value,
            error,
            unit="per step",
            error_kind="standard error",
        )

    def jacobian(self, horizon: int, burn_in: int) -> JacobianLaw:
        """m_1 of the T-step Jacobian that starts after burn_in steps from the zero state."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "the sampled solver knows m_1 of the Jacobian; m_2 and higher need its spectrum"
                )
            mean, error = mean_and_error(self.tangent_moments(horizon, burn_in)[:, -1:])
            return mean, error, Status.OK

        return JacobianLaw(self.tying, horizon, "sampled units", compute, "standard error")


def _diagonal(values: Array) -> Array:
    """Average of the trajectories' own second moments: (R, T, P, P) -> (R, T)."""
    return np.diagonal(values, axis1=-2, axis2=-1).mean(-1)


def _correlation(values: Array) -> Array:
    """E[s_a s_b] / sqrt(E[s_a^2] E[s_b^2]), 0 where a variance vanishes: (R, T, P, P) -> (R, T)."""
    scale = np.sqrt(values[..., 0, 0] * values[..., 1, 1])
    return np.where(scale > 0, values[..., 0, 1] / np.where(scale > 0, scale, 1.0), 0.0)


def _drift(second: dict[str, Array]) -> tuple[float, float]:
    """The largest relative change between the last two windows, and its standard error."""
    worst, noise = 0.0, 0.0
    for values in second.values():
        series = _diagonal(values)
        late, early = series[:, -_WINDOW:].mean(1), series[:, -2 * _WINDOW : -_WINDOW].mean(1)
        change, error = mean_and_error(late - early)
        scale = float(abs(late.mean())) or 1.0
        if not np.isfinite(change):
            return math.inf, 0.0
        if abs(float(change)) / scale >= worst:
            worst, noise = abs(float(change)) / scale, float(error) / scale
    return worst, noise
