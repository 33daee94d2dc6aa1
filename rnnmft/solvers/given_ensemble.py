"""An ensemble whose preactivations have given laws."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.ensemble import PreactivationLaw
from rnnmft.language.laws import Law

__all__ = ["given_ensemble"]


def given_ensemble(
    cell: Cell,
    inputs: Inputs,
    q: Mapping[str, float],
    mu: Mapping[str, float],
    squares: Mapping[str, float],
    seen: Mapping[str, float],
    laws: Mapping[str, Law],
) -> Ensemble:
    """An ensemble whose preactivations have variances q whatever it is made of.

    What sigma_w^2 E[y^2] leaves of q is given to the input where it has one, else to the bias.
    """
    rows = {}
    for p in cell.preactivations:
        square = squares.get(p.name, 0.0)
        rest = max(q[p.name] - square * seen.get(p.name, 0.0), 0.0)
        driven = p.has_input and inputs.R > 0
        rows[p.name] = PreactivationLaw(
            sigma_w=math.sqrt(square),
            sigma_v=math.sqrt(rest / inputs.R) if driven else 0.0,
            mu_b=mu[p.name],
            sigma_b=0.0 if driven else math.sqrt(rest),
        )
    return Ensemble(rows, laws)
