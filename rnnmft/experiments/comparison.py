"""Starts of training against one of them: how often, and how fast, networks learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest, fisher_exact, mannwhitneyu

__all__ = ["Learnt", "compare"]


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
        share = binomtest(counts[1], len(row)).proportion_ci(0.95, method="exact")
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


def _as_fast(one: Any, other: Any) -> float:
    """By ranks alone: never counts as later than all, and alike."""
    latest = 1 + max((float(x) for x in (*one, *other) if np.isfinite(x)), default=0.0)
    ranked = [np.where(np.isfinite(row), row, latest) for row in (one, other)]
    if len(np.unique(np.concatenate(ranked))) == 1:
        return 1.0
    return float(mannwhitneyu(*ranked, alternative="two-sided").pvalue)
