"""Starts of training against one of them: how often, and how fast, networks learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest, fisher_exact, mannwhitneyu

__all__ = ["Learnt", "compare", "times_as_soon"]

#: Of every interval.
_SHARE = 0.95
#: Stands for never, and ratios beyond this are of it: nothing trains for as many steps.
_NEVER, _BEYOND = 1e30, 1e15


@dataclass(frozen=True)
class Learnt:
    """How networks of one start fared.

    Attributes:
        count: how many of `seeds` networks learnt.
        share: Clopper and Pearson's 95 % interval of their share.
        median: of the steps that the networks took; inf where half never learnt.
        p_count: of Fisher's exact test, two-sided, that as many learn as from the reference.
        p_steps: of Mann and Whitney's, two-sided, that they take as many steps; never is last.
    """

    count: int
    seeds: int
    share: tuple[float, float]
    median: float
    p_count: float
    p_steps: float


def compare(reached: Mapping[str, Sequence[Any]], reference: str) -> dict[str, Learnt]:
    """Every start against the reference.

    Args:
        reached: the steps of each network by start; inf for never.
        reference: the start that others are compared with.

    >>> found = compare({"a": [75, 50, 75], "b": [float("inf")] * 3}, "a")["b"]
    >>> found.count, round(found.p_count, 3)
    (0, 0.1)
    """
    steps = {name: np.array(row, float) for name, row in reached.items()}
    best, found = steps[reference], {}
    for name, row in steps.items():
        counts = [int(np.isfinite(each).sum()) for each in (best, row)]
        share = binomtest(counts[1], len(row)).proportion_ci(_SHARE, method="exact")
        table = [[n, len(each) - n] for n, each in zip(counts, (best, row), strict=True)]
        found[name] = Learnt(
            counts[1],
            len(row),
            (float(share.low), float(share.high)),
            float(np.median(row)),
            float(fisher_exact(table)[1]),
            _as_fast(best, row),
        )
    return found


def times_as_soon(one: Sequence[Any], other: Sequence[Any]) -> tuple[float, float, float]:
    """How many times the steps of `one` the `other` takes: an estimate and its 95 % interval.

    The median of all ratios of a network there to one here, and the ratios by which steps may be
    divided so that Mann and Whitney's exact test does not tell the two apart (Hodges and Lehmann):
    no law is assumed, and never is later than all. With too few networks the interval is
    everything.

    >>> times_as_soon([100, 200, 300, 400], [1000, 2000, 3000, 4000])
    (10.0, 2.5, 40.0)
    >>> times_as_soon([100, 200, 300], [1000, 2000, 3000])[1:]
    (0.0, inf)
    """
    here, there = (np.array(row, float) for row in (one, other))
    # A number far beyond all steps, so that two that are both never are alike.
    here, there = (np.where(np.isinf(row), _NEVER, row) for row in (here, there))
    ratios = np.sort((there[:, None] / here[None, :]).ravel())
    outside = _outside(len(here), len(there))
    low, high = (ratios[outside - 1], ratios[-outside]) if outside else (0.0, np.inf)
    return _bounded(np.median(ratios)), _bounded(low), _bounded(high)


def _outside(first: int, second: int) -> int:
    """How many of the ratios lie below the interval, the end included: the quantile of U."""
    # The generating function of U: Gauss's binomial coefficient, as a product of ratios.
    ways = np.zeros(first * second + 1)
    ways[0] = 1.0
    for k in range(1, first + 1):
        for u in range(len(ways) - 1, second + k - 1, -1):
            ways[u] -= ways[u - second - k]
        for u in range(k, len(ways)):
            ways[u] += ways[u - k]
    return int((np.cumsum(ways / ways.sum()) <= (1 - _SHARE) / 2).sum())


def _bounded(ratio: Any) -> float:
    """A ratio to never, or from it, is infinite, or 0."""
    return float("inf") if ratio > _BEYOND else 0.0 if ratio < 1 / _BEYOND else float(ratio)


def _as_fast(one: Any, other: Any) -> float:
    """By ranks alone: never counts as later than all, and alike."""
    latest = 1 + max((float(x) for x in (*one, *other) if np.isfinite(x)), default=0.0)
    ranked = [np.where(np.isfinite(row), row, latest) for row in (one, other)]
    if len(np.unique(np.concatenate(ranked))) == 1:
        return 1.0
    return float(mannwhitneyu(*ranked, alternative="two-sided").pvalue)
