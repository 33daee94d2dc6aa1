"""The untied solver of cells nonlinear in an accumulated state: deterministic transport of its law.

No sampling: the law of c is moved on a spectral grid (`law_grid`), the readouts' second moments
follow, and every answer is computed at two resolutions whose difference is its error estimate.

Eq. (transport).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import correlation, correlation_error, ratio_errors
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.solvers.gradient_means import means_one_by_one
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import (
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
    trajectory_status,
)
from rnnmft.solvers.timescale import NO_CORRELATION_TIME, timescale, timescale_error
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, Joint, OneLaw
from rnnmft.solvers.transport.accumulated_tangent import (
    tangent_operator,
    tangent_shares,
    tangent_start,
)
from rnnmft.solvers.transport.start import start_law, start_pair
from rnnmft.solvers.transport.stationary_laws import COARSE, Level, StationaryLaws
from rnnmft.solvers.transport.stationary_pair import stationary_pair

__all__ = ["TransportedLaw"]

Array = NDArray[np.float64]
# Of moments: 50 eps, since two levels may agree by accident.
_ROUNDING = 1e-14
# For one trajectory on its way; its error is the difference from the finer level of two.
_ONE: Level = (96, 16)
# For two trajectories, whose law has the square of the points: 72^2 numbers, moved by 72^3
# operations a singular vector. Their difference is the error.
_JOINT: tuple[Level, Level] = ((56, 14), (72, 18))


class TransportedLaw:
    """One cell with an accumulated state at one ensemble, untied, by transport of the state's law.

    Raises:
        DerivationError: the cell is not of this kind.
    """

    method = "transport of the law"
    is_sampled = False
    has_law = True

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        start: Mapping[str, float] | None = None,
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.laws = StationaryLaws(cell, ensemble, inputs, start)

    def model_at(self, size: int, nodes: int) -> AccumulatedModel:
        """The model on a grid of `size` points with `nodes` Gauss nodes a coefficient."""
        return self.laws.model((size, nodes))

    @property
    def recursion(self) -> None:
        """None: moments do not close."""

    @property
    def memory(self) -> None:
        """None: a law at one time does not say how a unit remembers."""

    # --- trajectories --------------------------------------------------------------------------

    def _history(self, steps: int, level: Level, joint_level: Level) -> dict[str, dict[str, Array]]:
        """Every moment at every step: {kind: {name: (steps,)}}."""
        model = self.laws.model(level)
        joint_model = self.laws.model(joint_level)
        start = self.laws.start
        at, pair_at = start_law(model, start), start_law(joint_model, start)
        joint = start_pair(joint_model, start, self.inputs.correlation)
        rows: list[dict[str, Mapping[str, float]]] = []
        for _ in range(steps):
            after, pair_after = model.advance(at), joint_model.advance(pair_at)
            new = after.second[model.form.state.name]
            joint_after = joint_model.advance_joint(joint, pair_at, pair_after)
            new_joint = joint_after.cross[model.form.state.name]
            q = model.variances(at.second, new)
            qab = model.variances(joint.cross, new_joint, self.inputs.correlation)
            rows.append(
                {
                    "second_moment": after.second,
                    "cross_moment": joint_after.cross,
                    "mean": after.mean,
                    "preactivation_variance": q,
                    "preactivation_covariance": qab,
                }
            )
            at, pair_at, joint = after, pair_after, joint_after
        return {
            kind: {name: np.array([row[kind][name] for row in rows]) for name in names}
            for kind, names in rows[0].items()
        }

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the start."""
        fine = self._history(steps, _ONE, _JOINT[1])
        coarse = self._history(steps, _JOINT[1], _JOINT[0])
        second, cross = fine["second_moment"], fine["cross_moment"]
        error = {
            kind: {n: np.abs(fine[kind][n] - coarse[kind][n]) + _ROUNDING for n in fine[kind]}
            for kind in fine
        }
        return Trajectory(
            tying="untied",
            steps=steps,
            correlation={s: correlation(cross[s], v) for s, v in second.items()},
            error={**error, "correlation": ratio_errors(second, cross, error)},
            method=self.method,
            second_moment=second,
            cross_moment=cross,
            mean=fine["mean"],
            preactivation_variance=fine["preactivation_variance"],
            preactivation_covariance=fine["preactivation_covariance"],
            **trajectory_status(second, Status.OK),
        )

    # --- fixed points --------------------------------------------------------------------------

    def _fixed_point(self, index: int) -> FixedPoint:
        law, error, level = self.laws.points[index]
        model, slope = self.laws.model(level), self.laws.slopes[index]
        q = model.variances(law.second, law.second[model.form.state.name])
        status = Status.OK if self.laws.met(index) else Status.NOT_CONVERGED
        squares = {p.name: self.ensemble[p.name].sigma_w ** 2 for p in self.cell.preactivations}
        return FixedPoint(
            tying="untied",
            second_moment=dict(law.second),
            mean=dict(law.mean),
            preactivation_variance=q,
            slope=slope,
            stable=slope < 1.0,
            error=error,
            status=status if slope < 1.0 else Status.UNSTABLE,
            method=self.method,
            errors={
                "second_moment": dict.fromkeys(law.second, error),
                "mean": {s: self._mean_error(index, s) for s in law.mean},
                # q is linear in the second moment that it sees.
                "preactivation_variance": {n: w * error for n, w in squares.items()},
            },
            slope_error=self.laws.slope_error(index),
        )

    def _mean_error(self, index: int, state: str) -> float:
        """By how much less resolution moves E[s]."""
        law, error, _ = self.laws.points[index]
        coarse = self.laws.model_of(law, COARSE).stationary(law.second).mean[state]
        return abs(law.mean[state] - coarse) + error

    def fixed_points(self) -> list[FixedPoint]:
        """Every fixed point found, by increasing second moment."""
        return [self._fixed_point(i) for i in range(len(self.laws.points))]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the start approaches; UNSTABLE where it merely stays there."""
        return self._reached_point

    @cached_property
    def _reached_point(self) -> FixedPoint:
        return self._fixed_point(self.laws.attractor)

    # --- two trajectories ----------------------------------------------------------------------

    @cached_property
    def _pair(self) -> tuple[Joint, Joint, OneLaw, float, float]:
        """Finer and coarser pair, the law, the rate of approach and that rate's error."""
        (coarse, _, rough), (joint, at, rate) = (
            stationary_pair(self.laws, level) for level in _JOINT
        )
        return joint, coarse, at, rate, abs(rate - rough)

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation that two runs approach."""
        joint, coarse, at, rate, rate_error = self._pair
        cross_error = {s: abs(v - coarse.cross[s]) for s, v in joint.cross.items()}
        second_error = self.laws.reached[1]
        errors = {
            s: float(correlation_error(joint.cross[s], v, cross_error[s], second_error))
            for s, v in at.second.items()
        }
        return CorrelationFixedPoint(
            tying="untied",
            correlation={s: joint.cross[s] / at.second[s] for s in at.second},
            cross_moment=dict(joint.cross),
            slope=rate,
            error=max(errors.values()),
            errors={"correlation": errors, "cross_moment": cross_error},
            slope_error=rate_error,
        )

    def timescales(self) -> Timescales:
        """xi_q and xi_c from the rates of approach; chi_1 = exp(gradient growth)."""
        growth, status = self.gradient_growth(), self._reached_point.status
        chi_1 = math.exp(float(growth))
        found = {
            "xi_q": self.relaxation_time(),
            "xi_c": self._correlation_time(status),
            "chi_1": (chi_1, chi_1 * math.expm1(float(growth.error)), growth.status),
        }
        return Timescales.of("untied", found)

    def relaxation_time(self) -> tuple[float, float, Status]:
        """xi_q, its error and status: without the two trajectories that `timescales` asks for."""
        index = self.laws.attractor
        slope, error = self.laws.slopes[index], self._reached_point.slope_error or 0.0
        return timescale(slope), timescale_error(slope, error), self._reached_point.status

    def _correlation_time(self, status: Status) -> tuple[float, float, Status]:
        """xi_c, its error and status; nan where the stationary state is zero."""
        try:
            *_, rate, error = self._pair
        except ConvergenceError as failed:
            if failed.status is not Status.UNDEFINED:
                raise
            return NO_CORRELATION_TIME
        return timescale(rate), timescale_error(rate, error), status

    # --- gradients -----------------------------------------------------------------------------

    def _operator(self, finer: bool) -> tuple[AccumulatedModel, OneLaw, Array]:
        law, _, level = self.laws.reached
        model = self.laws.model_of(law, level if finer else COARSE)
        at = model.stationary(law.second)
        return model, at, tangent_operator(model, at)

    @cached_property
    def _operators(self) -> list[tuple[AccumulatedModel, OneLaw, Array]]:
        return [self._operator(finer) for finer in (False, True)]

    def gradient_growth(self) -> Quantity:
        """log of the tangent operator's leading eigenvalue, per step."""
        with np.errstate(divide="ignore"):
            coarse, fine = (
                float(np.log(np.abs(np.linalg.eigvals(m)).max())) for _, _, m in self._operators
            )
        error = 0.0 if fine == coarse else abs(fine - coarse)  # both -inf: no path at all
        return Quantity("gradient growth (untied)", fine, error, unit="per step")

    def growth_within(self, horizon: int, burn_in: int) -> Quantity:
        """`gradient_growth`, which needs no run."""
        return self.gradient_growth()

    def jacobian_means(self, horizon: int, burn_in: int) -> Quantity:
        """m_1(T), T = 1, .., horizon, at stationarity."""
        return means_one_by_one(lambda T: self.jacobian_moments(T, burn_in).mean, horizon)

    def jacobian_moments(self, horizon: int, burn_in: int) -> JacobianMoments:
        """m_1 of the T-step J J^T at stationarity."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "transport of the law knows m_1 of the Jacobian; more needs its spectrum"
                )
            values = []
            for model, at, operator in self._operators:
                vector = np.linalg.matrix_power(operator, horizon) @ tangent_start(model, at)
                values.append(float(tangent_shares(model) @ vector))
            coarse, fine = values
            return np.array([fine]), np.array([abs(fine - coarse)]), Status.OK

        return JacobianMoments("untied", horizon, self.method, compute)
