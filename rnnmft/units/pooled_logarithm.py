"""The logarithm of a growing average, from repetitions of few units, without their bias.

Where rare units decide (long products of fluctuating slopes), the average over the M units of a
repetition is mostly too small: log m of a repetition grows too slowly by half the variance that it
gathers in a step. The ratio of two successive averages has no such bias, once every repetition
counts by what it has become in the last k steps:

    L(t + 1) - L(t) = log( sum_r m_r(t + 1) / m_r(t - k)  /  sum_r m_r(t) / m_r(t - k) )

(the population control of projector Monte Carlo [umrigar1993]). k = 0 would take noise that does
not last (in m_r(t) alone) for growth; a large k would leave the sum to a few repetitions.

Eq. (pooled-logarithm).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pooled_logarithm"]

Array = NDArray[np.float64]
# Steps back that a repetition's weight in a growth factor is compared over: two, since what a unit
# does at one step and the next is one event.
_MEMORY = 2


def pooled_logarithm(logarithms: Array) -> Array:
    """Pseudo-values of L(t): their mean is L, their spread its standard error (jackknife).

    Eq. (pooled-logarithm).

    Args:
        logarithms: log m_r(t), (R, n); R >= 2.

    Returns:
        (R, n), from L = the mean logarithm at the first time.
    """
    count = len(logarithms)
    whole = _pooled(logarithms)
    left_out = [_pooled(np.delete(logarithms, r, axis=0)) for r in range(count)]
    return count * whole - (count - 1) * np.array(left_out)


def _pooled(rows: Array) -> Array:
    places = np.arange(rows.shape[1] - 1)
    since = rows[:, np.maximum(places - _MEMORY, 0)]
    growth = _log_mean(rows[:, 1:] - since) - _log_mean(rows[:, :-1] - since)
    return rows[:, 0].mean() + np.concatenate([[0.0], np.cumsum(growth)])


def _log_mean(rows: Array) -> Array:
    most = rows.max(0)
    return most + np.log(np.exp(rows - most).mean(0))
