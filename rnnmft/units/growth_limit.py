"""The growth rate g = lim (1/T) log m_1(T), bracketed from finite T.

A slope at finite T is off by more than its noise. With tied weights a perturbation's two-time
kernel C(t, s) grows and spreads in t - s, and m_1 sees what is at t = s. The local slope
d(T) = d log m_1 / dT rises to g, in one of three ways:

* nothing holds the kernel near t = s (linear cells, a zero state): it spreads for ever,
  m_1 ~ T^(-1/2) exp(g T), and d(T) = g - 1 / (2 T);
* fluctuating slopes hold it: d(T) approaches g exponentially, late if they are weak;
* little returns through W in a step (a leak a, p = b sigma_w / (a + b sigma_w) << 1): spreading
  begins at T ~ 1/p, and before that d(T) = g - 2 p (1 - p T + ..) looks as if it had arrived.

The sum of the kernel over t - s does not ask where it is. Its slope s(T) is g at once in the first
way, and comes down to it in the others. Both ends of

    g in [d, d + rise],      g in [s - fall, s]

follow from the slopes' change since half the time. Slopes are those of straight lines over the
later half of the times, through logarithms pooled over the repetitions.

Several perturbations that start one after another in the units of a repetition (windows) are pooled
like repetitions; it is the spread of these that makes the noise.

Eq. (growth), Eq. (growth-bracket).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.units.pooled_logarithm import pooled_logarithm
from rnnmft.units.repetitions import calibrated_error, mean_and_error

__all__ = ["GrowthLimit", "growth_limit"]

Array = NDArray[np.float64]

# d(T) = g - a / T: the change since T / 2 is what is left, for every a. And a margin of 30 %, for
# what falls a little slower.
_RISE = 1.3
# d(T) = g - 2 p (1 - p T), read over (H / 2, H): 2 p = 2.36 sqrt(change / H). The kernel returns at
# most .86 / H below g, where p H = 1.1 (modified Bessel functions: m_1 = e^(-2 p T) I_0(2 p T)).
_UNSPREAD, _MOST_UNSPREAD = 2.36, 0.9
# H (s - d) is .7 or less for a kernel that has spread, 2.8 for one that has not begun to.
_SPREAD = 1.2
# s(T) - g ~ T^(-1/2) while a weakly held kernel still spreads: 2.4 times the change is left.
_FALL = 3.0
# Where two such changes cancel: up to 6 % of the change before is left.
_CANCELLED = 0.1
# Of the narrower bracket: what the other may be wrong by.
_OVERLAP = 0.1
# Standard errors: what is within two of them may be none.
_SIGNIFICANT = 2.0
# Changes of a larger ratio a doubling do not fall: 1 / (1 - r) would make ten of one.
_FALLING = 0.9
# Steps without which there is no limit to read: halves, quarters and eighths of them have two
# points.
_FEWEST = 16
# Slopes closer than this are the same up to rounding of logarithms.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class GrowthLimit:
    """A growth rate per step.

    Attributes:
        value: the middle of the bracket (below it where noise may hide the upper part of it); -inf
            where everything has died out, nan where m_1 is not a number or some repetitions have
            died out: so few units are left that no rate can be read.
        error: standard deviation of a number anywhere in the bracket, together with the noise.
        noise: the part of it that more units would make smaller.
        bias: what fewer units tell of the 1/M bias, with its sign and its own noise.
    """

    value: float
    error: float
    noise: float
    bias: float = 0.0

    @property
    def width(self) -> float:
        """The part of the error that is not noise."""
        return math.sqrt(max(self.error**2 - self.noise**2, 0.0))

    def averaged(self, part: float) -> GrowthLimit:
        """The same with so much of the noise."""
        noise = part * self.noise
        return replace(self, error=math.hypot(self.width, noise), noise=noise)


def growth_limit(
    log_means: Array,
    log_sums: Array | None = None,
    *,
    exponential: bool = False,
    rounding: float = 1e-9,
) -> GrowthLimit:
    """The limit of the slope of log m_1(T). Eq. (growth-bracket).

    Args:
        log_means: log m_1(T), T = 1, .., H, of each repetition, (R, H) or (R, windows, H); H >= 16.
        log_sums: log |sum_{t + s = 2 n + 1} C(t, s)|, n = 0, .., H // 2 - 1, (R, n) or
            (R, windows, n), where known.
        exponential: the approach is known to be exponential (untied weights: one time, no kernel).
        rounding: of the slopes; a floor for the error.

    Raises:
        ValueError: fewer than 16 steps.
    """
    steps = log_means.shape[-1]
    if steps < _FEWEST:
        raise ValueError(f"a growth rate needs {_FEWEST} steps, got {steps}")
    if not np.isfinite(log_means).all():
        last = log_means[..., -1]
        if last.max() == -math.inf:
            return GrowthLimit(-math.inf, 0.0, 0.0)
        if not np.isnan(log_means).any() and log_means.max() == math.inf:
            return GrowthLimit(math.inf, 0.0, 0.0)
        return GrowthLimit(math.nan, math.inf, math.inf)
    means, sums = _Slopes.of(log_means, 1), None
    if log_sums is not None and (log_sums == -math.inf).all():
        # A state that forgets at once (a vanilla RNN's): the kernel never leaves t = s.
        exponential = True
    elif log_sums is not None and np.isfinite(log_sums[..., (log_sums.shape[-1] - 1) // 8 :]).all():
        sums = _Slopes.of(log_sums, 0)
    if sums is not None and not _above(sums, means):
        sums = None
    spread = exponential or (sums is not None and sums.last - means.last < _SPREAD / steps)
    low, seen, high = _bracket_of_means(means, steps, spread, exponential)
    noise, blur = means.noise, 0.0
    if sums is not None:
        lower, upper = _bracket_of_sums(sums)
        blur = _OVERLAP * min(high - low, upper - lower)
        if lower > low or upper < high:
            noise = max(noise if lower <= low or upper >= high else 0.0, sums.noise)
        low, high = max(low, lower), min(high, upper)
        if low > high:  # two brackets that miss each other: between them
            low, seen, high = high, low, low
    value, width = _believed(low, min(max(seen, low), high), high)
    error = math.hypot(noise, width + blur / math.sqrt(3.0)) + rounding
    return GrowthLimit(value, error, noise)


def _believed(low: float, seen: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of a limit of which a bracket is known.

    Anywhere in it; or, as likely, in the part that is seen. The rest has room for what noise may
    hide: there need not be anything, and who took the middle would be above the limit by an error
    wherever there is not.
    """
    first, second = (low + seen) / 2, (low + high) / 2
    within = ((seen - low) ** 2 + (high - low) ** 2) / 24.0
    return (first + second) / 2, math.hypot(math.sqrt(within), (second - first) / 2)


