"""What is left free is chosen by an objective: isometry over T steps, a timescale of T, or nothing.

One direction is searched, from gates that are shut to gates that keep everything, or, without
retention gates, from large to small variance of the main preactivation. The first point that meets
the objective is taken: beyond it signals only become smaller and slower.

    isometry    T (sigma^2 - least sigma^2) <= 1, sigma^2 the one-step variance of J J^T
    timescale   xi_c >= T

T sigma^2 at m_1 = 1 is the variance over T steps of free factors [chen2018]; for the vanilla RNN
it is exact, and T 8 q^2 = sigma_0^2 is its small-q form.

Eq. (objective), Eq. (free-power).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq

from rnnmft.errors import ConvergenceError, InfeasibleError
from rnnmft.initialization.design.backward import Backward, Solution
from rnnmft.initialization.design.design import Design
from rnnmft.initialization.design.sound import feasible, settles, unsettled
from rnnmft.solvers.closed.cross_fixed_points import cross_roots
from rnnmft.solvers.closed.recursion import point_of
from rnnmft.solvers.timescale import timescale as timescale_of

__all__ = [
    "Direction",
    "NothingCritical",
    "SearchTarget",
    "direction_of",
    "isometry",
    "one_step_variance",
    "search",
    "timescale",
    "widened",
]

# Means of retention gates that are tried: sigmoid(14) forgets in 10^6 steps. A bracket is all they
# give.
_GATES = np.linspace(0.0, 14.0, 8)
# Variances of the main preactivation that are tried, from saturated to linear, five a decade.
_VARIANCES = np.geomspace(30.0, 1e-4, 26)
# And wider ones, twelve a decade, where none of those serves.
_WIDE = np.geomspace(30.0, 3e3, 24)
# The root of the variance that squared singular values may have over the horizon, at a mean of 1.
_SIGMA_0 = 1.0
# Of the mean or the variance that is found.
_PRECISION = 1e-9
# A correlation time of less is none (its logarithm exists); errors of cross moments, of which only
# the roots are wanted.
_LEAST_TIME, _CROSS = 1e-12, 1e-12


@dataclass(frozen=True)
class Direction:
    """The one number that is searched over.

    Attributes:
        parameter: "mu_b" (of retention gates) or "q" (of the main preactivation).
        signs: {preactivation: the sign its mean moves with}.
        points: in the order of the search.
    """

    parameter: str
    signs: dict[str, int]
    points: tuple[float, ...]

    def move(self, design: Design, at: float) -> Design:
        """The design at one point."""
        if self.parameter == "mu_b":
            return design.opened({name: sign * at for name, sign in self.signs.items()})
        for name in self.signs:
            design = design.with_(name, q=at)
        return design

    @property
    def label(self) -> str:
        """For sentences: mu_b of z."""
        return f"{self.parameter} of {', '.join(self.signs)}"


def direction_of(design: Design) -> Direction | None:
    """The free direction of a design; None where the user has fixed everything."""
    gates = {n: s for n, s in design.gating.retention.items() if design.is_free(n, "mu_b")}
    if gates:
        return Direction("mu_b", gates, tuple(_GATES.tolist()))
    main = design.main
    if main is not None and design.is_free(main, "q") and design.choices[main].q is not None:
        return Direction("q", {main: 1}, tuple(_VARIANCES.tolist()))
    return None


def widened(direction: Direction) -> Direction | None:
    """Beyond the largest variances, upwards; None where the direction is another.

    Activations that are not odd may have no other critical states: a sigmoid's own mean brings
    q >= 50 along, and SiLU and GELU feed back less than m_1 where they are nearly a ReLU.
    """
    if direction.parameter != "q":
        return None
    return Direction("q", direction.signs, tuple(_WIDE.tolist()))


class NothingCritical(InfeasibleError):
    """No point of a direction is critical."""


@dataclass(frozen=True)
class SearchTarget:
    """What a search shall reach: `measure` of a solution at most `at_most`, above its least."""

    measure: Callable[[Solution], float]
    at_most: float
    above_least: bool
    name: str


def isometry(horizon: float) -> SearchTarget:
    """T sigma^2 within 1 of the least that the direction offers."""
    return SearchTarget(
        lambda s: horizon * one_step_variance(s), _SIGMA_0**2, True, "variance of J J^T"
    )


def timescale(horizon: float) -> SearchTarget:
    """xi_c of at least T."""
    return SearchTarget(
        lambda s: math.log(horizon / max(correlation_time(s), _LEAST_TIME)),
        0.0,
        False,
        "timescale xi_c",
    )


def correlation_time(solution: Solution) -> float:
    """xi_c at the stationary correlation of the design's inputs."""
    averages, design = solution.averages.closed, solution.design
    if averages is None:
        raise InfeasibleError("xi_c is searched where moments close")
    recursion = averages.laws.rough_recursion
    moments = np.array([averages.moments[k] for k in recursion.keys])
    point = point_of(recursion.derivation, solution.ensemble, design.inputs)
    found = [r for r in cross_roots(recursion, point, moments, _CROSS * moments) if r.slope < 1.0]
    if not found:
        raise InfeasibleError("no correlation of two trajectories is stable here", "chi(c*) < 1")
    return timescale_of(max(r.slope for r in found))


