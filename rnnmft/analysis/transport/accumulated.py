"""The untied solver of cells nonlinear in an accumulated state: deterministic transport of its law.

No sampling: the law of c is moved on a spectral grid (`law_grid`), the readouts' second moments
follow, and every answer is computed at two resolutions whose difference is its error estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, newton, root

from rnnmft.analysis.closed.closed_moments import timescale
from rnnmft.analysis.jacobian import JacobianLaw
from rnnmft.analysis.results import CorrelationFixedPoint, FixedPoint, Timescales, Trajectory
from rnnmft.analysis.transport.accumulated_model import AccumulatedModel, Joint, OneLaw
from rnnmft.analysis.transport.law_grid import LawGrid
from rnnmft.analysis.transport.slow_limit import slow_limit
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.records import Quantity

__all__ = ["TransportedLaw"]

Array = NDArray[np.float64]
_COARSE = (48, 14)
_LEVELS = ((96, 16), (144, 20), (216, 26))
_JOINT = ((56, 14), (72, 18))
_TOLERANCE = 1e-9


class TransportedLaw:
    """One cell with an accumulated state at one ensemble, untied, by transport of the state's law.

    Raises:
        DerivationError: the cell is not of this kind.
    """

    method = "transport of the law"

    def __init__(self, cell: Cell, ensemble: Ensemble, inputs: Inputs) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self._model(1.0, _COARSE).check()

    def _model(self, reach: float, level: tuple[int, int]) -> AccumulatedModel:
        size, nodes = level
        return AccumulatedModel(self.cell, self.ensemble, self.inputs, LawGrid(size, reach), nodes)

    def model_at(self, size: int, nodes: int) -> AccumulatedModel:
        """The model on a grid of `size` points with `nodes` Gauss nodes a coefficient."""
        return self._model(self._reach, (size, nodes))

    @cached_property
    def _reach(self) -> float:
        """Beyond this |c| the law has no mass, on the way from zero to stationarity."""
        model = self._model(1.0, _COARSE)
        second: Mapping[str, float] = {s.name: 0.0 for s in self.cell.states}
        widest = 0.0
        for _ in range(12):
            reach = model.step(second).reach()
            if not math.isfinite(reach) or reach > 1e8:
                raise ConvergenceError(
                    Status.DIVERGES, "The accumulated state has no stationary law."
                )
            widest = max(widest, reach)
            before = second
            second = self._model(max(reach, 1.0), _COARSE).stationary(second).second
            if second == before:
                break
        return max(1.1 * widest, 1.0)

    # --- trajectories --------------------------------------------------------------------------

    def _history(
        self, steps: int, level: tuple[int, int], joint_level: tuple[int, int]
    ) -> dict[str, dict[str, Array]]:
        """Every moment at every step: {kind: {name: (steps,)}}."""
        model = self._model(self._reach, level)
        joint_model = self._model(self._reach, joint_level)
        at, joint = model.zero(), joint_model.apart()
        pair_at = joint_model.zero()
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
        """Moments after 1, .., steps updates from the zero state."""
        fine = self._history(steps, _LEVELS[0], _JOINT[1])
        coarse = self._history(steps, _JOINT[1], _JOINT[0])
        second = fine["second_moment"]
        correlation = {
            s: np.where(second[s] > 0, fine["cross_moment"][s] / np.maximum(second[s], 1e-300), 0.0)
            for s in second
        }
        error = {
            kind: {n: np.abs(fine[kind][n] - coarse[kind][n]) + 1e-14 for n in fine[kind]}
            for kind in fine
        }
        return Trajectory(
            tying="untied",
            steps=steps,
            correlation=correlation,
            error=error,
            method=self.method,
            second_moment=second,
            cross_moment=fine["cross_moment"],
            mean=fine["mean"],
            preactivation_variance=fine["preactivation_variance"],
            preactivation_covariance=fine["preactivation_covariance"],
        )

    # --- fixed points --------------------------------------------------------------------------

    @cached_property
    def _drivers(self) -> list[str]:
        """The states whose second moments feed a preactivation through non-zero weights."""
        model = self._model(1.0, _COARSE)
        seen = {
            model.sees(p.name)
            for p in self.cell.preactivations
            if self.ensemble[p.name].sigma_w > 0
        }
        named = {model.form.state.name if s == "new" else s for s in seen if s is not None}
        return [s.name for s in self.cell.states if s.name in named]

    def _reduced(self, level: tuple[int, int]) -> Callable[[Array], OneLaw]:
        """Second moments of the drivers -> the law that is stationary at their variances."""
        model = self._model(self._reach, level)

        def stationary(values: Array) -> OneLaw:
            second = dict.fromkeys((s.name for s in self.cell.states), 0.0)
            second |= dict(zip(self._drivers, np.maximum(values, 0.0), strict=True))
            return model.stationary(second)

        return stationary

    def _gap(self, level: tuple[int, int]) -> Callable[[Array], Array]:
        stationary = self._reduced(level)
        return lambda v: np.array([stationary(v).second[d] for d in self._drivers]) - v

    @cached_property
    def _starts(self) -> list[Array]:
        """Approximate fixed points of the reduced map, at low resolution."""
        gap = self._gap(_COARSE)
        if len(self._drivers) == 1:
            grid = np.concatenate([[0.0], np.geomspace(1e-6, 10.0, 22)])
            values = np.array([gap(np.array([g]))[0] for g in grid])
            brackets = np.flatnonzero(values[:-1] * values[1:] < 0)
            found = [
                np.array([brentq(lambda v: gap(np.array([v]))[0], grid[i], grid[i + 1], xtol=1e-9)])
                for i in brackets
            ]
            return found + [np.array([g]) for g, v in zip(grid, values, strict=True) if v == 0.0]
        at = np.zeros(len(self._drivers))
        for _ in range(60 if self._drivers else 0):
            step = gap(at)
            at = at + step
            if np.abs(step).max() < 1e-6 * np.abs(at).max():
                break
        return [at]

    def _polished(self, start: Array, level: tuple[int, int]) -> Array:
        if not self._drivers:
            return start
        gap = self._gap(level)
        if len(self._drivers) == 1:
            first = gap(start)[0]
            if first == 0.0:
                return start
            value = newton(
                lambda v: gap(np.array([v]))[0], start[0], x1=start[0] + first, tol=1e-14
            )
            return np.array([value])
        return np.asarray(root(gap, start, tol=1e-13).x)

    @cached_property
    def _points(self) -> list[tuple[OneLaw, float, tuple[int, int]]]:
        """Every fixed point, its error by doubling the resolution, and the level that met it."""
        found = []
        for start in self._starts:
            law = self._reduced(_COARSE)(start)
            at, before, error, level = start, None, math.inf, _LEVELS[0]
            for level in _LEVELS:
                at = self._polished(at, level)
                law = self._reduced(level)(at)
                values = np.array([law.second[s.name] for s in self.cell.states])
                if before is not None:
                    error = float(np.abs(values - before).max())
                    if error <= _TOLERANCE * max(1e-12, float(values.max())):
                        break
                before = values
            found.append((law, error, level))
        return sorted(found, key=lambda f: tuple(f[0].second.values()))

    @cached_property
    def _slopes(self) -> list[float]:
        return [self._slope(law, level) for law, _, level in self._points]

    def _slope(self, at: OneLaw, level: tuple[int, int]) -> float:
        """The rate of the slowest perturbation of the second moments: power iteration.

        The perturbation starts from a change of the drivers. Where the law is symmetric it is kept
        so: the odd modes (a mean of c) are not reached from zero and do not count.
        """
        model = self._model(self._reach, level)
        matrix, start = model.one_law_slope(at, self._drivers)
        vector, rates = start / max(float(np.abs(start).max()), 1e-300), [0.0]
        # Stop as soon as the rate has settled: rounding would feed the modes that do not count.
        size_of_law, symmetric = model.grid.size, abs(at.mean[model.form.state.name]) < 1e-12
        for _ in range(2000):
            vector = matrix @ vector
            if symmetric:
                weights = vector[:size_of_law]
                vector[:size_of_law] = 0.5 * (weights + weights[::-1])
                vector[size_of_law] = 0.0
            size = float(np.abs(vector).max())
            if size == 0.0:
                return 0.0
            rates.append(size)
            vector = vector / size
            if len(rates) > 4 and max(abs(size - r) for r in rates[-4:-1]) < 1e-9 * size:
                return size
        return float(np.exp(np.mean(np.log(rates[-400:]))))

    def _attractor(self) -> int:
        """The index of the stable fixed point that the zero state approaches."""
        stable = [i for i, slope in enumerate(self._slopes) if slope < 1.0]
        if not stable:
            raise ConvergenceError(Status.NO_FIXED_POINT)
        if len(self._points) == 1:
            return 0
        model = self._model(self._reach, _COARSE)
        at = model.zero()
        for _ in range(300):
            at = model.advance(at)
        distance = {
            i: max(abs(at.second[d] - self._points[i][0].second[d]) for d in self._drivers)
            for i in stable
        }
        return min(stable, key=distance.__getitem__)

    def _fixed_point(self, index: int) -> FixedPoint:
        law, error, level = self._points[index]
        model, slope = self._model(self._reach, level), self._slopes[index]
        q = model.variances(law.second, law.second[model.form.state.name])
        met = error <= 10 * _TOLERANCE * max(1e-12, max(law.second.values()))
        status = Status.OK if met else Status.NOT_CONVERGED
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
        return [self._fixed_point(i) for i in range(len(self._points))]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the zero state approaches."""
        return self._fixed_point(self._attractor())

    # --- two trajectories ----------------------------------------------------------------------

    def _joint_limit(self, level: tuple[int, int]) -> tuple[Joint, OneLaw, float]:
        """The stationary pair and the rate of its approach."""
        drivers = self._points[self._attractor()][0].second
        if min(drivers.values()) <= 0.0:
            raise ConvergenceError(Status.UNDEFINED, "The stationary state is zero.")
        model = self._model(self._reach, level)
        at = model.stationary(drivers)
        step, start, names = model.step(drivers), model.independent(at), list(at.second)
        scale = np.array([max(at.second[s], 1e-300) for s in names])

        def packed(joint: Joint) -> Array:
            return np.r_[joint.omega.ravel(), [joint.cross[s] for s in names]]

        def unpacked(values: Array) -> Joint:
            omega, cross = values[: -len(names)], values[-len(names) :]
            named = {s: float(v) for s, v in zip(names, cross, strict=True)}
            return Joint(omega.reshape(start.omega.shape), named)

        def without_marginals(values: Array) -> Array:
            # Each trajectory's own law is stationary: only what they share may move.
            omega = unpacked(values).omega
            omega = omega - np.outer(at.law[0], omega.sum(0))
            omega = omega - np.outer(omega.sum(1), at.law[0])
            return np.r_[omega.ravel(), values[-len(names) :]]

        found = slow_limit(
            lambda values: packed(model.advance_joint(unpacked(values), at, at, step)),
            packed(start),
            lambda values: float((np.abs(values[-len(names) :]) / scale).max()),
            without_marginals,
            # Equal inputs lead to equal states, where covariances cannot grow any further.
            smooth=self.inputs.correlation < 1.0,
        )
        return unpacked(found.at), at, found.rate

    @cached_property
    def _pair(self) -> tuple[Joint, OneLaw, float, float]:
        (coarse, _, rough), (joint, at, rate) = (self._joint_limit(level) for level in _JOINT)
        error = max(
            abs(joint.cross[s] - coarse.cross[s]) / max(at.second[s], 1e-300) for s in at.second
        )
        return joint, at, rate, error + abs(rate - rough)

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation that two runs from zero approach."""
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
        index = self._attractor()
        slope, (_, _, rate, error) = self._slopes[index], self._pair
        xi_q, xi_c = timescale(slope), timescale(rate)
        return Timescales(
            tying="untied",
            xi_q=xi_q,
            xi_c=xi_c,
            chi_1=math.exp(float(self.gradient_growth())),
            error={
                "xi_q": xi_q**2 * self._points[index][1],
                "xi_c": xi_c**2 / max(rate, 1e-12) * error,
            },
            status=self.fixed_point().status,
        )

    # --- gradients -----------------------------------------------------------------------------

    def _operator(self, finer: bool) -> tuple[AccumulatedModel, OneLaw, Array]:
        law, _, level = self._points[self._attractor()]
        model = self._model(self._reach, level if finer else _COARSE)
        at = model.stationary(law.second)
        return model, at, model.tangent_operator(at)

    @cached_property
    def _operators(self) -> list[tuple[AccumulatedModel, OneLaw, Array]]:
        return [self._operator(finer) for finer in (False, True)]

    def gradient_growth(self) -> Quantity:
        """log of the tangent operator's leading eigenvalue, per step."""
        coarse, fine = (
            math.log(float(np.abs(np.linalg.eigvals(m)).max())) for _, _, m in self._operators
        )
        return Quantity("gradient growth (untied)", fine, abs(fine - coarse), unit="per step")

    def jacobian(self, horizon: int, burn_in: int) -> JacobianLaw:
        """m_1 of the T-step J J^T at stationarity."""

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest > 1:
                raise DerivationError(
                    "transport of the law knows m_1 of the Jacobian; more needs its spectrum"
                )
            values = []
            for model, at, operator in self._operators:
                vector = np.linalg.matrix_power(operator, horizon) @ model.tangent_start(at)
                values.append(model.tangent_total(vector))
            coarse, fine = values
            return np.array([fine]), np.array([abs(fine - coarse)]), Status.OK

        return JacobianLaw("untied", horizon, self.method, compute)
