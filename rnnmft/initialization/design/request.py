"""What is asked of critical design, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnmft.errors import ParameterError
from rnnmft.initialization.design.design import checked_fix
from rnnmft.language import Cell, Inputs
from rnnmft.language.laws import Law

__all__ = ["OBJECTIVES", "Request"]

OBJECTIVES = ("isometry", "timescale", "fixed")


@dataclass(frozen=True)
class Request:
    """What is asked for, checked.

    Attributes:
        horizon: T of the objective, in steps.
        laws: of elementwise random parameters, by name.
    """

    cell: Cell
    inputs: Inputs
    weights: str | Mapping[str, str]
    fixed: Mapping[str, Mapping[str, float]]
    objective: str
    horizon: float
    laws: Mapping[str, Law]
    sampling: Any

    @classmethod
    def checked(
        cls,
        cell: Cell,
        inputs: Inputs,
        weights: str | Mapping[str, str],
        fix: Mapping[str, Mapping[str, float]] | None,
        objective: str,
        horizon: Any,
        laws: Mapping[str, Law] | None,
        sampling: Any,
    ) -> Request:
        """The request, or a ParameterError that names what is wrong with it."""
        if objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise ParameterError(f"objective must be one of {known}, got {objective!r}")
        if isinstance(horizon, bool) or not isinstance(horizon, (int, float)):
            raise ParameterError(f"horizon must be a number of steps >= 1, got {horizon!r}")
        if not 1 <= horizon < math.inf:
            raise ParameterError(f"horizon must be a number of steps >= 1, got {horizon!r}")
        fixed = checked_fix(cell, fix)
        # Whatever the cell's own ensemble refuses is refused now.
        cell.ensemble(weights, laws)
        return cls(
            cell, inputs, weights, fixed, objective, float(horizon), dict(laws or {}), sampling
        )
