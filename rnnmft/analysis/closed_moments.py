"""The untied solver of cells whose moments close: quadrature, no sampling (Chen 2018)."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from rnnmft.analysis.fixed_points import Root, cross_roots, reached_from_zero, roots
from rnnmft.analysis.jacobian import JacobianLaw
from rnnmft.analysis.results import CorrelationFixedPoint, FixedPoint, Timescales, Trajectory
from rnnmft.analysis.untied import Array, Point, point_of, untied_recursion
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ConvergenceError, DerivationError, ParameterError, Status
from rnnmft.numerics.compile import STATUSES
from rnnmft.records import Quantity
from rnnmft.theory.notation import MomentKey

__all__ = ["ClosedMoments", "timescale"]


def timescale(slope: float) -> float:
    """xi = -1/log|slope|, in steps: 0 where the slope is 0, inf where it is 1 or more."""
    size = abs(slope)
    if size == 0.0:
        return 0.0
    return -1.0 / math.log(size) if size < 1.0 else math.inf


class ClosedMoments:
    """Moments of one cell at one ensemble, untied, by quadrature.

    Raises:
        DerivationError: the cell's moments do not close.
        ParameterError: an ensemble of another cell; an elementwise input with a given
            autocorrelation (its untied recursion needs the whole past).
    """

    method = "closed moments"

    def __init__(
        self, cell: Cell, ensemble: Ensemble, inputs: Inputs, backend: str = "numpy"
    ) -> None:
        if cell.input is not None and not isinstance(inputs.temporal, str):
            raise ParameterError(
                "temporal: the untied theory of a cell whose input enters elementwise knows 'white' "
                "and 'constant' inputs; a given autocorrelation needs tying='tied'"
            )
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.recursion = untied_recursion(cell, inputs.temporal == "constant", backend)
        self.recursion.require_closed()
        self.point: Point = point_of(self.recursion.derivation, ensemble, inputs)

    # --- trajectories --------------------------------------------------------------------------

    def evolve(self, steps: int) -> Trajectory:
        """Moments after 1, .., steps updates from the zero state."""
        of = self.recursion
        moments, cross = np.zeros((len(of.keys), 1)), np.zeros((len(of.cross_keys), 1))
        error, cross_error = np.zeros(len(of.keys)), np.zeros(len(of.cross_keys))
        history: list[tuple[Array, ...]] = []
        status = Status.OK
        for _ in range(steps):
            new_cross, added_cross, q_ab, s_cross = of.cross_step(cross, moments, self.point)
            moments, added, q, s_one = of.step(moments, self.point)
            cross = new_cross
            # The maps contract at rates below one but for growing states: errors add, scaled by growth.
            error, cross_error = error + added[:, 0], cross_error + added_cross[:, 0]
            status = _worse(status, s_one, s_cross)
            if not (np.isfinite(moments).all() and np.isfinite(cross).all()):
                status = Status.DIVERGES
                moments = np.where(np.isfinite(moments), moments, np.inf)
                cross = np.where(np.isfinite(cross), cross, np.inf)
            row = (moments[:, 0], cross[:, 0], q[:, 0], q_ab[:, 0], error, cross_error)
            history.append(row)
            if status is Status.DIVERGES:
                history += [tuple(np.where(np.isfinite(r), r, np.inf) for r in row)] * (steps - len(history))
                break
        return self._trajectory(steps, [np.stack(part) for part in zip(*history, strict=True)], status)

    def _trajectory(self, steps: int, parts: list[Array], status: Status) -> Trajectory:
        moments, cross, q, q_ab, error, cross_error = parts
        names = [p.name for p in self.cell.preactivations]
        square, pair, mean = self._columns()
        second = {s: moments[:, i] for s, i in square.items()}
        crossed = {s: cross[:, i] for s, i in pair.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = {s: np.where(second[s] > 0, crossed[s] / second[s], 0.0) for s in second}
        return Trajectory(
            tying="untied",
            steps=steps,
            second_moment=second,
            cross_moment=crossed,
            correlation=correlation,
            mean={s: moments[:, i] if i is not None else np.zeros(steps) for s, i in mean.items()},
            preactivation_variance={n: q[:, i] for i, n in enumerate(names)},
            preactivation_covariance={n: q_ab[:, i] for i, n in enumerate(names)},
            error={
                "second_moment": {s: error[:, i] for s, i in square.items()},
                "cross_moment": {s: cross_error[:, i] for s, i in pair.items()},
            },
            status=status,
        )

    def _columns(self) -> tuple[dict[str, int], dict[str, int], dict[str, int | None]]:
        """Where each state's square, cross moment and mean stand in the arrays of moments."""
        n = self.recursion.derivation.notation
        keys, cross = self.recursion.keys, self.recursion.cross_keys
        square = {s.name: keys.index(n.state_key(s, s)) for s in self.cell.states}
        pair = {s.name: cross.index(n.state_key(s, s, trajectories=2)) for s in self.cell.states}
        means: dict[str, int | None] = {}
        for s in self.cell.states:
            key: MomentKey = n.state_key(s)
            means[s.name] = keys.index(key) if key in keys else None
        return square, pair, means

    # --- fixed points --------------------------------------------------------------------------

    @cached_property
    def _roots(self) -> list[Root]:
        return roots(self.recursion, self.point)

    @cached_property
    def _reached(self) -> tuple[Root | None, Status]:
        return reached_from_zero(self.recursion, self.point, self._roots)

    def _attractor(self) -> Root:
        found, status = self._reached
        if found is None:
            raise ConvergenceError(status)
        return found

    def _fixed_point(self, at: Root, status: Status) -> FixedPoint:
        square, _, mean = self._columns()
        q = self.recursion.step(at.moments[:, None], self.point)[2]
        return FixedPoint(
            tying="untied",
            second_moment={s: float(at.moments[i]) for s, i in square.items()},
            mean={s: 0.0 if i is None else float(at.moments[i]) for s, i in mean.items()},
            preactivation_variance={
                p.name: float(q[i, 0]) for i, p in enumerate(self.cell.preactivations)
            },
            slope=at.slope,
            stable=at.stable,
            error=at.error,
            status=status,
            moments=at.moments,
        )

    def fixed_points(self) -> list[FixedPoint]:
        """All fixed points, stable or not, by increasing second moment."""
        kinds = {True: Status.OK, False: Status.UNSTABLE}
        return [self._fixed_point(r, kinds[r.stable]) for r in self._roots]

    def fixed_point(self) -> FixedPoint:
        """The fixed point that the zero state approaches.

        Raises:
            ConvergenceError: the second moment diverges, or nothing stable was found.
        """
        return self._fixed_point(self._attractor(), self._reached[1])

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stable stationary correlation nearest to where two runs from zero end up.

        Raises:
            ConvergenceError: no fixed point of the moments, or a zero variance.
        """
        at = self._attractor()
        square, pair, _ = self._columns()
        if any(at.moments[i] <= 0 for i in square.values()):
            raise ConvergenceError(Status.UNDEFINED, "The stationary state is zero.")
        found = cross_roots(self.recursion, self.point, at.moments)
        stable = [r for r in found if r[1] < 1.0]
        if not stable:
            raise ConvergenceError(Status.NO_FIXED_POINT, "No stable correlation.")
        end = self._late_cross(at.moments) if len(stable) > 1 else stable[0][0]
        cross, slope, error = min(stable, key=lambda r: float(np.abs(r[0] - end).max()))

        def correlations(values: Array) -> dict[str, float]:
            return {s: float(values[pair[s]] / at.moments[square[s]]) for s in pair}

        return CorrelationFixedPoint(
            tying="untied",
            correlation=correlations(cross),
            cross_moment={s: float(cross[i]) for s, i in pair.items()},
            slope=slope,
            error=error,
            others=tuple((correlations(c), s) for c, s, _ in found if c is not cross),
        )

    def _late_cross(self, moments: Array) -> Array:
        """The cross moments after many steps at the fixed point, from those of the first step."""
        of = self.recursion
        single, cross = moments[:, None], np.zeros((len(of.cross_keys), 1))
        for _ in range(300):
            cross = of.cross_step(cross, single, self.point)[0]
        return cross[:, 0]

    # --- timescales and gradients --------------------------------------------------------------

    @cached_property
    def _chi_1(self) -> float:
        """Slope at c = 1 with identical inputs."""
        of, at = self.recursion, self._attractor()
        same = [tuple(map(sum, zip(*k, strict=True))) for k in of.cross_keys]
        point = {**self.point, of.derivation.notation.c_x: np.ones(1)}
        single = at.moments[:, None]
        cross = np.stack([single[of.keys.index((k,))] for k in same])
        matrix = of.cross_slope(cross, single, point)[0]
        return float(np.abs(np.linalg.eigvals(matrix)).max())

    def timescales(self) -> Timescales:
        """xi_q, xi_c in steps, and chi_1."""
        at, correlation = self._attractor(), self.correlation_fixed_point()
        xi_q, xi_c = timescale(at.slope), timescale(correlation.slope)
        # d xi / d slope = xi^2 / slope.
        error = {
            "xi_q": xi_q**2 / max(at.slope, 1e-12) * at.error if xi_q < math.inf else 0.0,
            "xi_c": xi_c**2 / max(correlation.slope, 1e-12) * correlation.error,
        }
        return Timescales("untied", xi_q, xi_c, self._chi_1, error, self._reached[1])

    @cached_property
    def _operator(self) -> Array:
        return self.recursion.tangent(self._attractor().moments[:, None], self.point)[0]

    def gradient_growth(self) -> Quantity:
        """log of the tangent operator's leading eigenvalue, per step."""
        radius = float(np.abs(np.linalg.eigvals(self._operator)).max())
        value = math.log(radius) if radius > 0 else -math.inf
        error = self._attractor().error / max(radius, 1e-300)
        return Quantity("gradient growth (untied)", value, error, self._reached[1], "per step")

    def jacobian(self, horizon: int, burn_in: int) -> JacobianLaw:
        """Moments of the T-step J J^T: every m_k for T = 1; m_1 for any T."""
        at = self._attractor()

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest == 1:
                return (*self._mean_over(horizon, at), Status.OK)
            if horizon != 1:
                raise DerivationError(
                    f"m_2 and higher of the {horizon}-step Jacobian are not derived yet; "
                    "m_1 is, and every moment at horizon 1"
                )
            weights = {p.name: self.ensemble[p.name].weights for p in self.cell.preactivations}
            values, errors, status = self.recursion.jacobian_moments(
                highest, weights, at.moments[:, None], self.point
            )
            return values[:, 0], errors[:, 0] + at.error, _worse(Status.OK, status)

        return JacobianLaw("untied", horizon, "quadrature", compute)

    def _mean_over(self, horizon: int, at: Root) -> tuple[Array, Array]:
        """m_1(T): the tangent operator's T-th power on E[ds_a ds_b] = delta_ab."""
        pairs = self.recursion.derivation.tangent.pairs
        identity = np.array([float(i == j) for i, j in pairs])
        states = len(self.cell.states)
        value = identity @ np.linalg.matrix_power(self._operator, horizon) @ identity / states
        return np.array([value]), np.array([abs(value) * horizon * at.error + 1e-14 * abs(value)])


def _worse(status: Status, *found: Any) -> Status:
    """The first status that is not OK; arrays hold the codes of `numerics.compile.STATUSES`."""
    if status is not Status.OK:
        return status
    for codes in found:
        bad = np.asarray(codes)[np.asarray(codes) != 0]
        if len(bad):
            return STATUSES[int(bad.flat[0])]
    return Status.OK
