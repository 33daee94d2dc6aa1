"""How long, and with how many units, until a growth rate is as good as asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.units.growth_limit import GrowthLimit, growth_limit
from rnnmft.errors import Status
from rnnmft.sampling import Sampling

__all__ = ["GrowthFound", "search_growth"]

Array = NDArray[np.float64]
#: Runs of given units over given steps: log_m_1 (R, T), and log_sums where there are any.
Draw = Callable[[Sampling, int], Mapping[str, Array]]

_FIRST_HORIZON, _LAST_HORIZON = 32, 512
# Where no tolerance is asked: a bracket of half-width .002 a step.
_WANTED = 0.002 / 3**0.5
# An error that is noise for the most part is not made much smaller by more steps: no more of them
# than these, where they cost more than units.
_LONG = 64
_PILOT_UNITS, _PILOT_REPETITIONS = 4096, 8
# Of a repetition. Averages over fewer are biased; more of them are better spent on repetitions.
_FEWEST_UNITS, _MOST_UNITS = 1 << 10, 1 << 14
_ROUNDING = {"float64": 1e-9, "float32": 1e-6}


@dataclass(frozen=True)
class GrowthFound:
    """A growth rate, whether it is as good as asked, and from how many steps and units."""

    limit: GrowthLimit
    status: Status
    horizon: int
    units: int


def search_growth(draw: Draw, sampling: Sampling, *, tied: bool) -> GrowthFound:
    """Double the steps while the bracket is too wide, multiply the units while it is too noisy.

    Args:
        draw: makes the runs.
        sampling: with a tolerance: wanted error per step; units are added up to `max_units`.
            Without one `units` is the most that is drawn, the bracket is made narrower than .002
            to either side, and what noise remains is in the error.
        tied: whether weights are.

    Returns:
        The last rate, with MAX_STEPS where the longest run leaves too wide a bracket, and
        NOT_CONVERGED where `max_units` are too noisy for the tolerance.
    """
    asked = sampling.tolerance
    wanted = _WANTED if asked is None else asked
    most = sampling.total if asked is None else sampling.max_units
    plan = replace(sampling, tolerance=None)
    if asked is not None and plan.total > _PILOT_UNITS * _PILOT_REPETITIONS:
        plan = plan.of(_PILOT_UNITS, _PILOT_REPETITIONS)
    horizon = _FIRST_HORIZON
    while True:
        values = draw(plan, horizon)
        limit = growth_limit(
            values["log_m_1"],
            values.get("log_sums"),
            exponential=not tied,
            rounding=_ROUNDING[sampling.dtype],
        )
        found = GrowthFound(limit, Status.OK, horizon, plan.total)
        if limit.error <= wanted:
            return found
        noisy = limit.noise > limit.error / 3
        if noisy and 2 * plan.total <= most:
            plan = _more(plan, min(4, most // plan.total))
        elif horizon == _LAST_HORIZON or (noisy and horizon >= _LONG):
            if not noisy:
                return replace(found, status=Status.MAX_STEPS)
            return found if asked is None else replace(found, status=Status.NOT_CONVERGED)
        else:
            horizon *= 2
            plan = _fewer(plan, limit.noise, wanted)


def _more(plan: Sampling, factor: int) -> Sampling:
    """So many times the units."""
    each = plan.per_repetition
    if factor * each <= _MOST_UNITS:
        return plan.of(factor * each, plan.repetitions)
    return plan.of(each, factor * plan.repetitions)


def _fewer(plan: Sampling, noise: float, wanted: float) -> Sampling:
    """As many units as make the noise half of what is wanted, if those are fewer."""
    each = plan.per_repetition
    needed = max(math.ceil(each * (2.0 * noise / wanted) ** 2), _FEWEST_UNITS)
    return plan.of(min(each, needed), plan.repetitions)
