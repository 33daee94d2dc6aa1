"""What a validation will do, fixed before its networks are drawn: theories, claims, numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnnmft.errors import DerivationError, ParameterError
from rnnmft.parameters import TYINGS
from rnnmft.solvers.results import Trajectory
from rnnmft.validation.effective_dimension import choose_points
from rnnmft.validation.extrapolation import WidthDesign
from rnnmft.validation.sample_size import (
    PILOT_NETWORKS,
    Pilot,
    given_design,
    needed_error,
    needed_networks,
    share_networks,
)
from rnnmft.validation.setting import PILOT, SimulationSetting
from rnnmft.validation.target import Target, Untested
from rnnmft.validation.theories import Theory, Units, checked_units, solve_theory

__all__ = ["Plan", "make_plan"]

#: The main verdict first.
# A gap that is only estimated takes this fraction of the networks that a claim needs.
_GAP_SHARE = 2
# What a theory's own standard error may take of the error that sees the control: units are cheaper
# than networks; 0.4 of it make the whole 8 % larger. The number of claims is not known yet; it
# enters by a logarithm.
_OWN_SHARE, _ABOUT_CLAIMS = 0.4, 30
# One network of width N scatters by at least about this over sqrt(N): where the networks given are
# few, units need not be many.
_LEAST_SCATTER = 0.5


@dataclass(frozen=True, eq=False)
class Plan:
    """The theories, the claims and the networks of a validation.

    Attributes:
        setting: of the simulations.
        theory: {tying: moments over time}.
        claims: {tying: claims of that theory}; the order of the report.
        shown: {tying: what is shown beside its claims and not tested}.
        untested: what a theory could not predict.
        design: {tying: widths and networks}, for each tying that will be simulated.
        pilot: {tying: how the numbers were found}.
        threshold: of each claim's p-value.
        control: the fraction by which controls move predictions.
    """

    setting: SimulationSetting
    theory: dict[str, Trajectory]
    claims: dict[str, list[Target]]
    shown: dict[str, list[Target]]
    untested: list[Untested]
    design: dict[str, WidthDesign]
    pilot: dict[str, Pilot]
    threshold: float
    control: float


def make_plan(
    setting: SimulationSetting,
    tyings: Iterable[str],
    widths: Any,
    networks: Any,
    gap: bool,
    false_alarm_rate: float,
    control: float,
    sampling: Mapping[str, int] | None = None,
) -> Plan:
    """Solve the theories, draw up their claims, and fix the number of networks."""
    _check_fraction("false_alarm_rate", false_alarm_rate)
    _check_fraction("control", control)
    chosen = _checked_tyings(tyings)
    given = given_design(widths, 2 if networks is None else networks)
    error = needed_error(false_alarm_rate / _ABOUT_CLAIMS, control)
    if networks is not None:
        error = max(error, _LEAST_SCATTER * math.sqrt(given.variance_factor()))
    setting = replace(setting, points=choose_points(setting, given.widths[0], chosen[0]))
    solved, missing = _solve(setting, chosen, checked_units(sampling or {}), _OWN_SHARE * error)
    claims = {tying: theory.claims for tying, theory in solved.items()}
    shown = {tying: theory.shown for tying, theory in solved.items()}
    untested = [*missing, *(u for theory in solved.values() for u in theory.untested)]
    threshold = false_alarm_rate / max(sum(map(len, claims.values())), 1)
    theory = {tying: found.trajectory for tying, found in solved.items()}
    plan = Plan(setting, theory, claims, shown, untested, {}, {}, threshold, control)
    tested = [tying for tying, measured in claims.items() if measured]
    if networks is None:
        sized = _sized(plan, given.widths, tested)
        plan.design.update({tying: design for tying, (design, _) in sized.items()})
        plan.pilot.update({tying: pilot for tying, (_, pilot) in sized.items()})
    else:
        plan.design.update(dict.fromkeys(tested, given))
    if gap and claims.get("untied") and "tied" not in plan.design:
        counts = plan.design["untied"].networks
        plan.design["tied"] = WidthDesign(
            given.widths, tuple(max(n // _GAP_SHARE, 2) for n in counts)
        )
    return plan


def _solve(
    setting: SimulationSetting, tyings: list[str], units: Units, precision: float
) -> tuple[dict[str, Theory], list[Untested]]:
    """The theories that there are; one that does not exist is left out if another does."""
    solved: dict[str, Theory] = {}
    missing: dict[str, DerivationError | ParameterError] = {}
    for tying in tyings:
        try:
            solved[tying] = solve_theory(setting, tying, units, precision)
        except (DerivationError, ParameterError) as error:
            missing[tying] = error
    if not solved:
        raise next(iter(missing.values()))
    return solved, [Untested("everything", tying, str(e)) for tying, e in missing.items()]


def _sized(
    plan: Plan, widths: tuple[int, ...], tested: list[str]
) -> dict[str, tuple[WidthDesign, Pilot]]:
    """The networks of each theory, by a pilot; they share the time."""
    needs = {
        tying: needed_networks(
            widths,
            plan.claims[tying],
            plan.setting.run(widths[0], PILOT_NETWORKS, tying, PILOT),
            sum(plan.setting.costs(widths, tying)),
            plan.threshold,
            plan.control,
        )
        for tying in tested
    }
    return share_networks(widths, needs)


def _checked_tyings(tyings: Iterable[str]) -> list[str]:
    chosen = [tyings] if isinstance(tyings, str) else list(tyings)
    for tying in chosen:
        if tying not in TYINGS:
            raise ParameterError(f"tyings must be among {', '.join(TYINGS)}, got {tying!r}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ParameterError(f"tyings must name each theory to test once, got {chosen}")
    return chosen


def _check_fraction(name: str, value: Any) -> None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or not 0 < value < 1:
        raise ParameterError(f"{name} must be a number between 0 and 1, got {value!r}")
