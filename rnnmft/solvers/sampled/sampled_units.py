"""The solver by units: exact for tied weights, and for untied cells whose moments do not close.

Every number is a mean over independent repetitions, with their standard error and what fewer units
tell of the 1/M bias; with a tolerance, units are added until it is met. Stationary values are
averages over the last quarter of a run that is prolonged until its moments no longer drift by more
than their error. How fast a correlation is forgotten is the growth rate of a perturbation of cross
moments, averaged in closed form: a decay that would drown in noise is measured all the same.

Eq. (tied-kernel), Eq. (unit-bias), Eq. (averaged-tangent), Eq. (xi).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import defined, require_variance
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import STANDARD_ERROR, Quantity
from rnnmft.sampling import FEWEST, Sampling
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.memory_time import memory_time
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
    trajectory_status,
)
from rnnmft.solvers.sampled.checks import check, decided_by_many
from rnnmft.solvers.sampled.growth_search import (
    GrowthFound,
    limit_of,
    search_cross_growth,
    search_growth,
)
from rnnmft.solvers.sampled.readings import (
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
from rnnmft.solvers.sampled.relaxation import Rate, decay_rate, settling
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.timescale import NO_CORRELATION_TIME
from rnnmft.units.repetitions import Samples, draw_repetitions, estimate

__all__ = ["SampledUnits"]

Array = NDArray[np.float64]
#: Arrays by "kind/name" in, series by name out.
Series = Callable[[Mapping[str, Array]], Mapping[str, Array]]
# Steps of a run, doubled: quarters of 16 and more are compared.
_FIRST_STEPS = 64
# Of tied weights, each of which sees all before: T^2 of work.
_MOST_STEPS = 8192
# Units times steps times directions seen that the longest run may take, with the fewest units.
_MOST_WORK = 9e9
# Units of runs that are averaged over time, unless a number is asked for; and how many times fewer
# units and how much less work are enough for moments that settle: a first answer within a second
# or two on one core, of some 1e-3 of itself.
_AVERAGED, _SETTLING = 1 << 17, 2
# Changes that shrink by less than this from quarter to quarter of a run have no end in sight.
_ENDLESS = 0.75
# A moment this large is on its way to infinity.
_HUGE = 1e100


@dataclass(frozen=True)
class _Settled:
    """A run that has become stationary (or reached its largest number of steps)."""

    samples: Samples
    steps: int
    status: Status
    remaining: Mapping[str, float]

    def late(self, read: Series) -> dict[str, tuple[Array, Array]]:
        """Averages of series (R, steps) over the last quarter of the run, with their errors."""
        quarter = self.steps // 4

        def averaged(values: Mapping[str, Array]) -> dict[str, Array]:
            return {n: v[:, -quarter:].mean(1) for n, v in read(values).items()}

        return estimate(self.samples, averaged)


class SampledUnits:
    """One cell at one ensemble, tied or untied, by sampling units of the infinite-width process."""

    method = "sampled units"
    is_sampled = True

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        tying: str,
        sampling: Sampling,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.tying, self.sampling = tying, sampling
        self.setting = SampledSetting(cell, ensemble, inputs, tying, start or {})
        # Whatever cannot be sampled is refused now, not at the first number.
        self.setting.process(sampling.of(16, 2), range(1), 1)
        self._gradients: dict[int, Samples] = {}

    @property
    def recursion(self) -> None:
        """None: units are followed, not moments."""

    @property
    def memory(self) -> SampledUnits:
        """Itself."""
        return self

    # --- trajectories --------------------------------------------------------------------------

    def _moments(
        self,
        steps: int,
        trajectories: int,
        late: bool,
        directions: int | None = None,
    ) -> Samples:
        """A run; `directions`: that the weights are expected to see, where that is known."""
        sampling = self._settling_sampling if late else self.sampling
        sampling = sampling.for_steps(steps, directions)
        return draw_repetitions(
            lambda plan, numbers: self.setting.moments(plan, numbers, steps, trajectories),
            sampling,
            self.setting.unit_bytes(sampling, steps, trajectories),
            late_readings if late else all_readings,
        )

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start, with standard errors."""
        drawn = self._moments(steps, 2, late=False)
        values: dict[str, dict[str, Array]] = {}
        errors: dict[str, dict[str, Array]] = {}
        for kind, read in READ.items():
            pairs = estimate(drawn, read)
            values[kind] = {n: m for n, (m, _) in pairs.items()}
            errors[kind] = {n: e for n, (_, e) in pairs.items()}
        status, second = check(drawn), values["second_moment"]
        if any(not (v < _HUGE).all() for v in second.values()):
            status = Status.DIVERGES
        return Trajectory(
            tying=self.tying,
            steps=steps,
            **values,
            error=errors,
            error_kind=STANDARD_ERROR,
            method=self.method,
            units=drawn.sampling.total,
            **trajectory_status(second, status),
        )

    @property
    def _stationary_sampling(self) -> Sampling:
        """Fewer units where nothing was asked: what is stationary is averaged over time as well."""
        sampling = self.sampling
        if sampling.work is None or sampling.total <= _AVERAGED:
            return sampling
        return sampling.of(_AVERAGED // sampling.repetitions, sampling.repetitions)

    @property
    def _settling_sampling(self) -> Sampling:
        """Fewer still for moments, of which every unit is an average over a quarter of a run."""
        sampling = self._stationary_sampling
        if sampling.work is None or sampling.total < _AVERAGED:
            return sampling
        fewer = sampling.of(sampling.per_repetition // _SETTLING, sampling.repetitions)
        return replace(fewer, work=sampling.work / _SETTLING)

    # --- stationary values ---------------------------------------------------------------------

    @cached_property
    def _stationary(self) -> _Settled:
        """One trajectory, for what does not need two."""
        return self._settle(1)

    @cached_property
    def _stationary_pair(self) -> _Settled:
        """Two trajectories whose cross moments have settled as well."""
        return self._settle(2, self._stationary.steps)

    def _settle(self, trajectories: int, steps: int = _FIRST_STEPS) -> _Settled:
        """Prolong the run until the moments have settled.

        Raises:
            ConvergenceError: they grow without bound (DIVERGES), or so slowly to their limit that
                the longest run cannot tell (MAX_STEPS).
        """
        directions = None
        while True:
            drawn = self._moments(steps, trajectories, True, directions)
            series = second = second_moments(drawn.values)
            if any(not (v < _HUGE).all() for v in second.values()):
                raise ConvergenceError(Status.DIVERGES)
            if trajectories == 2:
                series = second | {f"cross/{n}": v for n, v in cross_moments(drawn.values).items()}
            found = {n: settling(v) for n, v in series.items()}
            remaining = {n: s.remaining for n, s in found.items()}
            if all(s.settled for s in found.values()):
                return _Settled(drawn, steps, check(drawn), remaining)
            # A process that comes to rest shows its weights few directions: it can go on for long.
            directions = 2 * int(drawn.values["check/directions"].max())
            work = FEWEST * 2.0 * steps * directions
            if steps >= _MOST_STEPS or work > _MOST_WORK:
                endless = [found[n] for n in second if found[n].ratio >= _ENDLESS]
                if endless:
                    slow = all(s.slowing for s in endless)
                    status = Status.MAX_STEPS if slow else Status.DIVERGES
                    raise ConvergenceError(
                        status, f"Still growing, and hardly slower, after {steps} steps."
                    )
                return _Settled(drawn, steps, Status.MAX_STEPS, remaining)
            steps *= 2

    def fixed_point(self) -> FixedPoint:
        """Stationary second moments and preactivation variances, reached from the start.

        The zero state of a cell without bias and input is stationary; it is stable where a
        perturbation of it decays.
        """
        at = self._stationary
        kinds = ("second_moment", "mean", "preactivation_variance")
        found = {k: at.late(READ[k]) for k in kinds}
        errors = {k: {n: float(e) for n, (_, e) in names.items()} for k, names in found.items()}
        for name, more in at.remaining.items():
            errors["second_moment"][name] = math.hypot(errors["second_moment"][name], more)
        second, mean, q = ({n: float(v) for n, (v, _) in found[k].items()} for k in kinds)
        status = at.status
        if not any(second.values()) and float(self.gradient_growth()) > 0.0:
            status = Status.UNSTABLE
        return FixedPoint(
            tying=self.tying,
            second_moment=second,
            mean=mean,
            preactivation_variance=q,
            slope=None,
            stable=status is not Status.UNSTABLE,
            error=max(errors["second_moment"].values()),
            status=status,
            method=self.method,
            errors=errors,
            units=at.samples.sampling.total,
            error_kind=STANDARD_ERROR,
        )

    def fixed_points(self) -> list[FixedPoint]:
        """The fixed point reached from the start: sampling follows the process, not its roots."""
        return [self.fixed_point()]

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """Stationary correlation of two trajectories; `slope` is that of the map at c*: chi(c*).

        Two trajectories of the same inputs stay equal, c* = 1; where a perturbation grows the
        status is UNSTABLE.

        Raises:
            ConvergenceError: the moments diverge, or the stationary state is zero.
        """
        at = self._stationary_pair
        second = at.late(second_moments)
        require_variance(
            {n: v for n, (v, _) in second.items()},
            {n: math.hypot(float(e), at.remaining[n]) for n, (_, e) in second.items()},
        )
        found, cross = at.late(correlations), at.late(cross_moments)
        growth = self._cross_growth
        slope = math.exp(growth.value)
        errors = {
            "correlation": {
                n: math.hypot(float(e), at.remaining[f"cross/{n}"] / float(second[n][0]))
                for n, (_, e) in found.items()
            },
            "cross_moment": {
                n: math.hypot(float(e), at.remaining[f"cross/{n}"]) for n, (_, e) in cross.items()
            },
        }
        status = at.status if growth.status is Status.OK else growth.status
        if status is Status.OK and self.setting.coincides and growth.value > growth.error:
            status = Status.UNSTABLE
        return CorrelationFixedPoint(
            tying=self.tying,
            correlation={n: float(v) for n, (v, _) in found.items()},
            cross_moment={n: float(v) for n, (v, _) in cross.items()},
            slope=slope,
            error=max(errors["correlation"].values()),
            status=status,
            errors=errors,
            slope_error=growth.error * slope,
            units=at.samples.sampling.total,
            error_kind=STANDARD_ERROR,
        )

    def timescales(self) -> Timescales:
        """xi_q from the approach to stationarity, xi_c = -1 / log chi(c*), chi_1 = exp(growth).

        An approach that is over before it can be measured (a vanilla RNN's takes a few steps) has
        a timescale between 0 and what its steps allow: its middle is given, its half is the error.
        A state that is zero relaxes as its perturbations do: xi_q = -1 / growth.
        """
        at, growth, cross = self._stationary, self.gradient_growth(), self._cross_growth
        chi_1 = math.exp(float(growth))
        if any(float(v) > 0 for v, _ in at.late(second_moments).values()):
            xi_q, error_q = _timescale(self._approach(at))
        else:
            xi_q, error_q = _timescale(Rate(-float(growth), float(growth.error), True))
        xi_c = *_timescale(Rate(-float(cross.value), float(cross.error), True)), cross.status
        if not all(defined(v) for v, _ in at.late(second_moments).values()):
            xi_c = NO_CORRELATION_TIME
        found = {
            "xi_q": (xi_q, error_q, at.status),
            "xi_c": xi_c,
            "chi_1": (chi_1, chi_1 * float(growth.error), growth.status),
        }
        return Timescales.of(self.tying, found, STANDARD_ERROR)

    def _approach(self, at: _Settled) -> Rate:
        """The slowest rate at which a second moment becomes stationary, over the states."""
        series = second_moments(at.samples.values).values()
        rates = [decay_rate(v, at.steps // 4) for v in series]
        return min([r for r in rates if r.resolved] or rates, key=lambda r: r.value)

    # --- memory --------------------------------------------------------------------------------

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) of every state and preactivation after `burn_in` steps (as many as it takes)."""
        settled = Status.OK
        if burn_in is None:
            burn_in, settled = self._stationary.steps, self._stationary.status
        steps = burn_in + lags + 1
        names = len(self.cell.states) + len(self.cell.preactivations)
        sampling = self._stationary_sampling.for_steps(steps)
        unit = self.setting.unit_bytes(sampling, steps, 1) + 8 * names * (lags + 1)
        drawn = draw_repetitions(
            lambda plan, numbers: self.setting.autocorrelations(plan, numbers, burn_in, lags),
            sampling,
            unit,
            lag_readings,
        )
        series = named(drawn.values, "lag")
        pairs = estimate(drawn, lambda values: named(values, "lag"))
        times = {n: memory_time(v) for n, v in series.items()}
        return Autocorrelation(
            tying=self.tying,
            lags=lags,
            value={n: v for n, (v, _) in pairs.items()},
            error={n: e for n, (_, e) in pairs.items()},
            timescale={n: t for n, (t, _) in times.items()},
            timescale_error={n: e for n, (_, e) in times.items()},
            status=settled if settled is not Status.OK else check(drawn),
            error_kind=STANDARD_ERROR,
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
        self, sampling: Sampling, horizon: int, burn_in: int, trajectories: int = 1
    ) -> Samples:
        steps = burn_in + horizon
        sampling = sampling.for_steps(steps)
        sides = (0, trajectories - 1)
        return draw_repetitions(
            lambda plan, numbers: self.setting.tangents(
                plan, numbers, burn_in, horizon, trajectories
            ),
            sampling,
            self.setting.unit_bytes(sampling, steps, trajectories, horizon, sides),
            gradient_readings,
        )

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T) for T = 1, .., horizon, in one run."""
        drawn = self._tangents(horizon, burn_in)
        value, error = estimate(drawn, lambda values: {"m_1": values["m_1"][:, :horizon]})["m_1"]
        name = f"mean of J J^T, horizons 1 to {horizon}, {self.tying}"
        status = check(drawn)
        if status is Status.OK and not decided_by_many(drawn.values, horizon):
            status = Status.NOT_CONVERGED
        return Quantity(name, value, error, status, error_kind=STANDARD_ERROR)

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """m_1 of the T-step Jacobian that starts after burn_in steps from the zero state."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "the sampled solver knows m_1 of the Jacobian; m_2 and higher need its spectrum"
                )
            found = self.jacobian_means(horizon, burn_in)
            return found.value[-1:], found.error[-1:], found.status

        return JacobianMoments(self.tying, horizon, self.method, compute, "standard error")

    @cached_property
    def _growth(self) -> GrowthFound:
        """Perturbations of the stationary process."""
        steps = self._stationary.steps
        return search_growth(
            lambda plan, horizon: self._drawn_tangents(plan, horizon, steps),
            self._stationary_sampling,
            tied=self.tying == "tied",
            settled=steps,
        )

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), bracketed from finite T: see `growth_limit`.

        Without a tolerance T is increased until the bracket is narrower than .002 to either side.
        """
        return self._growth_of("gradient growth", self._growth, self._stationary)

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """The same from one run of T <= horizon that starts after burn_in steps."""
        drawn = self._tangents(horizon, burn_in)
        limit, status = limit_of(drawn, horizon, self.tying == "tied"), check(drawn)
        if status is Status.OK and not decided_by_many(drawn.values, horizon):
            status = Status.NOT_CONVERGED
        return Quantity(
            f"gradient growth within {horizon} steps ({self.tying})",
            limit.value,
            limit.error,
            status,
            unit="per step",
            error_kind="standard error",
        )

    @cached_property
    def _cross_growth(self) -> Quantity:
        """log chi(c*): perturbations of the cross moments of two stationary trajectories."""
        if self.setting.coincides:
            return self.gradient_growth()
        at = self._stationary_pair
        found = search_cross_growth(
            lambda plan, horizon: self._drawn_tangents(plan, horizon, at.steps, 2),
            self._stationary_sampling,
            tied=self.tying == "tied",
            settled=at.steps,
        )
        return self._growth_of("growth of cross moments", found, at)

    def _growth_of(self, name: str, found: GrowthFound, at: _Settled) -> Quantity:
        return Quantity(
            f"{name} ({self.tying})",
            found.limit.value,
            found.limit.error,
            found.status if at.status is Status.OK else at.status,
            unit="per step",
            error_kind=STANDARD_ERROR,
        )


def _timescale(rate: Rate) -> tuple[float, float]:
    """1 / rate in steps, and its error; for a lower bound of the rate the middle of what is left.

    The error is what the rate moves by its own error change: one-sided where that reaches 0.
    """
    if not rate.resolved:
        return 0.5 / rate.value, 0.5 / rate.value
    if rate.value <= 0:
        return math.inf, math.inf
    xi = 1.0 / rate.value
    slower = rate.value - rate.error
    return xi, 1.0 / slower - xi if slower > 0 else math.inf
