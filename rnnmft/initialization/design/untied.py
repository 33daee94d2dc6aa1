"""The untied answer: a critical ensemble for any cell, and the sentences that explain it.

Eq. (critical), Eq. (gates), Eq. (objective).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from rnnmft.errors import DerivationError, InfeasibleError
from rnnmft.initialization.design.backward import Backward, Solution
from rnnmft.initialization.design.burn_in import stationary_after
from rnnmft.initialization.design.design import Design, design
from rnnmft.initialization.design.gates import retention_means, write_means
from rnnmft.initialization.design.gating import gating
from rnnmft.initialization.design.growing import solve_growing
from rnnmft.initialization.design.nearest import with_nearest, with_wide
from rnnmft.initialization.design.objective import (
    Direction,
    NothingCritical,
    SearchTarget,
    direction_of,
    isometry,
    search,
    timescale,
    widened,
)
from rnnmft.initialization.design.request import Request
from rnnmft.initialization.design.sound import (
    LEAST_INPUT,
    Unsettled,
    feasible,
    settles,
    unsettled,
)
from rnnmft.solvers.closed.given_laws import ClosedLaws
from rnnmft.solvers.closed.homogeneous import homogeneous
from rnnmft.solvers.given_laws import GivenLaws
from rnnmft.solvers.sampled.given_laws import SampledLaws
from rnnmft.solvers.transport.given_laws import TransportedLaws

__all__ = ["UntiedAnswer", "solve_untied"]

# A sigma_w beyond this deserves a warning: a choice; saturated units, of gradients that jump.
_LARGE = 8.0
# To begin with, every preactivation varies by one; the state brings a tenth of a gate's variance.
_VARIANCE, _SHARE = 1.0, 0.1
# The readout gate's mean is looked for where it is neither shut nor open for good, at six points,
# to what moves growth by 1e-4 a step or less.
_READOUT, _READOUTS, _READOUT_XTOL = (-6.0, 4.0), 6, 1e-4
# Means of a retention gate that are tried, 0.5 apart: they give a bracket.
_RETENTION = np.linspace(-10.0, 14.0, 49)
# And the mean to 50 eps of the largest.
_RETENTION_XTOL = 1e-12
# A share that is the least one, by rounding of a root.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class UntiedAnswer:
    """A critical ensemble, what it was found from, and why each number is what it is."""

    solution: Solution
    method: str
    reasons: tuple[str, ...]


def solve_untied(request: Request) -> UntiedAnswer:
    """The untied critical ensemble of a request.

    Raises:
        InfeasibleError: there is none; the message says which inequality fails and what is near.
    """
    found = gating(request.cell)
    start = design(request.cell, request.inputs, found, request.fixed, _VARIANCE, _SHARE)
    theory = _theory(request)
    backward = Backward(theory, request.weights, request.laws)
    several = len(request.cell.states) > 1
    reasons: list[str] = []
    slopes = homogeneous(request.cell)
    if slopes is not None:
        solution, why = solve_growing(slopes, backward, start, request.horizon, _VARIANCE)
        return UntiedAnswer(solution, theory.method, why)
    try:
        if start.main is None:
            solution = _criticality_by_gates(backward, start, reasons)
        elif several or not theory.closes:
            solution = _placed(backward, start, request, reasons)
        else:
            solution = _chosen(backward, start, request, reasons)
    except InfeasibleError as error:
        raise with_nearest(error, backward, start, request.horizon) from None
    return UntiedAnswer(solution, theory.method, (*reasons, *_explained(solution)))


def _theory(request: Request) -> GivenLaws:
    """The first way of averaging that this cell has."""
    for way in (ClosedLaws, TransportedLaws):
        try:
            return way(request.cell, request.inputs)
        except DerivationError:
            pass
    burn_in = stationary_after(request.horizon)
    return SampledLaws(request.cell, request.inputs, request.laws, request.sampling, burn_in)


def _chosen(backward: Backward, start: Design, request: Request, reasons: list[str]) -> Solution:
    """One state, moments that close: the free direction by the objective."""
    direction = None if request.objective == "fixed" else direction_of(start)
    if direction is None:
        if request.objective != "fixed":
            reasons.append("Everything that the objective could choose is fixed.")
        try:
            return _settled(feasible(backward, start), request)
        except InfeasibleError as error:
            raise with_wide(error, backward, start, request.horizon) from None
    target = (isometry if request.objective == "isometry" else timescale)(request.horizon)
    direction, solution = _searched(backward, start, direction, target, request, reasons)
    name = next(iter(direction.signs))
    choice = solution.design.choices[name]
    value = choice.mu_b if direction.parameter == "mu_b" else choice.q or 0.0
    T = f"{request.horizon:g}"
    why = (
        f"the variance of J J^T over {T} steps is within 1 of the least that is possible"
        if request.objective == "isometry"
        else f"xi_c = {T} steps"
    )
    reasons.append(f"{direction.label} = {value:.4g}: there {why}.")
    return solution


def _searched(
    backward: Backward,
    start: Design,
    direction: Direction,
    target: SearchTarget,
    request: Request,
    reasons: list[str],
) -> tuple[Direction, Solution]:
    """Along the direction; beyond it where networks settle to nothing on it."""
    T = request.horizon
    try:
        return direction, search(backward, start, direction, target, T)
    except (NothingCritical, Unsettled) as error:
        other = widened(direction)
        if other is None:
            raise
        try:
            found = search(backward, start, other, target, T)
        except NothingCritical as further:
            if isinstance(error, Unsettled):
                raise error from None
            raise NothingCritical(f"{error}; and {further}", further.inequality) from None
    reasons.append(
        f"Up to q = {direction.points[0]:g} of {', '.join(other.signs)} there is no critical state "
        "that networks settle to."
    )
    return other, found


def _settled(solution: Solution, request: Request) -> Solution:
    """The solution, if it is what a network without gates settles to.

    Raises:
        InfeasibleError: it is not.
    """
    if solution.design.gating.retention or settles(solution, request.horizon):
        return solution
    raise unsettled([solution], "that these numbers fix")


def _placed(backward: Backward, start: Design, request: Request, reasons: list[str]) -> Solution:
    """Several states, or moments that do not close: gates are placed one after the other."""
    placed = start
    if request.objective != "fixed":
        lasts = f"E[gain^2] = exp(-1/{request.horizon:g}), so that the state lasts"
        for name, mean in retention_means(placed, request.horizon).items():
            placed = placed.opened({name: mean})
            reasons.append(f"mu_b of {name} = {mean:.4g}: {lasts}.")
        for name, mean in write_means(placed).items():
            placed = placed.opened({name: mean})
            reasons.append(
                f"mu_b of {name} = {mean:.4g}: what is written keeps the state's square at 1."
            )
    free = {n: 1 for n in placed.gating.readout if placed.is_free(n, "mu_b")}
    if request.objective == "fixed" or not free:
        return feasible(backward, placed)
    if backward.theory.is_sampled:
        reasons.append(
            f"mu_b of {', '.join(free)} is left at 0: m_1(1) = 1 besides growth 0 is looked for "
            "only where averages are exact."
        )
        return feasible(backward, placed)
    return _read_out(backward, placed, Direction("mu_b", free, ()), reasons)


def _read_out(
    backward: Backward, placed: Design, direction: Direction, reasons: list[str]
) -> Solution:
    """The opening of the readout at which growth 0 is m_1(T) = 1 from the first step on."""

    def excess(at: float) -> float:
        try:
            return feasible(backward, direction.move(placed, at)).tangent.mean_square - 1.0
        except InfeasibleError:
            return math.nan

    points = [float(v) for v in np.linspace(*_READOUT, _READOUTS)]
    values = [excess(at) for at in points]
    for (a, b), (f, g) in zip(pairwise(points), pairwise(values), strict=True):
        if f * g < 0:
            at = float(brentq(excess, a, b, xtol=_READOUT_XTOL))
            solution = feasible(backward, direction.move(placed, at))
            names = ", ".join(direction.signs)
            reasons.append(
                f"mu_b of {names} = {at:.4g}: there gradients do not grow, and m_1(1) = 1 as well."
            )
            return solution
    reasons.append(
        f"No mean of {', '.join(direction.signs)} makes m_1(1) = 1 where gradients do not grow: "
        "it is left at 0."
    )
    return feasible(backward, placed)


def _criticality_by_gates(backward: Backward, start: Design, reasons: list[str]) -> Solution:
    """Every sigma_w is fixed: the free direction has to make the cell critical.

    Raises:
        InfeasibleError: nothing is free, or nothing along it is critical.
    """
    direction = direction_of(start)
    if direction is None:
        raise InfeasibleError(
            "every sigma_w is fixed and so is what could make up for it: leave one open",
            "m_1 = 1",
        )

    def excess(at: float) -> float:
        try:
            tangent = backward.solve(direction.move(start, at)).tangent
            return tangent.mean_square - 1.0 if tangent.operator is None else tangent.growth
        except InfeasibleError:
            return math.nan

    points = _RETENTION
    values = np.array([excess(at) for at in points])
    change = np.flatnonzero(values[:-1] * values[1:] <= 0)
    if not len(change):
        best = points[int(np.nanargmin(np.abs(values)))] if np.isfinite(values).any() else math.nan
        raise InfeasibleError(
            f"m_1 = 1 is not reached along {direction.label} with every sigma_w fixed; the nearest "
            f"is at {best:.4g}",
            "m_1 = 1",
        )
    at = float(brentq(excess, points[change[0]], points[change[0] + 1], xtol=_RETENTION_XTOL))
    reasons.append(f"{direction.label} = {at:.4g}: every sigma_w is fixed, and there m_1 = 1.")
    return backward.solve(direction.move(start, at))


def _explained(solution: Solution) -> list[str]:
    """Why each number that no objective chose is what it is."""
    design, said = solution.design, []
    one_step = len(design.cell.states) == 1 and solution.averages.closed is not None
    solved = solution.tangent.operator is not None and not one_step
    aim = "gradients do not grow" if solved else "m_1 = 1"
    read_through = {
        gate.name
        for p, seen in design.cell.sees.items()
        if p.name == design.main
        for gate in seen.free_symbols
    }
    for name, choice in design.choices.items():
        law = solution.ensemble[name]
        if name == design.main:
            said.append(f"sigma_w of {name} = {law.sigma_w:.6g}: the value at which {aim}.")
            gates = {*design.gating.recurrent} - {*design.gating.candidates}
            if law.sigma_w > _LARGE and gates:
                said.append(
                    f"That is large, because what {name} reads or writes passes through gates that "
                    "are mostly shut, and m_1 = 1 has to be met through them: a critical point, "
                    "but one that a gate which opens during training leaves at once. Fix a smaller "
                    "mean of the gate, or its sigma_w, for a scheme to train from."
                )
            if design.is_free(name, "q") and solution.q[name] != _VARIANCE and choice.q is not None:
                share = solution.input_share(name)
                least = " the least that" if share <= LEAST_INPUT * (1 + _LEAST_SHARE) else " which"
                said.append(
                    f"q of {name} = {solution.q[name]:.4g},{least} leaves the input "
                    f"{share:.0%} of it and the stationary state stable."
                )
        elif name in design.gating.recurrent and choice.sigma_w is None:
            share = law.sigma_w**2 * solution.averages.seen[name] / solution.q[name]
            why = "a gate that varies, and mostly with the input."
            if name in design.gating.candidates:
                why = f"a free choice, criticality being met by {design.main}."
            if name in design.gating.coupled and solution.q[name] == abs(choice.mu_b):
                why = (
                    "as large as its mean, so that what it writes it writes in the moments in "
                    "which it opens."
                )
                if name not in read_through:
                    why = f"{why[:-1]}, and the weights need not grow with the horizon."
            said.append(
                f"{name} has variance {solution.q[name]:.4g}, {share:.0%} of it from the state: "
                f"{why}"
            )
    return said
