"""How long, and with how many units, until a growth rate is as good as asked.

Eq. (growth-bracket).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.checks import decided_by_many
from rnnmft.units.growth_limit import GrowthLimit, growth_limit
from rnnmft.units.repetitions import Samples, bias_of, calibrated_error, mean_and_error

__all__ = [
    "Effort",
    "GrowthFound",
    "GrowthSearch",
    "growth_runs",
    "limit_of",
    "search_cross_growth",
    "search_growth",
]

Array = NDArray[np.float64]
#: Runs of given units over given steps: m_1, log_m_1 (R, T), and log_sums where there are any.
Draw = Callable[[Sampling, int], Samples]

# Steps, doubled: the first two brackets need 16 and more; a step sees all before, so that 512 cost
# 250 times what 32 do.
_FIRST_HORIZON, _LAST_HORIZON = 32, 512
# Fewer steps than this have no limit: the last slope is what there is.
_FEWEST_STEPS = 16
# Where no tolerance is asked: of maps a bracket of half-width .002 a step, of one setting an error
# as large, so that an exponent, half of it, is known to .001.
_WANTED, _WANTED_OF_ONE = 0.002 / 3**0.5, 0.002
# Of cross moments: a part of the rate, so that xi_c is as good whatever its size, up to 5 * 10^4
# steps.
_CROSS_WANTED, _LEAST_WANTED = 0.1, 2e-5
# Standard errors that a step of theirs must be worth, and where few of them are worth so many.
_CLEAR, _JUST_CLEAR = 10.0, 4.0
# Noise that is a third of the error (half, for cross moments) is worth more units: up to four times
# more.
_NOISY, _CROSS_NOISY, _MORE = 1 / 3, 0.5, 4
# An error that is noise for the most part is not made much smaller by more steps: no more of them
# than these, where they cost more than units.
_LONG = 64
# Of one setting a perturbation goes on where it ended: up to so many steps that costs less than the
# units that make as much of the noise.
_PATIENT = 128
# Of a first run that tells how many are wanted: as in `units.repetitions`.
_PILOT_UNITS, _PILOT_REPETITIONS = 4096, 8
# Of a repetition. Averages over fewer are biased; more of them are better spent on repetitions.
_FEWEST_UNITS, _MOST_UNITS = 1 << 10, 1 << 14
# Of a slope of log m_1: sums over 10^4 units, far below any noise.
_ROUNDING = {"float64": 1e-9, "float32": 1e-6}


@dataclass(frozen=True)
class GrowthFound:
    """A growth rate, whether it is as good as asked, and from how many steps and units."""

    limit: GrowthLimit
    status: Status
    horizon: int
    units: int


@dataclass(frozen=True)
class Effort:
    """Where a search begins, and what it spends.

    Attributes:
        first_horizon, last_horizon: steps, doubled.
        long: of an error that is mostly noise, where more steps cost more than units.
        most_units: of a repetition; what is more are more repetitions.
        wanted: error, where the sampling has no tolerance of its own.
        noisy: the part of an error from which on noise is worth more units ..
        patient: .. from so many steps on: fewer are worth more of them, which see less noise, too.
        least, more: times the units that are asked for next, at least and at most.
        deciding: and where so few of them decide that their spread is no guide; 0: that is the end.
        averaged: the part of the noise that counts: less than 1 where others average it.
    """

    first_horizon: int = _FIRST_HORIZON
    last_horizon: int = _LAST_HORIZON
    long: int = _LONG
    most_units: int = _MOST_UNITS
    wanted: float = _WANTED
    noisy: float = _NOISY
    patient: int = 0
    least: float = 2.0
    more: float = _MORE
    deciding: float = 0.0
    averaged: float = 1.0


#: Asks for runs of given units over given steps, and ends with the rate.
GrowthSearch = Generator[tuple[Sampling, int], Samples, GrowthFound]


def search_growth(
    draw: Draw, sampling: Sampling, few: Sampling, *, tied: bool, settled: int = 0
) -> GrowthFound:
    """The growth rate by `growth_runs`, each of which `draw` makes.

    Args:
        draw: makes them.
        sampling: the units, or their tolerance.
        few: to begin with; where they are too few to decide, the search begins again with all.
        tied: whether weights are.
        settled: steps before them.
    """
    plan = few
    if sampling.tolerance is not None and sampling.total > _PILOT_UNITS * _PILOT_REPETITIONS:
        plan = sampling.of(_PILOT_UNITS, _PILOT_REPETITIONS)
    first = min(max(_FIRST_HORIZON, settled // 2), _LAST_HORIZON // 2)
    effort = Effort(first, long=_PATIENT, wanted=_WANTED_OF_ONE, patient=_PATIENT)
    found = _search(draw, growth_runs(sampling, plan, effort, tied=tied))
    undecided = found.status is Status.NOT_CONVERGED and sampling.tolerance is None
    if undecided and found.units < sampling.total:
        found = _search(draw, growth_runs(sampling, sampling, effort, tied=tied))
    return found


def _search(draw: Draw, search: GrowthSearch) -> GrowthFound:
    wanted = next(search)
    while True:
        try:
            wanted = search.send(draw(*wanted))
        except StopIteration as end:
            return end.value


def growth_runs(sampling: Sampling, first: Sampling, effort: Effort, *, tied: bool) -> GrowthSearch:
    """Double the steps while the bracket is too wide, multiply the units while it is too noisy.

    Args:
        sampling: with a tolerance: wanted error per step; units are added up to `max_units`.
            Without one `units` is the most that is drawn, the bracket is made narrower than .002
            to either side, and what noise remains is in the error.
        first: units to begin with.
        effort: the steps to begin and to end with.
        tied: whether weights are.

    Returns:
        The last rate, with MAX_STEPS where the longest run leaves too wide a bracket, and
        NOT_CONVERGED where `max_units` are too noisy for the tolerance, or where so few of them
        decide the average that their spread is no guide to those that were not drawn.
    """
    asked = sampling.tolerance
    wanted = effort.wanted if asked is None else asked
    most = sampling.total if asked is None else sampling.max_units
    # A tolerance asks for as many units as it takes: no run is cut to the work of a default one.
    plan = first if asked is None else replace(first, tolerance=None, work=None)
    horizon = effort.first_horizon
    while True:
        drawn = yield plan, horizon
        if drawn.sampling.total < plan.total:  # all that a run of so many steps may have
            most = drawn.sampling.total
        plan = drawn.sampling
        limit = limit_of(drawn, horizon, tied)
        found = GrowthFound(limit, Status.OK, horizon, plan.total)
        if not decided_by_many(drawn.values, horizon):
            if not 0.0 < effort.deciding * plan.total <= most:
                return replace(found, status=Status.NOT_CONVERGED)
            plan = _more(plan, effort.deciding, effort.most_units)
            continue
        if math.isnan(limit.value):
            return replace(found, status=Status.UNDEFINED)
        limit = limit.averaged(effort.averaged)
        if limit.error <= wanted:
            return found
        noisy = limit.noise > effort.noisy * limit.error
        if noisy and 2 * plan.total <= most and horizon >= effort.patient:
            factor = _units_missing(limit, wanted, effort)
            plan = _more(plan, min(factor, most / plan.total), effort.most_units)
        elif horizon == effort.last_horizon or (noisy and horizon >= effort.long):
            if not noisy:
                return replace(found, status=Status.MAX_STEPS)
            return found if asked is None else replace(found, status=Status.NOT_CONVERGED)
        else:
            horizon *= 2
            plan = _fewer(plan, limit.noise, wanted)


def search_cross_growth(
    draw: Draw, sampling: Sampling, *, tied: bool, settled: int = 0
) -> GrowthFound:
    """The growth of cross moments: double the steps while that tells more of the rate.

    A correlation decays as exp(rate t), and with it what stands out of the noise: only the steps at
    which it does are looked at, and the search ends where they end.
    """
    horizon = min(max(_FIRST_HORIZON, settled // 2), _LAST_HORIZON // 2)
    while True:
        drawn = draw(sampling, horizon)
        end = _resolved(drawn.values["m_1"], _CLEAR)
        if end < _FEWEST_STEPS:
            end = _resolved(drawn.values["m_1"], _JUST_CLEAR)
        limit = limit_of(drawn, end, tied)
        found = GrowthFound(limit, Status.OK, horizon, drawn.sampling.total)
        if math.isnan(limit.value):
            return replace(found, status=Status.UNDEFINED)
        if end == 1:
            return replace(found, status=Status.NOT_CONVERGED)
        wanted = min(max(_CROSS_WANTED * abs(limit.value), _LEAST_WANTED), _WANTED)
        if limit.error <= wanted or end < horizon or limit.noise > _CROSS_NOISY * limit.error:
            return found
        if horizon == _LAST_HORIZON:
            return replace(found, status=Status.MAX_STEPS)
        horizon *= 2


def limit_of(drawn: Samples, end: int, tied: bool) -> GrowthLimit:
    """The growth rate from the first `end` steps, with what fewer units tell of the 1/M bias.

    Args:
        drawn: a run.
        end: how many of its steps.
        tied: whether weights are.
    """
    rounding = _ROUNDING[drawn.sampling.dtype]
    found = _read(drawn.values, end, tied, rounding)
    if drawn.small is None or not math.isfinite(found.value):
        return found
    small = _read(drawn.small, end, tied, rounding)
    if not math.isfinite(small.value):
        return found
    gap = small.value - found.value
    spread = np.asarray(math.hypot(small.noise, found.noise))
    bias = float(bias_of(np.asarray(gap), spread, drawn.smaller))
    error, noise = math.hypot(found.error, bias), math.hypot(found.noise, bias)
    told = gap / (drawn.smaller - 1.0) if drawn.smaller > 1.0 else math.inf
    return replace(found, error=error, noise=noise, bias=told)


def _read(values: Mapping[str, Array], end: int, tied: bool, rounding: float) -> GrowthLimit:
    logs, sums = _logarithms(values, end)
    if end < _FEWEST_STEPS:
        return _short(logs)
    return growth_limit(logs, sums, exponential=not tied, rounding=rounding)


def _logarithms(values: Mapping[str, Array], end: int) -> tuple[Array, Array | None]:
    sums = values.get("log_sums")
    return values["log_m_1"][..., :end], None if sums is None else sums[..., : end // 2]


def _short(logs: Array) -> GrowthLimit:
    """From a few steps: the slope over the last half of them, and how much it still changes.

    One step alone tells the size of the rate, not its limit: the error is the rate itself. What has
    died or overflowed in some repetition has none.
    """
    if not np.isfinite(logs).all():
        return GrowthLimit(math.nan, math.inf, math.inf)
    logs = np.concatenate([np.zeros((len(logs), 1)), logs], 1)
    end = logs.shape[1] - 1
    middle = end // 2
    slopes = (logs[:, end] - logs[:, middle]) / (end - middle)
    earlier = (logs[:, middle] - logs[:, 0]) / middle if middle else slopes
    mean, noise = mean_and_error(slopes)
    noise = float(calibrated_error(noise, len(slopes)))
    change = abs(float(mean - earlier.mean())) / (end - middle) if middle else abs(float(mean))
    return GrowthLimit(float(mean), math.hypot(noise, change), noise)


def _resolved(samples: Array, least: float) -> int:
    """How many steps a series (R, T) has one sign and stands `least` errors out of its noise."""
    mean, error = mean_and_error(samples)
    with np.errstate(invalid="ignore"):  # an overflow is not clear, and ends the series
        clear = (np.abs(mean) > least * error) & (np.sign(samples) == np.sign(mean)).all(0)
    end = len(mean) if clear.all() else int(np.argmin(clear))
    return max(end, 1)


def _units_missing(limit: GrowthLimit, wanted: float, effort: Effort) -> float:
    """How many times the units make an error as small as wanted, so far as its noise tells.

    The noise of few repetitions is hardly known: no more than so many times.
    """
    left = wanted**2 - (limit.error**2 - limit.noise**2)
    needed = limit.noise**2 / left if left > 0.0 else math.inf
    return max(effort.least, min(needed, effort.more))


def _more(plan: Sampling, factor: float, most: int) -> Sampling:
    """So many times the units, or a few more."""
    each = math.ceil(factor * plan.per_repetition)
    if each <= most:
        return plan.of(each, plan.repetitions)
    return plan.of(plan.per_repetition, math.ceil(factor * plan.repetitions))


def _fewer(plan: Sampling, noise: float, wanted: float) -> Sampling:
    """As many units as make the noise half of what is wanted, if those are fewer."""
    each = plan.per_repetition
    needed = max(math.ceil(each * (2.0 * noise / wanted) ** 2), _FEWEST_UNITS)
    return plan.of(min(each, needed), plan.repetitions)
