"""The untied solver of cells whose moments close: quadrature, no sampling [chen2018].

Eq. (affine), Eq. (affine-pair), Eq. (xi), Eq. (growth).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from rnnmft.errors import ConvergenceError, DerivationError, ParameterError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.solvers.closed.cross_fixed_points import CrossRoot, cross_roots, late_cross
from rnnmft.solvers.closed.evolution import columns, evolve, worse
from rnnmft.solvers.closed.fixed_points import Root, reached_from, roots
from rnnmft.solvers.closed.homogeneous import scale_free
from rnnmft.solvers.closed.recursion import Array, Point, point_of, untied_recursion
from rnnmft.solvers.closed.sensitivity import moved, radius
from rnnmft.solvers.closed.start import start_moments
from rnnmft.solvers.gradient_means import means_one_by_one
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import CorrelationFixedPoint, FixedPoint, Timescales, Trajectory

__all__ = ["ClosedMoments", "timescale"]


# A slope this near to 1 cannot be told from it: a hundred times what integrals are computed to
# (`quadrature.RTOL`), since a slope is a sum of such and a root's error moves it.
_MARGINAL = 1e-9
_STAYS = "The slope of the moment map is 1: what is there neither decays nor grows."
_ADDS_UP = (
    "But only linearly in time: the network is critical, its variance map has slope 1 everywhere, "
    "and what each step adds stays."
)


def timescale(slope: float) -> float:
    """xi = -1/log|slope|, in steps: 0 where the slope is 0, inf where it is 1 or more. Eq. (xi)."""
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
    is_sampled = False

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        backend: str = "numpy",
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
        means = self.recursion.means(at.moments[:, None], self.point)[:, 0]
        q = self.recursion.step(at.moments[:, None], self.point)[2]
        return FixedPoint(
            tying="untied",
            second_moment={s: float(at.moments[i]) for s, i in square.items()},
            mean={s: float(v) for s, v in zip(square, means, strict=True)},
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
        if any(at.moments[i] <= 0 for i in square.values()):
            raise ConvergenceError(Status.UNDEFINED, "The stationary state is zero.")
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
        moments = self._attractor().moments

        def correlations(values: Array) -> dict[str, float]:
            return {s: float(values[pair[s]] / moments[square[s]]) for s in pair}

        return CorrelationFixedPoint(
            tying="untied",
            correlation=correlations(chosen.cross),
            cross_moment={s: float(chosen.cross[i]) for s, i in pair.items()},
            slope=chosen.slope,
            error=float(chosen.errors.max()),
            status=self._reached[1],
            others=tuple((correlations(r.cross), r.slope) for r in found if r is not chosen),
        )

    # --- timescales and gradients --------------------------------------------------------------

    def _radius(self, matrices: Callable[[Array, Point], Array]) -> tuple[float, float]:
        """A spectral radius at the fixed point and its error."""
        at, _ = self._linearised
        value, error = moved(lambda m: radius(matrices(m, self.point)), at.moments, at.errors)
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
        chi_1, chi_1_error = self._chi_1
        if self._reached[0] is None:
            error = {"xi_q": 0.0, "xi_c": 0.0, "chi_1": chi_1_error}
            return Timescales("untied", math.inf, math.inf, chi_1, error)
        chosen, _ = self._cross
        error = {
            "xi_q": _timescale_error(slope, slope_error),
            "xi_c": _timescale_error(chosen.slope, chosen.slope_error),
            "chi_1": chi_1_error,
        }
        xi_q, xi_c = timescale(slope), timescale(chosen.slope)
        return Timescales("untied", xi_q, xi_c, chi_1, error, self._reached[1])

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

        def compute(highest: int) -> tuple[Any, Any, Status]:
            if highest == 1:
                return (*self._mean_over(horizon, at), status)
            if horizon != 1:
                raise DerivationError(
                    f"m_2 and higher of the {horizon}-step Jacobian are not derived yet; "
                    "m_1 is, and every moment at horizon 1"
                )
            return self._one_step(highest, at)

        return JacobianMoments("untied", horizon, "quadrature", compute)

    def _one_step(self, highest: int, at: Root) -> tuple[Array, Array, Status]:
        weights = {p.name: self.ensemble[p.name].weights for p in self.cell.preactivations}
        own: list[Array] = []
        codes: list[Any] = []

        def moments(m: Array) -> Array:
            values, errors, status = self.recursion.jacobian_moments(
                highest, weights, m, self.point
            )
            own.append(errors[:, 0])
            codes.append(status)
            return values

        values, error = moved(moments, at.moments, at.errors)
        if not np.isfinite(values).all():
            values = np.where(np.isfinite(values), values, np.inf)
            return values, np.where(np.isfinite(values), error + own[0], np.inf), Status.DIVERGES
        return values, error + own[0], worse(self._linearised[1], codes[0])

    def _mean_over(self, horizon: int, at: Root) -> tuple[Array, Array]:
        """m_1(T): the tangent operator's T-th power on E[ds_a ds_b] = delta_ab."""
        identity = np.array([float(i == j) for i, j in self.recursion.derivation.tangent.pairs])
        states = len(self.cell.states)

        def mean(m: Array) -> Array:
            operators = self.recursion.tangent(m, self.point)
            powers = np.linalg.matrix_power(operators, horizon)
            return (identity @ powers @ identity)[None] / states

        value, error = moved(mean, at.moments, at.errors)
        return value, error + horizon * self.recursion.rtol * np.abs(value)


def _timescale_error(slope: float, error: float) -> float:
    """d xi / d slope = xi^2 / slope; the bound is infinite where slope + error reaches 1."""
    xi = timescale(slope)
    if xi in (0.0, math.inf):
        return 0.0
    if slope + error >= 1.0:
        return math.inf
    return timescale(slope + error) - xi
