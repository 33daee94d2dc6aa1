"""Critical over T steps by the law of what a unit multiplies itself with: cells without W.

    m_1(T) = E prod_t (ds^{t+1} / ds^t)^2 = 1    of    u = a u_0

The Jacobian of an IndRNN is diagonal, and a unit's gradient a product of its own factors. They
differ from unit to unit, so that those with the largest u carry the mean more and more: of
(1/T) log m_1(T) the limit is the largest growth of any unit, which says nothing of the others. What
is asked for is the law's scale at a stated horizon. For the identity and u_0 uniform in [0, 1] it
is a^(2T) = 2T + 1, above the 2^(1/T) up to which [li2018] draws u: that one bounds the gradient of
the largest unit, not their mean square.

Eq. (own-factors).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.burn_in import stationary_after
from rnnmft.initialization.design.design import Design, design
from rnnmft.initialization.design.gating import gating
from rnnmft.initialization.design.request import Request
from rnnmft.initialization.design.tied import root_of_growth
from rnnmft.language import Cell, Ensemble
from rnnmft.language.laws import Constant, Empirical, Law, LogUniform, Normal, Uniform
from rnnmft.records import STANDARD_ERROR, Quantity

__all__ = ["OwnFactors", "factors_of", "solve_own_factors"]

# What of a law a factor a multiplies.
_SCALED: Mapping[type[Law], tuple[str, ...]] = {
    Normal: ("mean", "std"),
    Uniform: ("low", "high"),
    LogUniform: ("low", "high"),
    Constant: ("value",),
    Empirical: ("values",),
}
# The first step of log a. Of the identity a is (2T + 1)^(1 / 2T): .03 above 0 at T = 100.
_FIRST_STEP = 0.02


@dataclass(frozen=True)
class OwnFactors:
    """An ensemble whose m_1(T) is 1, (1/T) log m_1(T) there and at scale 1, and why it is this."""

    design: Design
    ensemble: Ensemble
    start: Ensemble
    growth: Quantity
    growth_before: Quantity
    method: str
    reasons: tuple[str, ...]


def factors_of(cell: Cell) -> tuple[str, ...]:
    """The elementwise parameters that multiply a state in its own step."""
    slopes = [sp.diff(f, s) for f in cell.update.values() for s in cell.states]
    by_state = {
        p.name
        for p in cell.parameters
        for f in cell.update.values()
        for s in cell.states
        if sp.diff(f, p).has(s) and sp.diff(f.subs(s, 0), p) != sp.diff(f, p)
    }
    return tuple(p.name for p in cell.parameters if p.name in by_state and any(slopes))


def solve_own_factors(request: Request, tolerance: float) -> OwnFactors:
    """Scale the laws of a cell's own factors until m_1(T) = 1 at the horizon of the request.

    Args:
        request: of a cell without recurrent weights.
        tolerance: of log m_1(T).

    Raises:
        InfeasibleError: no law of the cell can be scaled, or no scale does it.
    """
    cell, T = request.cell, max(round(request.horizon), 1)
    names = factors_of(cell)
    _check(cell, names, request.laws)
    placed = design(cell, request.inputs, gating(cell), request.fixed, 1.0, 0.0)
    start = cell.ensemble(request.weights, request.laws, **_fed(placed))

    def scaled(log_scale: float) -> Ensemble:
        laws = {n: _scaled(start.parameters[n], math.exp(log_scale)) for n in names}
        return Ensemble(start.laws, {**start.parameters, **laws})

    def growth(log_scale: float) -> Quantity:
        return _growth(request, scaled(log_scale), T)

    before = growth(0.0)
    at = root_of_growth(
        lambda v: float(growth(v)), tolerance / T, f"the law of {', '.join(names)}", _FIRST_STEP
    )
    reasons = [
        f"{name} = {scaled(at).parameters[name]!r}: {math.exp(at):.6g} times the law that was "
        f"given; there m_1({T}) = 1. A unit's gradient is the product of its own factors: the mean "
        "over units is carried by those with the largest, and is 1 at another scale over another "
        "number of steps."
        for name in names
    ]
    method = _field(request, start).method
    return OwnFactors(placed, scaled(at), start, growth(at), before, method, tuple(reasons))


def _check(cell: Cell, names: tuple[str, ...], laws: Mapping[str, Law]) -> None:
    diagonal = (
        f"cell {cell.name!r} has no recurrent weights to make critical: its Jacobian is diagonal, "
        "and a unit's gradient is a product of its own factors alone"
    )
    if not names:
        raise InfeasibleError(
            f"{diagonal}, which no law of its own scales. MeanField(cell, ensemble)."
            "jacobian_means(T) is m_1 over T steps"
        )
    fixed = [n for n in names if type(laws[n]) not in _SCALED]
    if fixed:
        raise InfeasibleError(
            f"{diagonal}; of them {', '.join(fixed)} has a law without a scale, "
            f"{laws[fixed[0]]!r}: give one of {', '.join(law.__name__ for law in _SCALED)}"
        )


def _scaled(law: Law, scale: float) -> Law:
    """The law of scale times a number."""
    if isinstance(law, Empirical):
        return Empirical(tuple(scale * v for v in law.values))
    given: dict[str, Any] = {f: scale * getattr(law, f) for f in _SCALED[type(law)]}
    return replace(law, **given)


def _fed(placed: Design) -> dict[str, dict[str, float]]:
    """Every preactivation's numbers: its q from the input, or from what else balances it."""
    found = {}
    for name, c in placed.choices.items():
        row = {"mu_b": c.mu_b, "sigma_v": c.sigma_v or 0.0, "sigma_b": c.sigma_b or 0.0}
        if c.q is not None and c.balance in ("sigma_v", "sigma_b"):
            other = row["sigma_b"] ** 2 if c.balance == "sigma_v" else row["sigma_v"] ** 2
            R = placed.inputs.R
            left, size = (c.q - other, R) if c.balance == "sigma_v" else (c.q - other * R, 1.0)
            if left < 0.0:
                raise InfeasibleError(
                    f"{c.balance}^2 >= 0 of {name!r} fails ({left:.4g})",
                    f"{c.balance}^2 >= 0 of {name!r}",
                )
            row[c.balance] = math.sqrt(left / size)
        found[name] = row
    return found


def _field(request: Request, ensemble: Ensemble) -> MeanField:
    s = request.sampling
    options: dict[str, Any] = {"particles": s.units, "repetitions": s.repetitions}
    options |= {"seed": s.seed, "device": s.device}
    return MeanField(request.cell, ensemble, request.inputs, "tied", **options)


def _growth(request: Request, ensemble: Ensemble, horizon: int) -> Quantity:
    """(1/T) log m_1(T), after as many steps as the state takes to settle."""
    burn_in = stationary_after(request.horizon)
    found = _field(request, ensemble).jacobian_means(horizon, burn_in=burn_in)
    value, error = float(found.value[-1]), float(found.error[-1])
    return Quantity(
        f"(1/T) log m_1(T) at T = {horizon}",
        math.log(value) / horizon if value > 0.0 else -math.inf,
        error / value / horizon if value > 0.0 else math.inf,
        found.status,
        unit="per step",
        error_kind=STANDARD_ERROR,
    )
