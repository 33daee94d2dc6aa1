"""The solver by units: exact for tied weights, and for untied cells whose moments do not close.

Every number is a mean over independent repetitions, with their standard error; with a tolerance,
units are added until it is met. Stationary values are averages over the last quarter of a run that
is prolonged until its moments no longer drift by more than their error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.jacobian import JacobianLaw
from rnnmft.analysis.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)
from rnnmft.analysis.units.growth_search import GrowthFound, search_growth
from rnnmft.analysis.units.memory_time import memory_time
from rnnmft.analysis.units.relaxation import Rate, decay_rate, settling
from rnnmft.analysis.units.repetitions import Samples, draw_repetitions, mean_and_error
from rnnmft.analysis.units.sampled_readings import (
    READ,
    all_readings,
    correlations,
    cross_moments,
    gradient_readings,
    lag_readings,
    late_readings,
    named,
    second_moments,
)
from rnnmft.analysis.units.sampled_runs import SampledSetting
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

__all__ = ["SampledUnits"]

Array = NDArray[np.float64]
#: Arrays by "kind/name" in, series by name out.
Series = Callable[[Mapping[str, Array]], Mapping[str, Array]]
_FIRST_STEPS = 64
_MOST_STEPS = 512
# A moment this large is on its way to infinity.
_HUGE = 1e100


@dataclass(frozen=True)
class _Settled:
    """A run that has become stationary (or reached its largest number of steps)."""

    samples: Samples
    steps: int
    status: Status
    remaining: Mapping[str, float]

    def late(self, read: Series) -> dict[str, Array]:
        """Averages of series (R, steps) over the last quarter of the run: {name: (R,)}."""
        quarter = self.steps // 4
        return {n: v[:, -quarter:].mean(1) for n, v in read(self.samples.values).items()}


class SampledUnits:
    """One cell at one ensemble, tied or untied, by sampling units of the infinite-width process."""

    method = "sampled units"

    def __init__(
        self, cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str, sampling: Sampling
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.tying, self.sampling = tying, sampling
        self.setting = SampledSetting(cell, ensemble, inputs, tying)
        # Whatever cannot be sampled is refused now, not at the first number.
        self.setting.process(sampling.of(16, 2), range(1), 1)
        self._gradients: dict[int, Samples] = {}

    # --- trajectories --------------------------------------------------------------------------

    def _moments(self, steps: int, trajectories: int, late: bool) -> Samples:
        return draw_repetitions(
            lambda plan, numbers: self.setting.moments(plan, numbers, steps, trajectories),
            self.sampling,
            self.setting.unit_bytes(self.sampling, steps, trajectories),
            late_readings if late else all_readings,
        )

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the zero state, with standard errors."""
        drawn = self._moments(steps, 2, late=False)
        values: dict[str, dict[str, Array]] = {}
        errors: dict[str, dict[str, Array]] = {}
        for kind, read in READ.items():
            pairs = {n: mean_and_error(v) for n, v in read(drawn.values).items()}
            values[kind] = {n: m for n, (m, _) in pairs.items()}
            errors[kind] = {n: e for n, (_, e) in pairs.items()}
        status = drawn.status
        if any(np.isnan(c).any() for c in values["correlation"].values()):
            status = Status.UNDEFINED
        if any(not (v < _HUGE).all() for v in values["second_moment"].values()):
            status = Status.DIVERGES
        return Trajectory(
            tying=self.tying,
            steps=steps,
            **values,
            error=errors,
            status=status,
            error_kind="standard error",
            method=self.method,
            units=drawn.sampling.total,
        )

    # --- stationary values ---------------------------------------------------------------------

    @cached_property
    def _stationary(self) -> _Settled:
        """One trajectory, for what does not need two."""
        return self._settle(1)

    @cached_property
    def _stationary_pair(self) -> _Settled:
        """Two trajectories whose cross moments have settled as well."""
        return self._settle(2)

    def _settle(self, trajectories: int) -> _Settled:
        """Prolong the run until the moments have settled.

        Raises:
            ConvergenceError: they grow without bound, as far as the longest run can tell.
        """
        steps = _FIRST_STEPS
        while True:
            drawn = self._moments(steps, trajectories, late=True)
            series = second_moments(drawn.values)
            if any(not (v < _HUGE).all() for v in series.values()):
                raise ConvergenceError(Status.DIVERGES)
            if trajectories == 2:
                series |= {f"cross/{n}": v for n, v in cross_moments(drawn.values).items()}
            found = {n: settling(v) for n, v in series.items()}
            remaining = {n: s.remaining for n, s in found.items()}
            if all(s.settled for s in found.values()):
                return _Settled(drawn, steps, drawn.status, remaining)
            if steps >= _MOST_STEPS:
                if any(s.ratio >= 1.0 for s in found.values()):
                    raise ConvergenceError(
                        Status.DIVERGES, f"Still growing, and not slower, after {steps} steps."
                    )
                return _Settled(drawn, steps, Status.MAX_STEPS, remaining)
            steps *= 2

    def fixed_point(self) -> FixedPoint:
        """Stationary second moments and preactivation variances, reached from the zero state."""
        at = self._stationary
        kinds = ("second_moment", "mean", "preactivation_variance")
        found = {k: {n: mean_and_error(v) for n, v in at.late(READ[k]).items()} for k in kinds}
        errors = {k: {n: float(e) for n, (_, e) in names.items()} for k, names in found.items()}
        for name, more in at.remaining.items():
            errors["second_moment"][name] = math.hypot(errors["second_moment"][name], more)
        second, mean, q = ({n: float(v) for n, (v, _) in found[k].items()} for k in kinds)
        return FixedPoint(
            tying=self.tying,
            second_moment=second,
            mean=mean,
            preactivation_variance=q,
            slope=None,
            stable=True,
            error=max(errors["second_moment"].values()),
            status=at.status,
            method=self.method,
            errors=errors,
            units=at.samples.sampling.total,
        )

    def fixed_points(self) -> list[FixedPoint]:
        """The fixed point reached from zero: sampling follows the process, not its roots."""
        return [self.fixed_point()]

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """Stationary correlation of two trajectories; `slope` is exp(-1 / xi_c) from its approach.

        Raises:
            ConvergenceError: the moments diverge, or the stationary state is zero.
        """
        at = self._stationary_pair
        if any((v <= 0).any() for v in at.late(second_moments).values()):
            raise ConvergenceError(Status.UNDEFINED, "The stationary state is zero.")
        found = {n: mean_and_error(v) for n, v in at.late(correlations).items()}
        cross = {n: mean_and_error(v) for n, v in at.late(cross_moments).items()}
        rate = self._approach(at, correlations)
        slope = math.exp(-rate.value)
        errors = {
            "correlation": {n: float(e) for n, (_, e) in found.items()},
            "cross_moment": {
                n: math.hypot(float(e), at.remaining[f"cross/{n}"]) for n, (_, e) in cross.items()
            },
        }
        return CorrelationFixedPoint(
            tying=self.tying,
            correlation={n: float(v) for n, (v, _) in found.items()},
            cross_moment={n: float(v) for n, (v, _) in cross.items()},
            slope=slope,
            error=max(errors["correlation"].values()),
            status=at.status,
            errors=errors,
            slope_error=rate.error * slope if rate.resolved else slope,
            units=at.samples.sampling.total,
        )

    def _approach(self, at: _Settled, read: Series) -> Rate:
        """The slowest rate at which a moment approaches its stationary value, over the states."""
        rates = [decay_rate(v, at.steps // 4) for v in read(at.samples.values).values()]
        return min([r for r in rates if r.resolved] or rates, key=lambda r: r.value)

    def timescales(self) -> Timescales:
        """xi_q and xi_c from the approach to stationarity; chi_1 = exp(gradient growth).

        Where an approach is over before it can be measured (a vanilla RNN's takes a few steps) its
        timescale is an upper bound, and the status UNDEFINED.
        """
        pair = self._stationary_pair
        rates = {
            "xi_q": self._approach(pair, second_moments),
            "xi_c": self._approach(pair, correlations),
        }
        growth = self.gradient_growth()
        chi_1 = math.exp(float(growth))
        xi = {n: 1.0 / r.value if r.value > 0 else math.inf for n, r in rates.items()}
        error = {
            n: xi[n] ** 2 * r.error if r.resolved and xi[n] < math.inf else xi[n]
            for n, r in rates.items()
        }
        status = pair.status if growth.status is Status.OK else growth.status
        if status is Status.OK and not all(r.resolved for r in rates.values()):
            status = Status.UNDEFINED
        return Timescales(
            tying=self.tying,
            xi_q=xi["xi_q"],
            xi_c=xi["xi_c"],
            chi_1=chi_1,
            error={**error, "chi_1": chi_1 * float(growth.error)},
            status=status,
        )

    # --- memory --------------------------------------------------------------------------------

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) of every state and preactivation after `burn_in` steps (as many as it takes)."""
        settled = Status.OK
        if burn_in is None:
            burn_in, settled = self._stationary.steps, self._stationary.status
        steps = burn_in + lags + 1
        names = len(self.cell.states) + len(self.cell.preactivations)
        unit = self.setting.unit_bytes(self.sampling, steps, 1) + 8 * names * (lags + 1)
        drawn = draw_repetitions(
            lambda plan, numbers: self.setting.autocorrelations(plan, numbers, burn_in, lags),
            self.sampling,
            unit,
            lag_readings,
        )
        series = named(drawn.values, "lag")
        pairs = {n: mean_and_error(v) for n, v in series.items()}
        times = {n: memory_time(v) for n, v in series.items()}
        return Autocorrelation(
            tying=self.tying,
            lags=lags,
            value={n: v for n, (v, _) in pairs.items()},
            error={n: e for n, (_, e) in pairs.items()},
            timescale={n: t for n, (t, _) in times.items()},
            timescale_error={n: e for n, (_, e) in times.items()},
            status=settled if settled is not Status.OK else drawn.status,
            error_kind="standard error",
            method=self.method,
            units=drawn.sampling.total,
        )

    # --- gradients -----------------------------------------------------------------------------

    def _tangents(self, horizon: int, burn_in: int) -> Samples:
        """m_1(T) for T = 1, .., horizon (or further), the Jacobian starting after burn_in steps."""
        known = self._gradients.get(burn_in)
        if known is None or known.values["m_1"].shape[1] < horizon:
            known = self._drawn_tangents(self.sampling, horizon, burn_in)
            self._gradients[burn_in] = known
        return known

    def _drawn_tangents(
        self, sampling: Sampling, horizon: int, burn_in: int, sides: tuple[int, int] = (0, 0)
    ) -> Samples:
        steps, trajectories = burn_in + horizon, 1 + max(sides)
        return draw_repetitions(
            lambda plan, numbers: self.setting.tangents(plan, numbers, burn_in, horizon, sides),
            sampling,
            self.setting.unit_bytes(sampling, steps, trajectories, horizon, sides),
            gradient_readings,
        )

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T) for T = 1, .., horizon, in one run."""
        drawn = self._tangents(horizon, burn_in)
        value, error = mean_and_error(drawn.values["m_1"][:, :horizon])
        name = f"mean of J J^T, horizons 1 to {horizon}, {self.tying}"
        return Quantity(name, value, error, drawn.status, error_kind="standard error")

    def jacobian(self, horizon: int, burn_in: int) -> JacobianLaw:
        """m_1 of the T-step Jacobian that starts after burn_in steps from the zero state."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "the sampled solver knows m_1 of the Jacobian; m_2 and higher need its spectrum"
                )
            found = self.jacobian_means(horizon, burn_in)
            return found.value[-1:], found.error[-1:], found.status

        return JacobianLaw(self.tying, horizon, self.method, compute, "standard error")

    @cached_property
    def _growth(self) -> GrowthFound:
        """Perturbations of the stationary process."""
        steps = self._stationary.steps
        return search_growth(
            lambda plan, horizon: self._drawn_tangents(plan, horizon, steps).values,
            self.sampling,
            tied=self.tying == "tied",
        )

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), bracketed from finite T: see `growth_limit`.

        Without a tolerance T is increased until the bracket is narrower than .002 to either side.
        """
        found, settled = self._growth, self._stationary.status
        return Quantity(
            f"gradient growth ({self.tying})",
            found.limit.value,
            found.limit.error,
            found.status if settled is Status.OK else settled,
            unit="per step",
            error_kind="standard error",
        )
