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

from rnnmft.errors import DerivationError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.solvers.closed.closed_moments import timescale
from rnnmft.solvers.gradient_means import means_one_by_one
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import CorrelationFixedPoint, FixedPoint, Timescales, Trajectory
from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, Joint, OneLaw
from rnnmft.solvers.transport.accumulated_tangent import (
    tangent_operator,
    tangent_start,
    tangent_total,
)
from rnnmft.solvers.transport.start import start_law, start_pair
from rnnmft.solvers.transport.stationary_laws import COARSE, LEVELS, Level, StationaryLaws
from rnnmft.solvers.transport.stationary_pair import stationary_pair

__all__ = ["TransportedLaw"]

Array = NDArray[np.float64]
# Of moments: 50 eps, since two levels may agree by accident.
_ROUNDING = 1e-14
# A rate below this, in d xi_c = xi_c^2 / rate times its error.
_LEAST_RATE = 1e-12
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
        fine = self._history(steps, LEVELS[0], _JOINT[1])
        coarse = self._history(steps, _JOINT[1], _JOINT[0])
        second = fine["second_moment"]
        correlation = {
            s: np.divide(
                fine["cross_moment"][s], v, out=np.full(steps, np.nan), where=np.asarray(v > 0)
            )
            for s, v in second.items()
        }
        undefined = any(np.isnan(c).all() for c in correlation.values())
        error = {
            kind: {n: np.abs(fine[kind][n] - coarse[kind][n]) + _ROUNDING for n in fine[kind]}
            for kind in fine
        }
        return Trajectory(
            tying="untied",
            steps=steps,
            correlation=correlation,
            error=error,
            status=Status.UNDEFINED if undefined else Status.OK,
            method=self.method,
            second_moment=second,
            cross_moment=fine["cross_moment"],
            mean=fine["mean"],
            preactivation_variance=fine["preactivation_variance"],
            preactivation_covariance=fine["preactivation_covariance"],
        )

    # --- fixed points --------------------------------------------------------------------------

    def _fixed_point(self, index: int) -> FixedPoint:
        law, error, level = self.laws.points[index]
        model, slope = self.laws.model(level), self.laws.slopes[index]
        q = model.variances(law.second, law.second[model.form.state.name])
        status = Status.OK if self.laws.met(index) else Status.NOT_CONVERGED
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
        )

    def fixed_points(self) -> list[FixedPoint]:
        """Every fixed point found, by increasing second moment."""
        return [self._fixed_point(i) for i in range(len(self.laws.points))]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the start approaches; UNSTABLE where it merely stays there."""
        return self._fixed_point(self.laws.attractor)

    # --- two trajectories ----------------------------------------------------------------------

    @cached_property
    def _pair(self) -> tuple[Joint, OneLaw, float, float]:
        (coarse, _, rough), (joint, at, rate) = (
            stationary_pair(self.laws, level) for level in _JOINT
        )
        error = max(
            abs(joint.cross[s] - coarse.cross[s]) / max(at.second[s], np.finfo(float).tiny)
            for s in at.second
        )
        return joint, at, rate, error + abs(rate - rough)

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation that two runs approach."""
        joint, at, rate, error = self._pair
        return CorrelationFixedPoint(
            tying="untied",
            correlation={s: joint.cross[s] / at.second[s] for s in at.second},
            cross_moment=dict(joint.cross),
            slope=rate,
            error=error,
        )

    def timescales(self) -> Timescales:
        """xi_q and xi_c from the rates of approach; chi_1 = exp(gradient growth)."""
        index = self.laws.attractor
        slope, (_, _, rate, error) = self.laws.slopes[index], self._pair
        xi_q, xi_c = timescale(slope), timescale(rate)
        return Timescales(
            tying="untied",
            xi_q=xi_q,
            xi_c=xi_c,
            chi_1=math.exp(float(self.gradient_growth())),
            error={
                "xi_q": xi_q**2 * self.laws.points[index][1],
                "xi_c": xi_c**2 / max(rate, _LEAST_RATE) * error,
            },
            status=self.fixed_point().status,
        )

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
        coarse, fine = (
            math.log(float(np.abs(np.linalg.eigvals(m)).max())) for _, _, m in self._operators
        )
        return Quantity("gradient growth (untied)", fine, abs(fine - coarse), unit="per step")

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
                values.append(tangent_total(model, vector))
            coarse, fine = values
            return np.array([fine]), np.array([abs(fine - coarse)]), Status.OK

        return JacobianMoments("untied", horizon, self.method, compute)
