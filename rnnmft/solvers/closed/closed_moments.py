"""The untied solver of cells whose moments close: quadrature, no sampling [chen2018].

Eq. (affine), Eq. (affine-pair), Eq. (xi), Eq. (growth).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from rnnmft.correlation import correlation_error, require_variance
from rnnmft.errors import ConvergenceError, ParameterError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backend import Backend
from rnnmft.records import Quantity
from rnnmft.solvers.closed.cross_fixed_points import CrossRoot, cross_roots, late_cross
from rnnmft.solvers.closed.evolution import columns, evolve
from rnnmft.solvers.closed.fixed_points import Root, reached_from, roots
from rnnmft.solvers.closed.homogeneous import scale_free
from rnnmft.solvers.closed.jacobian import closed_jacobian
from rnnmft.solvers.closed.recursion import Array, Point, point_of, untied_recursion
from rnnmft.solvers.closed.sensitivity import (
    averages_with_error,
    means_with_error,
    moved,
    radius,
    step_with_error,
)
from rnnmft.solvers.closed.start import start_moments
from rnnmft.solvers.gradient_means import means_one_by_one
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import CorrelationFixedPoint, FixedPoint, Timescales, Trajectory
from rnnmft.solvers.timescale import NO_CORRELATION_TIME, timescale, timescale_error

__all__ = ["ClosedMoments"]


# A slope this near to 1 cannot be told from it: a hundred times what integrals are computed to
# (`quadrature.RTOL`), since a slope is a sum of such and a root's error moves it.
_MARGINAL = 1e-9
_STAYS = "The slope of the moment map is 1: what is there neither decays nor grows."
_ADDS_UP = (
    "But only linearly in time: the network is critical, its variance map has slope 1 everywhere, "
    "and what each step adds stays."
)


class ClosedMoments:
    """Moments of one cell at one ensemble, untied, by quadrature.

    Raises:
        DerivationError: the cell's moments do not close.
        ParameterError: an ensemble of another cell; an elementwise input with a given
            autocorrelation (its untied recursion needs the whole past).
    """

    method = "closed moments"
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
        if cell.input is not None and not isinstance(inputs.temporal, str):
            raise ParameterError(
                "temporal: the untied theory of a cell whose input enters elementwise knows "
                "'white' and 'constant' inputs; a given autocorrelation needs tying='tied'"
            )
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.recursion = untied_recursion(cell, inputs.temporal == "constant", backend)
        self.recursion.require_closed()
        self.point: Point = point_of(self.recursion.derivation, ensemble, inputs)
        moments, cross = start_moments(self.recursion, start or {}, self.point)
        self._start = moments[:, 0], cross[:, 0]

    @property
    def memory(self) -> None:
        """None: moments at one time do not say how a unit remembers."""

    # --- trajectories --------------------------------------------------------------------------

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start."""
        return evolve(self.recursion, self._start, self.point, steps)

    # --- fixed points --------------------------------------------------------------------------

    @cached_property
    def _roots(self) -> list[Root]:
        return roots(self.recursion, self.point)

    @cached_property
    def _reached(self) -> tuple[Root | None, Status]:
        return reached_from(self.recursion, self.point, self._roots, self._start[0])

    def _attractor(self) -> Root:
        found, status = self._reached
        if found is None:
            raise ConvergenceError(status, self._at_the_edge())
        return found

    def _at_the_edge(self) -> str:
        """What there is to say where the slope of the moment map is 1; else nothing."""
        if any(abs(r.slope - 1.0) <= _MARGINAL for r in self._roots):
            return _STAYS
        return "" if self._neutral is None else _ADDS_UP

    @cached_property
    def _neutral(self) -> Root | None:
        """Any moments, where slopes are the same at all and the map's is 1; else None."""
        if not scale_free(self.cell, self.ensemble):
            return None
        moments = np.ones(len(self.recursion.keys))
        slope = float(radius(self.recursion.slope(moments[:, None], self.point))[0])
        if abs(slope - 1.0) > _MARGINAL:
            return None
        return Root(moments, slope, np.zeros(len(moments)))

    @cached_property
    def _linearised(self) -> tuple[Root, Status]:
        """Where slopes are taken: the fixed point; anywhere, if moments grow linearly.

        They are what they are at an unstable fixed point, too.
        """
        found, status = self._reached
        if found is None and self._neutral is not None:
            return self._neutral, Status.OK
        return self._attractor(), Status.OK if status is Status.UNSTABLE else status

    def _fixed_point(self, at: Root, status: Status) -> FixedPoint:
        square, _ = columns(self.recursion)
        setting = self.recursion, at.moments, at.errors, self.point
        means, mean_errors = means_with_error(*setting)
        averages, average_errors = averages_with_error(*setting)
        step = step_with_error(*setting)
        slope, slope_error = self._radius(self.recursion.slope, at)

        def by_state(values: Array) -> dict[str, float]:
            return {s: float(v) for s, v in zip(square, values, strict=True)}

        def by_preactivation(values: Array) -> dict[str, float]:
            return {p.name: float(v) for p, v in zip(self.cell.preactivations, values, strict=True)}

        def by_average(values: Array) -> dict[str, float]:
            return {m.name: float(v) for m, v in zip(self.cell.averages, values, strict=True)}

        second = list(square.values())
        return FixedPoint(
            tying="untied",
            second_moment=by_state(at.moments[second]),
            mean=by_state(means),
            preactivation_variance=by_preactivation(step.q),
            average=by_average(averages),
            slope=at.slope,
            stable=at.stable,
            error=at.error,
            status=status,
            errors={
                "second_moment": by_state(at.errors[second]),
                "mean": by_state(mean_errors),
                "preactivation_variance": by_preactivation(step.q_error),
                "average": by_average(average_errors),
            },
            moments=at.moments,
            # The root's own slope is that beside a kink.
            slope_error=slope_error + abs(slope - at.slope),
        )

    def fixed_points(self) -> list[FixedPoint]:
        """All fixed points, stable or not, by increasing second moment."""
        return [
            self._fixed_point(r, r.status if r.stable else Status.UNSTABLE) for r in self._roots
        ]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the start approaches; UNSTABLE where it merely stays there.

        Raises:
            ConvergenceError: the second moment diverges, or nothing stable was found.
        """
        return self._fixed_point(self._attractor(), self._reached[1])

    @cached_property
    def _cross(self) -> tuple[CrossRoot, list[CrossRoot]]:
        """The stationary cross moments that two trajectories approach, and all there are."""
        at = self._attractor()
        square, _ = columns(self.recursion)
        require_variance(
            {s: at.moments[i] for s, i in square.items()},
            {s: at.errors[i] for s, i in square.items()},
        )
        found = cross_roots(self.recursion, self.point, at.moments, at.errors)
        stable = [r for r in found if r.slope < 1.0]
        if not stable:
            raise ConvergenceError(Status.NO_FIXED_POINT, "No stable correlation.")
        if len(stable) == 1:
            return stable[0], found
        end = late_cross(self.recursion, self.point, *self._start)
        return min(stable, key=lambda r: float(np.abs(r.cross - end).max())), found

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stable stationary correlation that two trajectories approach.

        Raises:
            ConvergenceError: no fixed point of the moments, or a zero variance.
        """
        chosen, found = self._cross
        square, pair = columns(self.recursion)
        at = self._attractor()

        def correlations(root: CrossRoot) -> dict[str, float]:
            return {s: float(root.cross[pair[s]] / at.moments[square[s]]) for s in pair}

        def errors(root: CrossRoot) -> dict[str, float]:
            return {
                s: float(
                    correlation_error(
                        root.cross[pair[s]], at.moments[i], root.errors[pair[s]], at.errors[i]
                    )
                )
                for s, i in square.items()
            }

        others = [r for r in found if r is not chosen]
        own = errors(chosen)
        return CorrelationFixedPoint(
            tying="untied",
            correlation=correlations(chosen),
            cross_moment={s: float(chosen.cross[i]) for s, i in pair.items()},
            slope=chosen.slope,
            error=max(own.values()),
            status=self._reached[1],
            others=tuple((correlations(r), r.slope) for r in others),
            errors={
                "correlation": own,
                "cross_moment": {s: float(chosen.errors[i]) for s, i in pair.items()},
            },
            slope_error=chosen.slope_error,
            other_errors=tuple((errors(r), r.slope_error) for r in others),
        )

    # --- timescales and gradients --------------------------------------------------------------

    def _radius(
        self, matrices: Callable[[Array, Point], Array], at: Root | None = None
    ) -> tuple[float, float]:
        """A spectral radius and its error, at a fixed point: that where slopes are taken."""
        root = self._linearised[0] if at is None else at
        value, error = moved(lambda m: radius(matrices(m, self.point)), root.moments, root.errors)
        return float(value), float(error) + self.recursion.rtol * float(value)

    @cached_property
    def _chi_1(self) -> tuple[float, float]:
        """Slope at c = 1 with identical inputs: there E[(s_a - s_b)^2] is the tangent process."""
        return self._radius(self.recursion.tangent)

    def timescales(self) -> Timescales:
        """xi_q, xi_c in steps, and chi_1.

        Where the second moment grows linearly (`homogeneous`), nothing is forgotten.
        """
        slope, slope_error = self._radius(self.recursion.slope)
        chi_1 = *self._chi_1, self._linearised[1]
        if self._reached[0] is None:
            never = math.inf, 0.0, Status.OK
            return Timescales.of("untied", {"xi_q": never, "xi_c": never, "chi_1": chi_1})
        status = self._reached[1]
        found = {
            "xi_q": (timescale(slope), timescale_error(slope, slope_error), status),
            "xi_c": self._correlation_time(status),
            "chi_1": chi_1,
        }
        return Timescales.of("untied", found)

    def _correlation_time(self, status: Status) -> tuple[float, float, Status]:
        """xi_c, its error and status; nan where the stationary state is zero.

        Raises:
            ConvergenceError: there is a variance, and no stable correlation.
        """
        try:
            chosen, _ = self._cross
        except ConvergenceError as error:
            if error.status is not Status.UNDEFINED:
                raise
            return NO_CORRELATION_TIME
        slope = chosen.slope
        return timescale(slope), timescale_error(slope, chosen.slope_error), status

    def gradient_growth(self) -> Quantity:
        """log of the tangent operator's leading eigenvalue, per step."""
        growth, error = self._chi_1
        value = math.log(growth) if growth > 0 else -math.inf
        relative = error / growth if growth > 0 else 0.0
        status = self._linearised[1]
        return Quantity("gradient growth (untied)", value, relative, status, "per step")

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """`gradient_growth`, which needs no run."""
        return self.gradient_growth()

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon, at stationarity."""
        return means_one_by_one(lambda T: self.jacobian_moments(T, burn_in).mean, horizon)

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """Moments of the T-step J J^T: every m_k for T = 1; m_1 for any T."""
        at, status = self._linearised
        weights = {p.name: self.ensemble[p.name].weights for p in self.cell.preactivations}
        return closed_jacobian(self.recursion, weights, self.point, at, status, horizon)
