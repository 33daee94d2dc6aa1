"""Critical states that a network finds: driven by its input, stable, and reached from zero.

m_1 = 1 can be met at stationary states that no network stays in: where what second moments feed
back through the weights (the slope of their map) is 1 or more, or where the zero state settles to
another one first.

Eq. (sound).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.backward import Backward, Solution
from rnnmft.initialization.design.design import Design
from rnnmft.solvers.closed.fixed_points import reached_from, roots
from rnnmft.solvers.closed.given_laws import ClosedAverages
from rnnmft.solvers.closed.recursion import Point, UntiedRecursion, point_of
from rnnmft.solvers.closed.sensitivity import radius

__all__ = ["LEAST_INPUT", "Unsettled", "feasible", "settles", "unsettled"]

# The least share of the main preactivation's variance that shall come from its input: a choice, so
# that a design listens at all; any that is named to the user would do.
LEAST_INPUT = 0.05
# The search for a larger q: by this factor, up to a deviation of 30, where bounded activations have
# saturated.
_WIDEN, _MOST = 1.5, 1e3
# Two solutions of one equation are the same to this: far above their errors (1e-9 and less).
_SAME = 1e-6
# The moments of a state beside zero: small enough that moments grow in proportion to them.
_BESIDE = 1e-6
# A slope nearer to 1 than this is 1, as in `closed_moments`.
_MARGIN = 1e-9
# Decades that gradients may lose before the state has settled, and the longest wait for that.
_LOST, _LONGEST = 0.5, 1000


class Unsettled(InfeasibleError):
    """There are critical ensembles, but networks do not settle to their stationary states."""


def feasible(
    backward: Backward, design: Design, searched: bool = False, near: Solution | None = None
) -> Solution:
    """The solution; where the main preactivation's q is free, the least q that is sound.

    A search for another q starts from that of a solution `near`, where one is given.

    Sound is a q of which the input brings a share, and at which the stationary state is stable:
    what second moments feed back through the weights may undo half of what a step forgets, no more.

    Raises:
        InfeasibleError: there is none.
    """
    main = design.main
    if main is None or searched or not design.is_free(main, "q"):
        return backward.solve(design, near)
    start, choice = design.choices[main].q, design.choices[main]
    if start is None or choice.balance != "sigma_v":
        return backward.solve(design, near)
    try:
        solution = backward.solve(design, near)
        if solution.input_share(main) >= LEAST_INPUT and stability(solution) >= 0:
            return solution
    except InfeasibleError:
        pass
    precision, q = backward.theory.precision, start

    def room(backward: Backward, q: float, least: float) -> float:
        left = backward.balance(design, main, q) - least
        return left if left < 0 else min(left, stability(backward.solve(design.with_(main, q=q))))

    # What a rough theory finds holds with half of the room, or is searched for again.
    for theory, least in ((backward.coarse, LEAST_INPUT), (backward, 0.5 * LEAST_INPUT)):
        q = _least_q(lambda q, a=theory, b=least: room(a, q, b), q, main, precision)
    return backward.solve(design.with_(main, q=q))


def _least_q(room: Callable[[float], float], start: float, main: str, precision: float) -> float:
    """The least q from `start` on at which there is room."""
    low = high = start
    none = InfeasibleError(
        f"no q of {main!r} up to {_MOST:g} leaves room for the input and is stable",
        f"sigma_v^2 >= 0 of {main!r}",
    )
    left = room(start)
    while left < 0:
        low, high = high, high * _WIDEN
        try:
            left = room(high)
        except InfeasibleError:
            raise none from None
        if high > _MOST:
            raise none
    if low == high:
        return start
    ends = math.log(low), math.log(high)
    return math.exp(brentq(lambda v: room(math.exp(v)), *ends, xtol=precision) + 2.0 * precision)


def stability(solution: Solution) -> float:
    """Half of what a step forgets, less what feedback undoes of it; negative is too near unstable.

    Eq. (sound).

    1 where the moments do not close: the slope is not known here.
    """
    averages = solution.averages.closed
    if averages is None:
        return 1.0
    return (1.0 - slope_of(solution, averages)) - 0.5 * averages.forgotten


def slope_of(solution: Solution, averages: ClosedAverages) -> float:
    """The slope of the moment map at the stationary state of a solution."""
    recursion = averages.laws.recursion
    moments = np.array([[averages.moments[k]] for k in recursion.keys])
    point = point_of(recursion.derivation, solution.ensemble, solution.design.inputs)
    return float(radius(recursion.slope(moments, point))[0])


def settles(solution: Solution, horizon: float) -> bool:
    """Whether the zero state comes to the stationary state, and gradients live till then.

    The state is stable, is the one that is reached from zero, and no larger one is unstable, beyond
    which a wide enough fluctuation would explode. Without gates, gradients of the first `horizon`
    steps may lose half a decade, m_1(T) >= 10^-0.5. (All this is taken for granted where the
    moments do not close.)
    """
    averages = solution.averages.closed
    if averages is None:
        return True
    if not slope_of(solution, averages) < 1.0 - _MARGIN:
        return False
    recursion = averages.laws.recursion
    point = point_of(recursion.derivation, solution.ensemble, solution.design.inputs)
    found = roots(recursion, point)
    # From beside the zero state, which is stationary where nothing drives the cell.
    start = np.full(len(recursion.keys), _BESIDE)
    reached, _ = reached_from(recursion, point, found, start)
    wanted = np.array([averages.moments[k] for k in recursion.keys])
    if reached is None or not found[-1].stable:
        return False
    if not (np.abs(reached.moments - wanted) <= _SAME * np.abs(wanted).max()).all():
        return False
    if solution.design.gating.retention:
        return True
    return _from_zero(recursion, point, horizon) >= -_LOST


def _from_zero(recursion: UntiedRecursion, point: Point, horizon: float) -> float:
    """log10 m_1 over the first steps, from the zero state to where it has settled."""
    moments, log_mean = np.zeros((len(recursion.keys), 1)), 0.0
    for _ in range(int(min(horizon, _LONGEST))):
        log_mean += math.log10(
            max(float(radius(recursion.tangent(moments, point))[0]), np.finfo(float).tiny)
        )
        last, moments = moments, recursion.step(moments, point)[0]
        if np.abs(moments - last).max() <= _SAME * np.abs(moments).max():
            break
    return log_mean


def unsettled(found: list[Solution], where: str) -> Unsettled:
    """The error of critical states, all there are `where`, to which networks do not settle."""
    slopes = [slope_of(s, closed) for s in found if (closed := s.averages.closed) is not None]
    least = min(slopes)
    follows = (
        "what is nearby does not come to it: it stays away, dies out or explodes"
        if least >= 1.0
        else "the zero state does not come to it, or gradients die before it does"
    )
    return Unsettled(
        f"no network settles to a critical state {where}: where m_1 = 1, the slope of the variance "
        f"map, sigma_w^2 (E[phi'^2] + E[phi phi'']) without gates, is {least:.4g}"
        f"{' at the least' if len(slopes) > 1 else ''}, and {follows}",
        "slope of the moment map < 1",
    )
