"""A design: what is chosen of each preactivation before the equations are solved for the rest.

Each preactivation has five numbers and one equation between them,

    q = sigma_w^2 E[y^2] + sigma_v^2 R + sigma_b^2.

Four are chosen (by the user, by a rule, or by criticality for one sigma_w); the fifth balances.

Eq. (balance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnnmft.errors import ParameterError
from rnnmft.initialization.design.gating import Gating
from rnnmft.language import Cell, Inputs
from rnnmft.parameters import PREACTIVATION_PARAMETERS, Parameter

__all__ = ["BALANCES", "Choice", "Design", "checked_fix", "design"]

#: Which of its numbers the equation of a preactivation may give.
BALANCES = ("sigma_v", "sigma_b", "sigma_w", "q")

_Q = Parameter("q", 0.0, float("inf"), (0.1, 16.0), 1.0, "variance of the preactivation")
_KNOWN = {**PREACTIVATION_PARAMETERS, "q": _Q}

Fix = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Choice:
    """One preactivation: numbers that are chosen, None where they are to be found.

    `balance` is the one that its equation gives, of `BALANCES`.
    """

    mu_b: float
    q: float | None
    sigma_w: float | None
    sigma_v: float | None
    sigma_b: float | None
    balance: str
    share: float


@dataclass(frozen=True)
class Design:
    """The choices for every preactivation of a cell, and whose sigma_w criticality sets."""

    cell: Cell
    inputs: Inputs
    gating: Gating
    main: str | None
    choices: Mapping[str, Choice]
    fixed: Fix

    def with_(self, name: str, **changes: Any) -> Design:
        """The design with other numbers for one preactivation."""
        choices = {**self.choices, name: replace(self.choices[name], **changes)}
        return replace(self, choices=choices)

    def opened(self, means: Mapping[str, float]) -> Design:
        """The design with other means of gates.

        A gate z that keeps the state and adds 1 - z of something new adds little when it stays
        shut: for a lognormal 1 - z, E[(1 - z)^2] is far below E[1 - z^2], and criticality asks for
        weights that grow with the horizon. With a variance as large as its mean a gate opens now
        and then, E[1 - z^2] comes from those moments, and sigma_w is the same for any horizon.
        """
        design = self
        for name, mean in means.items():
            q = self.choices[name].q
            widened = name in self.gating.coupled and name != self.main and self.is_free(name, "q")
            design = design.with_(
                name, mu_b=mean, q=max(q, abs(mean)) if widened and q is not None else q
            )
        return design

    def is_free(self, name: str, parameter: str) -> bool:
        """Whether the user left it open."""
        return parameter not in self.fixed.get(name, {})


def checked_fix(cell: Cell, fix: Mapping[str, Mapping[str, Any]] | None) -> Fix:
    """What the user fixes, as numbers.

    Raises:
        ParameterError: an unknown preactivation or parameter, or a number outside its domain.
    """
    if fix is None:
        return {}
    if not isinstance(fix, Mapping):
        raise ParameterError(f"fix must map preactivations to parameters, got {fix!r}")
    known = {p.name: p for p in cell.preactivations}
    found: dict[str, dict[str, float]] = {}
    for name, given in fix.items():
        if name not in known:
            raise ParameterError(
                f"fix names unknown preactivation {name!r}; this cell has {', '.join(known)}"
            )
        if not isinstance(given, Mapping):
            raise ParameterError(f"fix[{name!r}] must map parameters to numbers, got {given!r}")
        found[name] = {}
        for key, value in given.items():
            if key not in _KNOWN:
                raise ParameterError(f"fix: unknown parameter {name}.{key}; {', '.join(_KNOWN)}")
            found[name][key] = _KNOWN[key].validate(value, f"fix: {name}")
    return found


def design(
    cell: Cell, inputs: Inputs, gating: Gating, fixed: Fix, variance: float, share: float
) -> Design:
    """The design before anything free is chosen: q = `variance`, mu_b = sigma_b = 0.

    Args:
        cell: whose.
        inputs: where R = 0 no sigma_v can balance.
        gating: of its preactivations.
        fixed: the user's numbers.
        variance: of every preactivation, to begin with.
        share: of q that the recurrent weights bring, where no equation says it.
    """
    main = gating.main(n for n, given in fixed.items() if "sigma_w" in given)
    choices = {}
    for p in cell.preactivations:
        given = fixed.get(p.name, {})
        driven = p.has_input and inputs.R > 0
        balance = _balance(p.name, given, driven, p.is_recurrent, p.name == main)
        choices[p.name] = Choice(
            mu_b=given.get("mu_b", 0.0),
            q=given.get("q", None if balance == "q" else variance),
            sigma_w=given.get("sigma_w", None if p.is_recurrent else 0.0),
            sigma_v=given.get("sigma_v", None if balance == "sigma_v" else _absent(p.has_input)),
            sigma_b=given.get("sigma_b", None if balance == "sigma_b" else 0.0),
            balance=balance,
            share=share,
        )
    return Design(cell, inputs, gating, main, choices, fixed)


def _absent(has_input: bool) -> float:
    """sigma_v where it cannot balance (R = 0): the ensemble's default, or none without input."""
    return PREACTIVATION_PARAMETERS["sigma_v"].default if has_input else 0.0


def _balance(
    name: str, given: Mapping[str, float], driven: bool, recurrent: bool, main: bool
) -> str:
    """Which number the preactivation's equation gives.

    Raises:
        ParameterError: none is left.
    """
    if driven and "sigma_v" not in given:
        return "sigma_v"
    if recurrent and not main and "sigma_w" not in given:
        return "sigma_w"
    if "q" not in given:
        return "q"
    if "sigma_b" not in given:
        return "sigma_b"
    raise ParameterError(
        f"fix leaves nothing of {name!r} open: q = sigma_w^2 E[y^2] + sigma_v^2 R + sigma_b^2 "
        "binds these numbers, so leave one of them out"
    )
