"""What is near a request that cannot be had: the same with another mean, variance, or both."""

from __future__ import annotations

import numpy as np

from rnnmft.analysis.critical.backward import Backward
from rnnmft.analysis.critical.design import Design
from rnnmft.analysis.critical.objective import mean_direction
from rnnmft.analysis.critical.sound import least_driven, settles
from rnnmft.errors import InfeasibleError

__all__ = ["with_mean", "with_nearest"]


def with_mean(
    error: InfeasibleError, backward: Backward, start: Design, horizon: float
) -> InfeasibleError:
    """The error with the nearest mean, and its q, at which networks settle, if there is one."""
    direction = mean_direction(start)
    if direction is None:
        return error
    (name,) = direction.signs
    for at in reversed(direction.points):
        try:
            moved = direction.move(start, at)
            free = moved.is_free(name, "q")
            found = least_driven(backward, moved) if free else backward.solve(moved)
        except InfeasibleError:
            continue
        if settles(found, horizon):
            mean, q = -at, found.q[name]
            return InfeasibleError(
                f"{error}. The nearest that can be had is mu_b = {mean:.4g} and q = {q:.4g} of "
                f"{name!r}",
                error.inequality,
                {(name, "mu_b"): mean, (name, "q"): q},
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
        return bool(start.roles.retention) or settles(found, horizon)

    scale = max(abs(value), 1.0)
    for step in np.geomspace(0.02, 20.0, 24) * scale:
        for at in (value - step, value + step):
            if (parameter == "q" and at <= 0) or not works(at):
                continue
            good, bad = at, value
            for _ in range(30):
                middle = (good + bad) / 2
                good, bad = (middle, bad) if works(middle) else (good, middle)
            return float(good)
    return None
