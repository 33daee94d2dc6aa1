"""Rates read off sampled series: the approach to a stationary value, and exponential growth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status

__all__ = ["decay_rate", "growth_rate"]

Array = NDArray[np.float64]


def decay_rate(samples: Array, window: int) -> tuple[float, float, Status]:
    """The rate r of |s(t) - s*| ~ exp(-r t), s* the mean of the last `window` steps.

    Args:
        samples: (repetitions, steps).
        window: how many last steps are stationary.

    Returns:
        Rate per step, its jackknife standard error, and a status: UNDEFINED where fewer than three
        steps stand out of the noise, so that the rate is only a lower bound.
    """
    mean = samples.mean(0)
    error = samples.std(0, ddof=1) / math.sqrt(samples.shape[0])
    gap = np.abs(mean - mean[-window:].mean())
    noise = np.maximum(4.0 * error, 1e-12 * np.abs(mean).max())
    below = np.flatnonzero(gap <= noise)
    end = int(below[0]) if len(below) else samples.shape[1] - window
    start = end // 3
    if end - start < 3:
        return (math.inf if end < 2 else 1.0 / end), 0.0, Status.UNDEFINED

    def rate(rows: Array) -> float:
        series = rows.mean(0)
        distance = np.abs(series - series[-window:].mean())[start:end]
        return -float(np.polyfit(np.arange(start, end), np.log(np.maximum(distance, 1e-300)), 1)[0])

    return rate(samples), _jackknife(samples, rate), Status.OK


def growth_rate(samples: Array) -> tuple[float, float]:
    """The slope of log(mean over repetitions) against time over the second half of a series.

    Args:
        samples: (repetitions, steps), positive.

    Returns:
        Rate per step and its jackknife standard error.
    """
    half = samples.shape[1] // 2

    def rate(rows: Array) -> float:
        series = np.log(np.maximum(rows.mean(0)[half:], 1e-300))
        return float(np.polyfit(np.arange(len(series)), series, 1)[0])

    return rate(samples), _jackknife(samples, rate)


def _jackknife(samples: Array, estimate: object) -> float:
    count = samples.shape[0]
    values = np.array([estimate(np.delete(samples, i, axis=0)) for i in range(count)])  # type: ignore[operator]
    return float(math.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum()))