def one_step_variance(solution: Solution) -> float:
    """sigma^2 = m_2 - m_1^2 of the one-step J J^T.

    Raises:
        InfeasibleError: it is not finite.
    """
    averages, design = solution.averages.closed, solution.design
    if averages is None:
        raise InfeasibleError("the variance of J J^T is known where moments close")
    recursion = averages.laws.recursion
    moments = np.array([[averages.moments[k]] for k in recursion.keys])
    kinds = {n: law.weights for n, law in solution.ensemble.items()}
    point = point_of(recursion.derivation, solution.ensemble, design.inputs)
    values = recursion.jacobian_moments(2, kinds, moments, point)[0][:, 0]
    if not np.isfinite(values).all():
        raise InfeasibleError("the variance of J J^T is infinite here", "m_2 < infinity")
    return float(values[1] - values[0] ** 2)


def search(
    backward: Backward, design: Design, direction: Direction, target: SearchTarget, horizon: float
) -> Solution:
    """The first point along a direction that meets the target, and to which networks settle.

    Raises:
        NothingCritical, Unsettled: no point is critical, or networks settle to none of them.
        InfeasibleError: none meets the target; the message gives the best.
    """
    last: Solution | None = None  # where the next search starts

    @cache
    def measured(at: float) -> tuple[Solution, float]:
        moved = direction.move(design, at)
        nonlocal last
        last = feasible(backward, moved, direction.parameter == "q", last)
        return last, target.measure(last)

    rows, reason = _rows(direction, target, measured)
    if not rows:
        ends = sorted((direction.points[0], direction.points[-1]))
        raise NothingCritical(
            f"nothing is critical along {direction.label} from {ends[0]:g} to {ends[1]:g}: {reason}"
        )
    known = rows
    least = min(value for _, value in rows) if target.above_least else 0.0

    def gap(x: float) -> float:
        return measured(x)[1] - least - target.at_most

    # Settling is the dearer question: asked only where the target is met, up to the first yes.
    met = (i for i, (at, value) in enumerate(rows) if value - least <= target.at_most)
    first = next((i for i in met if settles(measured(rows[i][0])[0], horizon)), None)
    if first is None:
        rows = [row for row in rows if settles(measured(row[0])[0], horizon)]
        if not rows:
            raise unsettled([measured(at)[0] for at, _ in known], f"along {direction.label}")
        if not target.above_least:
            raise _out_of_reach(direction, target, rows)
        least = min(value for _, value in rows)
        first = next(i for i, (_, value) in enumerate(rows) if value - least <= target.at_most)
    at = rows[first][0]
    if first > 0 and gap(rows[first - 1][0]) > 0:
        at = float(brentq(gap, rows[first - 1][0], at, xtol=_PRECISION))
    return measured(at)[0]


def _rows(
    direction: Direction, target: SearchTarget, measured: Callable[[float], tuple[Solution, float]]
) -> tuple[list[tuple[float, float]], str]:
    """(point, measure) where there is a solution, in order; and why there is none elsewhere.

    A target that does not refer to the least is monotone along the direction: its place is found
    by halving.
    """
    rows: dict[float, float] = {}
    reason = ""

    def value(at: float) -> float:
        nonlocal reason
        try:
            rows[at] = measured(at)[1]
        except (InfeasibleError, ConvergenceError) as error:
            reason = str(error)
            return math.inf
        return rows[at]

    points = direction.points
    if target.above_least:
        for at in points:
            value(at)
    else:
        # From the last point on at which there is anything to measure.
        end = next((i for i in range(len(points))[::-1] if value(points[i]) < math.inf), -1)
        low, high = -1, end
        if end >= 0 and rows[points[end]] > target.at_most:
            low = end
            for at in points[:end]:  # For the nearest.
                value(at)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if value(points[middle]) <= target.at_most else (middle, high)
    return sorted(rows.items(), key=lambda row: points.index(row[0])), reason


def _out_of_reach(
    direction: Direction, target: SearchTarget, rows: list[tuple[float, float]]
) -> InfeasibleError:
    """How near the target one gets."""
    at, value = min(rows, key=lambda row: row[1])
    short = math.exp(-value)
    name = next(iter(direction.signs))
    return InfeasibleError(
        f"the {target.name} that was asked for is not reached: the nearest is {short:.3g} times "
        f"it, at {direction.label} = {direction.signs[name] * at:.4g}",
        f"{target.name} reaches its target",
        {(name, direction.parameter): direction.signs[name] * at},
    )