@dataclass(frozen=True)
class _Slopes:
    """Slopes over the last half of the times, and how they changed, with their noise.

    `change` is since half the time, `before` the change in the same ratio of times before it;
    `rows` is the last slope by repetition.
    """

    last: float
    noise: float
    change: float
    change_noise: float
    before: float
    rows: Array

    @classmethod
    def of(cls, logarithms: Array, first: int) -> _Slopes:
        """Of a series (R, n) at the times first, first + 1, ..; its first eighth is not read."""
        end = first + logarithms.shape[-1] - 1
        skipped, first = end // 8 - first, end // 8
        series = pooled_logarithm(logarithms[..., skipped:])
        late, middle, early = (
            _slope(series, end // (2 * part), end // part, first) for part in (1, 2, 4)
        )
        value, noise = _mean(late)
        change, change_noise = _mean(late - middle)
        before, _ = _mean(middle - early)
        # Where rare units decide, a spread without such an event is too small. Over shorter times
        # it is larger by the root of the ratio, if not by less: the largest is believed.
        noise = max(noise, _mean(middle)[1] / math.sqrt(2), _mean(early)[1] / 2)
        return cls(value, noise, change, max(change_noise, noise), before, late)


def _slope(series: Array, low: int, high: int, first: int) -> Array:
    """The slope of a straight line through the times low, .., high, for each repetition."""
    times = np.arange(low, high + 1) - (low + high) / 2
    return series[:, low - first : high - first + 1] @ times / (times @ times)


def _mean(rows: Array) -> tuple[float, float]:
    """The mean over repetitions and its standard error, so that 3 of it hold 99.7 %."""
    mean, error = mean_and_error(rows)
    return float(mean), float(calibrated_error(error, len(rows)))


def _above(sums: _Slopes, means: _Slopes) -> bool:
    """Whether the sum grows no slower than m_1, as it must if it sees what m_1 sees.

    It may not: waves of other than zero frequency, a state that no weight sees.
    """
    gap, noise = _mean(sums.rows - means.rows)
    return gap > -_SIGNIFICANT * noise - abs(means.change) - _ROUNDING


def _bracket_of_means(
    slopes: _Slopes, steps: int, spread: bool, exponential: bool
) -> tuple[float, float, float]:
    """The slope of log m_1, and where it may still rise (or, if it falls, fall) to.

    Judged by the least change that is seen, and by the most that its noise may hide.
    """
    left = _left(slopes)

    def rise(change: float) -> float:
        by_power = _RISE * max(change, 0.0) * left
        if spread:
            return by_power
        unspread = _UNSPREAD * math.sqrt(max(change, 0.0) / steps)
        return max(by_power, min(unspread, _MOST_UNSPREAD / steps))

    # Noise may hide a power; a change that dies exponentially has nothing behind the noise.
    noise = 0.0 if exponential else slopes.change_noise
    least, most = slopes.change - noise, slopes.change + noise
    low = slopes.last + _RISE * min(most, 0.0)
    return low, slopes.last + rise(least), slopes.last + rise(most)


def _left(slopes: _Slopes) -> float:
    """What is left of the approach over the last change, where that falls slower than 1 / T.

    Leaks that differ from unit to unit without a bound make it so: ever fewer units decide. Changes
    of a ratio r for each doubling leave r / (1 - r); one that does not fall (r > .9) tells nothing.
    """
    if slopes.change <= _SIGNIFICANT * slopes.change_noise or slopes.before <= 0:
        return 1.0
    ratio = slopes.change / slopes.before
    return max(1.0, ratio / (1.0 - ratio)) if ratio < _FALLING else 1.0


def _bracket_of_sums(slopes: _Slopes) -> tuple[float, float]:
    """Between the slope of the sums and where it may still go."""
    change, before = slopes.change, slopes.before
    if change * before > 0 and abs(change) < abs(before):
        least = _CANCELLED * abs(before)
        return (
            slopes.last - max(-_FALL * change, least),
            slopes.last + max(_FALL * change, least),
        )
    # It has not begun to converge, or turns round.
    unknown = _FALL * max(abs(change), abs(before))
    return slopes.last - unknown, slopes.last + unknown
