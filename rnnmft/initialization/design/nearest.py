"""What is near a request that cannot be had: the same with another mean or variance."""

from __future__ import annotations

import numpy as np

from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.backward import Backward
from rnnmft.initialization.design.design import Design
from rnnmft.initialization.design.objective import direction_of, widened
from rnnmft.initialization.design.sound import settles

__all__ = ["with_nearest", "with_wide"]

# Steps away from a value, of its size and at least of 1, a third more each.
_STEPS = np.geomspace(0.02, 20.0, 24)
# Halvings of the last towards the value, to 1e-9 of it.
_HALVINGS = 30


def with_wide(
    error: InfeasibleError, backward: Backward, start: Design, horizon: float
) -> InfeasibleError:
    """The error with the least large q to whose state networks settle, if there is one."""
    direction = direction_of(start)
    wide = None if direction is None else widened(direction)
    if wide is None:
        return error
    (name,) = wide.signs
    for q in wide.points:
        try:
            found = backward.solve(wide.move(start, q))
        except InfeasibleError:
            continue
        if settles(found, horizon):
            return InfeasibleError(
                f"{error}. The nearest that can be had is q = {q:.4g} of {name!r}",
                error.inequality,
                {(name, "q"): q},
            )
    return error


def with_nearest(
    error: InfeasibleError, backward: Backward, start: Design, horizon: float
) -> InfeasibleError:
    """The error with the nearest values of what the user fixed that can be had, if one is."""
    for name, given in start.fixed.items():
        for parameter in ("q", "mu_b"):
            if parameter not in given or error.nearest:
                continue
            value = _nearest(backward, start, name, parameter, given[parameter], horizon)
            if value is not None:
                return InfeasibleError(
                    f"{error}. The nearest that can be had is {parameter} = {value:.4g} of "
                    f"{name!r}, all else being equal",
                    error.inequality,
                    {(name, parameter): value},
                )
    return error


def _nearest(
    backward: Backward, start: Design, name: str, parameter: str, value: float, horizon: float
) -> float | None:
    """The nearest value of one number with a solution, by widening steps and then halving."""

    def works(at: float) -> bool:
        try:
            found = backward.solve(start.with_(name, **{parameter: at}))
        except InfeasibleError:
            return False
        return bool(start.gating.retention) or settles(found, horizon)

    scale = max(abs(value), 1.0)
    for step in _STEPS * scale:
        for at in (value - step, value + step):
            if (parameter == "q" and at <= 0) or not works(at):
                continue
            good, bad = at, value
            for _ in range(_HALVINGS):
                middle = (good + bad) / 2
                good, bad = (middle, bad) if works(middle) else (good, middle)
            return float(good)
    return None
