"""The memory of a process in steps: the integral of its autocorrelation above its plateau.

    sum_{tau >= 0} (C(tau) - P) / (C(0) - P) - 1/2

The plateau P is the mean of the last quarter of the lags: what a bias, or a mean that is not zero,
makes the process remember for ever. The sum ends at the first lag that does not stand above the
noise. It is 0 where nothing fluctuates.

Eq. (memory).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnmft.units.repetitions import jackknife, mean_and_error

__all__ = ["integrated_time", "memory_time", "time_error"]

Array = NDArray[np.float64]
# A series that falls by less than this part is constant up to rounding: nothing is forgotten of it.
_CONSTANT = 1e-12


def integrated_time(series: Array, end: int | None = None) -> float:
    """The integral over the first `end` lags of a series C(0), C(1), .. (by default to its zero).

    Eq. (memory).

    >>> integrated_time(np.exp(-np.arange(200) / 5.0)).__round__(3)
    5.017
    """
    above = _above(series)
    if above[0] <= _CONSTANT * abs(series[0]):
        return 0.0
    last = _end(above, 0.0) if end is None else end
    return float(above[:last].sum() / above[0] - 0.5) if last else 0.0


def time_error(series: Array, error: Array) -> float:
    """How much the integrated time can change when every value moves by its error."""
    if series[0] <= 0 or not np.isfinite(error).all():
        return 0.0
    return float(2 * error.sum() / series[0] + 2 * len(series) * error[0] / series[0])


def memory_time(samples: Array) -> tuple[float, float]:
    """The integrated time of C(tau), shape (repetitions, lags + 1), and its jackknife error."""
    mean, error = mean_and_error(samples)
    noise = 2.0 * np.hypot(error, error[-_quarter(mean) :].mean())
    # Decided once: leaving a repetition out must not move it.
    end = _end(_above(mean), noise)

    def time(rows: Array) -> float:
        return integrated_time(rows.mean(0), end)

    return time(samples), jackknife(samples, time)


def _quarter(series: Array) -> int:
    return max(1, len(series) // 4)


def _above(series: Array) -> Array:
    """What lies above the plateau; a single lag is its own plateau of zero."""
    return series - series[-_quarter(series) :].mean() if len(series) > 1 else series


def _end(above: Array, noise: Array | float) -> int:
    buried = np.flatnonzero(above <= noise)
    return int(buried[0]) if len(buried) else len(above)
