"""How well a timescale predicts what can be learnt: longest lengths against xi.

The longest learnt length T* of a network is where its accuracy, over log T, first falls through one
half. If xi predicts training, T* is a multiple of xi: the multiple is the median of T* / xi, its
scatter the spread of the logarithms, and T* and xi have the same order. Intervals resample values
of the parameter, with all networks there: networks of one value share what theory does not know.

Eq. (xi).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import spearmanr

from rnnmft.records import Record

__all__ = [
    "THRESHOLD",
    "BoundaryFit",
    "ThresholdFit",
    "fit_boundary",
    "fit_threshold",
    "longest_learnt",
    "of_part",
    "scatter_difference",
]

Array = NDArray[np.float64]
#: Chance is one tenth, a learnt task above nine tenths: between them.
THRESHOLD = 0.5
#: Bootstrap samples of an interval, and its share.
_SAMPLES, _SHARE = 2000, 0.95
#: A threshold is looked for down to exp(-40) of what is left where it was last seen.
_LEAST = 40.0
#: Values without which a scatter, or a trend, means nothing.
_FEWEST = 3


@dataclass(frozen=True)
class BoundaryFit(Record):
    """T* against xi.

    Attributes:
        multiple: median of T* / xi over the networks whose T* lies within the lengths tried.
        scatter: exp of the standard deviation of log(T* / xi), a factor.
        rank: Spearman's correlation of T* and xi over all networks; nan for fewer than three
            values, which have an order and no trend.
        rank_interval: its 95 % bootstrap interval over values.
        within: how many networks have a T* within the lengths tried.
        networks: how many there are.
    """

    multiple: float
    scatter: float
    rank: float
    rank_interval: tuple[float, float]
    within: int
    networks: int


@dataclass(frozen=True)
class ThresholdFit(Record):
    """T* against the length over which a threshold of the first input is left.

        T(theta) = t + xi log(left(t) / theta)

    Attributes:
        threshold: theta, for which the median of T* / T(theta) is 1.
        scatter: exp of the standard deviation of log(T* / T(theta)), a factor.
        less_multiple: its logarithm, less that of the best multiple of xi; with its 95 % bootstrap
            interval over values.
    """

    threshold: float
    scatter: float
    less_multiple: tuple[float, float, float]


def longest_learnt(lengths: Sequence[float], accuracy: Sequence[float]) -> float:
    """T*: the first crossing of one half, by straight lines over log T; inf or 0 outside.

    >>> longest_learnt([10, 100], [0.9, 0.1]).__round__(1)
    31.6
    >>> longest_learnt([10, 100], [0.9, 0.8]), longest_learnt([10, 100], [0.1, 0.1])
    (inf, 0.0)
    """
    if accuracy[0] < THRESHOLD:
        return 0.0
    pairs = list(zip(lengths, accuracy, strict=True))
    for (short, above), (long, below) in itertools.pairwise(pairs):
        if below < THRESHOLD:
            part = (above - THRESHOLD) / (above - below)
            return math.exp(math.log(short) + part * (math.log(long) - math.log(short)))
    return math.inf


def of_part(part: Mapping[str, Any]) -> tuple[Array, dict[str, Array]]:
    """T* (values, seeds) of a map as it is stored, and xi (values,) by tying, nan for None."""
    accuracy = np.array(part["accuracy"], float)
    longest = np.apply_along_axis(
        lambda own: longest_learnt(part["lengths"], list(own)), 0, accuracy
    )
    return longest, {tying: np.array(xi, float) for tying, xi in part["xi"].items()}


def fit_boundary(longest: Array, xi: Array, seed: int = 0) -> BoundaryFit:
    """Fit the multiple and the order.

    Args:
        longest: T*, (values, seeds); 0 or inf where it lies outside of the lengths tried.
        xi: predicted for each value; nan where it is not known.
        seed: of the bootstrap.
    """
    longest, xi = longest[np.isfinite(xi)], xi[np.isfinite(xi)]
    logs = _logs(longest, xi)
    multiple = float(np.exp(np.median(logs))) if len(logs) else math.nan
    scatter = float(np.exp(logs.std(ddof=1))) if len(logs) > 1 else math.nan
    rank, interval = math.nan, (math.nan, math.nan)
    if len(np.unique(xi)) >= _FEWEST:
        rank = _rank(longest, xi)
        interval = _interval([_rank(longest[r], xi[r]) for r in _resampled(len(xi), seed)])
    return BoundaryFit(multiple, scatter, rank, interval, len(logs), longest.size)


def fit_threshold(longest: Array, xi: Array, left: Array) -> ThresholdFit | None:
    """Fit how much of the first input must be left; None where no T* or no xi is known.

    Args:
        longest: T*, (values, seeds); 0 or inf where it lies outside of the lengths tried.
        xi: predicted for each value; nan where it is not known.
        left: a step t and what is left of the first input then, (values, 2).
    """

    def lengths(log_theta: float) -> Array:
        return left[:, 0] + xi * (np.log(left[:, 1]) - log_theta)

    known = np.isfinite(xi)
    longest, xi, left = longest[known], xi[known], left[known]
    highest = float(np.log(left[:, 1]).min()) if len(left) else 0.0
    ends = highest - _LEAST, highest

    def above(log_theta: float) -> float:
        return float(np.median(_logs(longest, lengths(log_theta))))

    if not len(left) or not len(_logs(longest, xi)) or above(ends[0]) > 0 or above(ends[1]) < 0:
        return None
    log_theta = float(brentq(above, *ends))
    at = lengths(log_theta)
    scatter = float(np.exp(_logs(longest, at).std(ddof=1)))
    return ThresholdFit(math.exp(log_theta), scatter, scatter_difference(longest, at, xi))


def scatter_difference(
    longest: Array, one: Array, other: Array, seed: int = 0
) -> tuple[float, float, float]:
    """How much more one prediction scatters than the other: std log(T*/one) - std log(T*/other).

    Returns:
        The difference and its 95 % bootstrap interval over values with a T* within the lengths
        tried; nan where there are fewer than three.

    >>> xi = np.geomspace(1, 10, 5)
    >>> scatter_difference(8 * xi[:, None], xi, xi)
    (0.0, 0.0, 0.0)
    """
    within = (np.isfinite(longest) & (longest > 0)).any(1)
    known = within & np.isfinite(one) & np.isfinite(other)
    if known.sum() < _FEWEST:
        return math.nan, math.nan, math.nan
    longest, one, other = longest[known], one[known], other[known]

    def difference(rows: Any) -> float:
        spreads = [_logs(longest[rows], xi[rows]).std() for xi in (one, other)]
        return float(spreads[0] - spreads[1])

    drawn = [difference(rows) for rows in _resampled(len(one), seed)]
    return difference(slice(None)), *_interval(drawn)


def _logs(longest: Array, xi: Array) -> Array:
    """log(T* / xi) of the networks whose T* lies within the lengths tried."""
    inside = np.isfinite(longest) & (longest > 0)
    return np.log(longest[inside]) - np.log(np.broadcast_to(xi[:, None], longest.shape)[inside])


def _resampled(count: int, seed: int) -> NDArray[np.int64]:
    """Rows of every bootstrap sample."""
    return np.random.default_rng(seed).integers(count, size=(_SAMPLES, count))


def _interval(drawn: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the samples; nan where none is known."""
    if np.isnan(drawn).all():
        return math.nan, math.nan
    low, high = np.nanpercentile(drawn, (100 * (1 - _SHARE) / 2, 100 * (1 + _SHARE) / 2))
    return float(low), float(high)


def _rank(longest: Array, xi: Array) -> float:
    """Spearman's correlation; ties of networks beyond all lengths stay ties."""
    # A bound on T*, the same for all beyond, keeps their order below or above everyone else's.
    order = np.where(np.isinf(longest), np.finfo(float).max, longest)
    if len(np.unique(order)) < 2 or len(np.unique(xi)) < 2:
        return math.nan
    return float(spearmanr(order.ravel(), np.repeat(xi, longest.shape[1])).statistic)
