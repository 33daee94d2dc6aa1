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
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import defined, require_variance
from rnnmft.errors import DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import STANDARD_ERROR, Quantity
from rnnmft.sampling import Sampling
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
from rnnmft.solvers.sampled.drawing import Drawing
from rnnmft.solvers.sampled.growth_search import (
    GrowthFound,
    limit_of,
    search_cross_growth,
    search_growth,
)
from rnnmft.solvers.sampled.readings import (
    READ,
    correlations,
    cross_moments,
    named,
    second_moments,
)
from rnnmft.solvers.sampled.relaxation import Rate, slowest_rate, timescale_of
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.stationary import HUGE, Settled
from rnnmft.solvers.timescale import NO_CORRELATION_TIME
from rnnmft.units.repetitions import estimate

__all__ = ["SampledUnits"]

Array = NDArray[np.float64]


class SampledUnits:
    """One cell at one ensemble, tied or untied, by sampling units of the infinite-width process."""

    method = "sampled units"
    is_sampled = True
    has_law = False

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
        self.drawing = Drawing(self.setting, sampling)
        # Whatever cannot be sampled is refused now, not at the first number.
        self.setting.process(sampling.of(16, 2), range(1), 1)

    @property
    def recursion(self) -> None:
        """None: units are followed, not moments."""

    @property
    def memory(self) -> SampledUnits:
        """Itself."""
        return self

    # --- trajectories --------------------------------------------------------------------------

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start, with standard errors."""
        drawn = self.drawing.moments(self.setting, steps, 2, late=False)
        values: dict[str, dict[str, Array]] = {}
        errors: dict[str, dict[str, Array]] = {}
        for kind, read in READ.items():
            pairs = estimate(drawn, read)
            values[kind] = {n: m for n, (m, _) in pairs.items()}
            errors[kind] = {n: e for n, (_, e) in pairs.items()}
        status, second = check(drawn), values["second_moment"]
        if any(not (v < HUGE).all() for v in second.values()):
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

    # --- stationary values ---------------------------------------------------------------------

    def fixed_point(self) -> FixedPoint:
        """Stationary second moments and preactivation variances, reached from the start.

        The zero state of a cell without bias and input is stationary; it is stable where a
        perturbation of it decays.
        """
        at = self.drawing.stationary
        kinds = ("second_moment", "mean", "preactivation_variance", "average")
        found = {k: at.late(READ[k]) for k in kinds}
        errors = {k: {n: float(e) for n, (_, e) in names.items()} for k, names in found.items()}
        for name, more in at.remaining.items():
            errors["second_moment"][name] = math.hypot(errors["second_moment"][name], more)
        second, mean, q, average = ({n: float(v) for n, (v, _) in found[k].items()} for k in kinds)
        status = at.status
        if not any(second.values()) and float(self.gradient_growth()) > 0.0:
            status = Status.UNSTABLE
        return FixedPoint(
            tying=self.tying,
            second_moment=second,
            mean=mean,
            preactivation_variance=q,
            average=average,
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
        at = self.drawing.stationary_pair
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
        at, growth, cross = self.drawing.stationary, self.gradient_growth(), self._cross_growth
        chi_1 = math.exp(float(growth))
        if any(float(v) > 0 for v, _ in at.late(second_moments).values()):
            xi_q, error_q = timescale_of(
                slowest_rate(second_moments(at.samples.values), at.steps // 4)
            )
        else:
            xi_q, error_q = timescale_of(Rate(-float(growth), float(growth.error), True))
        xi_c = *timescale_of(Rate(-float(cross.value), float(cross.error), True)), cross.status
        if not all(defined(v) for v, _ in at.late(second_moments).values()):
            xi_c = NO_CORRELATION_TIME
        found = {
            "xi_q": (xi_q, error_q, at.status),
            "xi_c": xi_c,
            "chi_1": (chi_1, chi_1 * float(growth.error), growth.status),
        }
        return Timescales.of(self.tying, found, STANDARD_ERROR)

    # --- memory --------------------------------------------------------------------------------

    def autocorrelation(self, lags: int, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) of every state and preactivation after `burn_in` steps (as many as it takes).

        Where the inputs are data, at their last step.
        """
        settled, data = Status.OK, self.inputs.data
        if burn_in is None:
            if data is None:
                burn_in, settled = self.drawing.stationary.steps, self.drawing.stationary.status
            else:
                burn_in = max(data.steps - lags - 1, 0)
        drawn = self.drawing.autocorrelations(burn_in, lags)
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

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T) for T = 1, .., horizon, in one run."""
        drawn = self.drawing.tangents(horizon, burn_in)
        value, error = estimate(drawn, lambda values: {"m_1": values["m_1"][:, :horizon]})["m_1"]
        name = f"mean of J J^T, horizons 1 to {horizon}, {self.tying}"
        status = check(drawn)
        if status is Status.OK and not decided_by_many(drawn.values, horizon):
            status = Status.NOT_CONVERGED
        return Quantity(name, value, error, status, error_kind=STANDARD_ERROR)

    def jacobian_blocks(self, horizon: int, burn_in: int) -> Quantity:
        """Mean squares of the blocks of the Jacobian, (horizon, m, m)."""
        drawn = self.drawing.blocks(horizon, burn_in)
        value, error = estimate(drawn, lambda values: {"block": values["block"]})["block"]
        name = f"mean squares of the blocks of J, horizons 1 to {horizon}, {self.tying}"
        return Quantity(name, value, error, check(drawn), error_kind=STANDARD_ERROR)

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
        steps = self.drawing.settled_few.steps
        found = search_growth(
            lambda plan, horizon: self.drawing.drawn_tangents(plan, horizon, steps),
            self.drawing.stationary_sampling,
            self.drawing.sampling_of_few,
            tied=self.tying == "tied",
            settled=steps,
        )
        self.setting.kept.release()
        return found

    def gradient_growth(self) -> Quantity:
        """lim (1/T) log m_1(T), bracketed from finite T: see `growth_limit`.

        Without a tolerance T is increased until the error is below .002 a step, .001 of an exponent
        (or noise that is worth more units than a first answer takes is most of it).
        """
        return self._growth_of("gradient growth", self._growth, self.drawing.settled_few)

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """The same from one run of T <= horizon that starts after burn_in steps."""
        self.inputs.require_stationary("a limit of growth")
        drawn = self.drawing.tangents(horizon, burn_in)
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
        at = self.drawing.stationary_pair
        found = search_cross_growth(
            lambda plan, horizon: self.drawing.drawn_tangents(
                plan, horizon, at.steps, 2, at.setting
            ),
            self.drawing.stationary_sampling,
            tied=self.tying == "tied",
            settled=at.steps,
        )
        return self._growth_of("growth of cross moments", found, at)

    def _growth_of(self, name: str, found: GrowthFound, at: Settled) -> Quantity:
        return Quantity(
            f"{name} ({self.tying})",
            found.limit.value,
            found.limit.error,
            found.status if at.status is Status.OK else at.status,
            unit="per step",
            error_kind=STANDARD_ERROR,
        )
