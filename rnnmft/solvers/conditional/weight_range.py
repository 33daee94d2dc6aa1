"""Over which variances of W h the weights that states need are those of a map.

Without weights s^2 is in proportion to sigma_w^2. From there s goes up in strides until the weights
are as large as the largest, for the first time: states beyond are not reached from h = 0.

Eq. (given-gate-surface).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.numerics.backend import Backend
from rnnmft.solvers.conditional.held_variance import SHORTEST, Weights, needed_weights
from rnnmft.solvers.conditional.linear_cell import GateAverages

__all__ = ["SizeRange", "most_in_a_row", "range_of_sizes", "towards_ends"]

Array = NDArray[np.float64]
# Steps of all paths, a stride of log s, how many there are, and a variance at which gates are what
# they are without weights.
_STEPS, _STRIDE, _MOST_STRIDES, _NO_VARIANCE = 1 << 13, 0.35, 60, 1e-4
# Beyond the weights of the map, of log sigma_w^2: the range is known roughly, and a surface is told
# less well at its ends.
_BEYOND = 0.15


@dataclass(frozen=True)
class SizeRange:
    """Of log s at one value of the parameter.

    Attributes:
        low: its lower end.
        high: its upper end.
        x: values along it.
        lags: over which states are correlated there.
    """

    low: float
    high: float
    x: Array
    lags: NDArray[np.int_]

    def lags_at(self, x: float) -> int:
        """Over which a state is correlated, at least."""
        right = int(np.clip(np.searchsorted(self.x, x), 1, len(self.x) - 1))
        return int(self.lags[right - 1 : right + 1].min())


@torch.no_grad()
def range_of_sizes(
    averages: GateAverages, low: float, high: float, seed: int, backend: Backend
) -> SizeRange | None:
    """The range.

    Args:
        averages: of the cell.
        low: the smallest log sigma_w^2 R of the map.
        high: the largest.
        seed: of random numbers.
        backend: torch.

    Returns:
        None where few states of such weights are found, or memory is too long.
    """
    low, high = low - _BEYOND, high + _BEYOND
    known: dict[float, Weights] = {}

    def needed(x: float, lags: int) -> Weights | None:
        return needed_weights(averages, math.exp(2 * x), _STEPS, seed, backend, lags)

    x = math.log(_NO_VARIANCE) / 2
    first = needed(x, SHORTEST) if averages.is_resolved else None
    if first is None:
        return None
    x, lags = x + (low - first.log_scale) / 2, first.lags
    for _ in range(_MOST_STRIDES):
        found = needed(x, lags)
        if found is None:
            break
        known[x], lags = found, max(SHORTEST, found.lags // 2)
        is_below = min(w.log_scale for w in known.values()) <= low
        if is_below and found.log_scale >= high:
            break
        x = max(known) + _STRIDE if is_below else min(known) - _STRIDE
    return _between(known, low, high)


def most_in_a_row(ranges: Sequence[tuple[float, SizeRange | None]]) -> dict[float, SizeRange]:
    """The longest series of neighbours of which all have a range."""
    series: list[dict[float, SizeRange]] = [{}]
    for p, found in ranges:
        if found is None:
            series.append({})
        else:
            series[-1][p] = found
    return max(series, key=len)


def _between(known: dict[float, Weights], low: float, high: float) -> SizeRange | None:
    """The range in which weights first come up from low to high, or as far as they do."""
    if len(known) < 2:
        return None
    x = np.array(sorted(known))
    needed = np.array([known[v].log_scale for v in x])
    lags = np.array([known[v].lags for v in x])
    if needed[0] > low:
        return None
    above = np.flatnonzero(needed >= high)
    last = int(above[0]) if len(above) else int(np.argmax(needed))
    first = int(np.flatnonzero(needed[: last + 1] <= low)[-1])
    if first == last:
        return None
    ends = np.interp([low, high], needed[[first, first + 1]], x[[first, first + 1]])
    top = np.interp(high, needed[[last - 1, last]], x[[last - 1, last]])
    return SizeRange(float(ends[0]), float(top), x, lags)


def towards_ends(low: float, high: float, count: int) -> Array:
    """Values that are denser towards the ends, as polynomials want them.

    >>> towards_ends(0.0, 1.0, 4).round(2).tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    return low + (high - low) * (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2
