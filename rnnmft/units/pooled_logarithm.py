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
        logarithms: log m_r(t), (R, n), or (R, windows, n) where each repetition has several, which
            are pooled as well; R >= 2.

    Returns:
        (R, n), from L = the mean logarithm at the first time.
    """
    count, steps = len(logarithms), logarithms.shape[-1]
    rows = logarithms.reshape(count, -1, steps)
    # Of an average that precision does not hold any more nothing follows.
    rows = np.where(np.isfinite(rows), rows, np.nan)
    # Sums over all repetitions, and over all but one: no difference of large numbers.
    chosen = np.concatenate([np.ones((1, count)), 1.0 - np.eye(count)])
    chosen /= chosen.sum(1, keepdims=True)
    since = rows[..., np.maximum(np.arange(steps - 1) - _MEMORY, 0)]
    growth = _log_means(rows[..., 1:] - since, chosen) - _log_means(rows[..., :-1] - since, chosen)
    start = chosen @ rows[..., :1].mean(1)
    whole, *left_out = start + np.cumsum(np.pad(growth, ((0, 0), (1, 0))), 1)
    return count * whole - (count - 1) * np.array(left_out)


def _log_means(rows: Array, weights: Array) -> Array:
    """log of weighted means over repetitions, and all windows: (R, windows, n) -> (weights, n)."""
    most = rows.max((0, 1))
    return most + np.log(weights @ np.exp(rows - most).mean(1))
