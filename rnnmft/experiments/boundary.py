"""How well a timescale predicts what can be learnt: longest lengths against xi.

The longest learnt length T* of a network is where its accuracy, over log T, first falls through one
half. If xi predicts training, T* is a multiple of xi: the multiple is the median of T* / xi, its
scatter the spread of the logarithms, and T* and xi have the same order.

Eq. (xi).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rnnmft.records import Record

__all__ = ["BoundaryFit", "fit_boundary", "longest_learnt", "scatter_difference"]

Array = NDArray[np.float64]
#: Chance is one tenth, a learnt task above nine tenths: between them.
THRESHOLD = 0.5
#: Bootstrap samples of an interval, and its share.
_SAMPLES, _SHARE = 2000, 0.95
#: Networks without which a scatter means nothing.
_FEWEST = 3


@dataclass(frozen=True)
class BoundaryFit(Record):
    """T* against xi.

    Attributes:
        multiple: median of T* / xi over the networks whose T* lies within the lengths tried.
        scatter: exp of the standard deviation of log(T* / xi), a factor.
        rank: Spearman's correlation of T* and xi over all networks.
        rank_interval: its 95 % bootstrap interval.
        within: how many networks have a T* within the lengths tried.
        networks: how many there are.
    """

    multiple: float
    scatter: float
    rank: float
    rank_interval: tuple[float, float]
    within: int
    networks: int


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


def fit_boundary(longest: Array, xi: Array, seed: int = 0) -> BoundaryFit:
    """Fit the multiple and the order.

    Args:
        longest: T* of each network; 0 or inf where it lies outside of the lengths tried.
        xi: predicted for each.
        seed: of the bootstrap.
    """
    inside = np.isfinite(longest) & (longest > 0) & np.isfinite(xi) & (xi > 0)
    logs = np.log(longest[inside] / xi[inside])
    multiple = float(np.exp(np.median(logs))) if len(logs) else math.nan
    scatter = float(np.exp(logs.std(ddof=1))) if len(logs) > 1 else math.nan
    known = np.isfinite(xi)
    longest, xi = longest[known], xi[known]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(xi), size=(_SAMPLES, len(xi)))
    ranks = [_rank(longest[rows], xi[rows]) for rows in drawn]
    tails = (100 * (1 - _SHARE) / 2, 100 * (1 + _SHARE) / 2)
    low, high = np.nanpercentile(ranks, tails) if not np.isnan(ranks).all() else (math.nan,) * 2
    return BoundaryFit(
        multiple,
        scatter,
        _rank(longest, xi),
        (float(low), float(high)),
        int(inside.sum()),
        len(xi),
    )


def scatter_difference(
    longest: Array, one: Array, other: Array, seed: int = 0
) -> tuple[float, float, float]:
    """How much more one prediction scatters than the other: std log(T*/one) - std log(T*/other).

    Returns:
        The difference and its 95 % bootstrap interval over networks whose T* lies within the
        lengths tried; nan where there are fewer than three.

    >>> xi = np.geomspace(1, 10, 5)
    >>> scatter_difference(8 * xi, xi, xi)
    (0.0, 0.0, 0.0)
    """
    inside = np.isfinite(longest) & (longest > 0) & np.isfinite(one) & np.isfinite(other)
    count = int(inside.sum())
    if count < _FEWEST:
        return math.nan, math.nan, math.nan
    gaps = [np.log(longest[inside] / xi[inside]) for xi in (one, other)]
    drawn = np.random.default_rng(seed).integers(count, size=(_SAMPLES, count))
    differences = [gaps[0][rows].std() - gaps[1][rows].std() for rows in drawn]
    tails = (100 * (1 - _SHARE) / 2, 100 * (1 + _SHARE) / 2)
    low, high = np.percentile(differences, tails)
    return float(gaps[0].std() - gaps[1].std()), float(low), float(high)


def _rank(longest: Array, xi: Array) -> float:
    """Spearman's correlation; ties of networks beyond all lengths stay ties."""
    # A bound on T*, the same for all beyond, keeps their order below or above everyone else's.
    order = np.where(np.isinf(longest), np.finfo(float).max, longest)
    if len(np.unique(order)) < 2 or len(np.unique(xi)) < 2:
        return math.nan
    return float(spearmanr(order, xi).statistic)
