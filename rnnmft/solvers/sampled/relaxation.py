"""What sampled series say of time: have they settled, how fast do they decay.

A series has shape (repetitions, steps). Nothing here knows what it is of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmft.units.repetitions import calibrated_error, jackknife, mean_and_error

__all__ = [
    "Rate",
    "Settling",
    "alternation",
    "decay_rate",
    "settling",
    "slowest_rate",
    "timescale_of",
]

Array = NDArray[np.float64]
# A change of less than this many standard errors counts as none: chance does more at 3 of 1000.
_SIGNIFICANT = 3.0
# Relative changes below this are rounding: of sums over units, far below their noise.
_ROUNDING = 1e-9
# Two values between which a series alternates differ by this part of them at least.
_APART = 0.02
# A distance stands out of the noise by this many standard errors, or of rounding where there is
# none; so many of them make two halves of a line.
_CLEAR, _ZERO, _FEWEST = 4.0, 1e-12, 4


@dataclass(frozen=True)
class Settling:
    """Whether a series has become stationary, judged by the means of its last three quarters.

    Attributes:
        settled: the last quarter differs from the one before by no more than 3 standard errors.
        ratio: of the last change to the one before (0 where that was noise); 1 or more means
            that no end is in sight.
        remaining: what the series may still move, by continuing at that ratio.
        slowing: the last change is smaller than the one before by more than 3 standard errors.
        speeding: it is larger by more than that.
    """

    settled: bool
    ratio: float
    remaining: float
    slowing: bool = False
    speeding: bool = False


def settling(samples: Array) -> Settling:
    """Compare the second, third and last quarter of a series (repetitions, steps)."""
    quarter = samples.shape[1] // 4
    parts = [
        samples[:, -(i + 1) * quarter : samples.shape[1] - i * quarter].mean(1) for i in (2, 1, 0)
    ]
    first, first_error = (float(v) for v in mean_and_error(parts[1] - parts[0]))
    last, last_error = (float(v) for v in mean_and_error(parts[2] - parts[1]))
    floor = _ROUNDING * float(np.abs(samples).max())
    moved_before = abs(first) > _SIGNIFICANT * first_error + floor
    settled = abs(last) <= _SIGNIFICANT * last_error + floor
    if not moved_before:
        # Flat from the start: what the noise may hide is in the standard error already.
        return Settling(settled, 0.0 if settled else 1.0, 0.0 if settled else abs(last))
    ratio = last / first
    if settled:
        return Settling(True, ratio, abs(last))
    remaining = abs(last) * ratio / (1 - ratio) if 0 < ratio < 1 else abs(last)
    lost, lost_error = mean_and_error(np.sign(first) * (2 * parts[1] - parts[0] - parts[2]))
    beyond_chance = _SIGNIFICANT * float(lost_error) + floor
    slowing, speeding = float(lost) > beyond_chance, float(lost) < -beyond_chance
    return Settling(False, ratio, remaining, slowing, speeding)


def alternation(samples: Array) -> float:
    """How a series (repetitions, steps) goes to and fro between two values at its end.

    Averages over the population can do that (m' = -2 m + ..): there is no stationary state, whose
    mean over a quarter of the steps would look like one.

    Returns:
        The distance of the two values in the last quarter, in terms of that in the quarter before;
        0 where either is noise: two quarters are hardly wrong alike.
    """
    quarter = samples.shape[1] // 8 * 2
    pairs = samples[:, -2 * quarter :].reshape(len(samples), 2, -1, 2)
    apart, error = mean_and_error((pairs[..., 1] - pairs[..., 0]).mean(2))
    noise = _CLEAR * calibrated_error(error, len(samples))
    before, last = np.where(
        np.abs(apart) > np.maximum(noise, _APART * np.abs(pairs).mean()), apart, 0.0
    )
    return max(float(last / before), 0.0) if before else 0.0


@dataclass(frozen=True)
class Rate:
    """A rate per step, its standard error, and whether the series let it be measured."""

    value: float
    error: float
    resolved: bool


def decay_rate(samples: Array, late: int) -> Rate:
    """The rate r of |s(t) - s*| ~ t^-a exp(-r t), s* being the mean of the last `late` steps.

    A straight line through log |s(t) - s*| over the later two thirds of the steps at which the
    mean stands 4 standard errors out of the noise. Where a continuous spectrum decides a = 1/2,
    where one mode does a = 0, and few steps cannot tell: the value lies between, and the error
    holds half of the difference, besides the jackknife's and how much the rate differs between the
    halves of the range (other modes).

    Returns:
        `resolved` is False where fewer than four steps stand out: the decay is faster than the
        series can show, and the value is a lower bound.
    """
    mean, error = mean_and_error(samples)
    gap = np.abs(mean - mean[-late:].mean())
    noise = _CLEAR * np.hypot(error, float(error[-late:].mean())) + _ZERO * np.abs(mean).max()
    below = np.flatnonzero(gap <= noise)
    end = int(below[0]) if len(below) else samples.shape[1] - late
    start = end // 3
    if end - start < _FEWEST:
        return Rate(1.0 / max(end, 1), math.inf, False)
    middle = (start + end) // 2

    def rate(rows: Array, low: int = start, high: int = end, power: float = 0.25) -> float:
        series = rows.mean(0)
        distance = np.abs(series - series[-late:].mean())[low:high]
        t = np.arange(low, high)
        logs = np.log(np.maximum(distance, np.finfo(float).tiny)) + power * np.log(t + 1.0)
        return -float(np.polyfit(t, logs, 1)[0])

    curved = abs(rate(samples, middle) - rate(samples, start, middle + 1)) / 2
    unknown = abs(rate(samples, power=0.5) - rate(samples, power=0.0)) / 2
    noise_error = float(calibrated_error(np.asarray(jackknife(samples, rate)), len(samples)))
    return Rate(rate(samples), math.hypot(noise_error, curved, unknown), True)


def slowest_rate(series: Mapping[str, Array], late: int) -> Rate:
    """The slowest rate at which one of several series becomes stationary."""
    rates = [decay_rate(v, late) for v in series.values()]
    return min([r for r in rates if r.resolved] or rates, key=lambda r: r.value)


def timescale_of(rate: Rate) -> tuple[float, float]:
    """1 / rate in steps, and its error; for a lower bound of the rate the middle of what is left.

    The error is what the rate moves by its own error change: one-sided where that reaches 0.
    """
    if not rate.resolved:
        return 0.5 / rate.value, 0.5 / rate.value
    if rate.value <= 0:
        return math.inf, math.inf
    xi = 1.0 / rate.value
    slower = rate.value - rate.error
    return xi, 1.0 / slower - xi if slower > 0 else math.inf
