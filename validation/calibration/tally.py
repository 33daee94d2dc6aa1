"""The tally: what the distances of many numbers from their truths say about the errors reported.

Of the promises (numbers of status OK) of each kind, and of all kinds together:

    at most 1 % of |z| lie beyond 3, or as many as chance puts there in all but .05 of the suites,
    that level split evenly over the kinds and their sum; and none beyond 5;
    the mean of |z| is above .3 in each kind, and between .45 and 1.05 over all: were the errors
    right it would be .8, were all of them twice too wide .4, were every value one error off 1.2;
    a bound holds: |z| <= 1;
    no error exceeds half of a truth that is positive by its nature;
    at most a quarter of a kind is no promise.

z is taken on the normal scale (`Comparison.score`). The level is that of independent numbers. Those
of one setting share their units, and are far off together: how often right errors are rejected then
follows from the rules and the comparisons, `false_alarm_rate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from validation.calibration.comparison import Comparison

__all__ = ["ALL", "KindVerdict", "Tally", "false_alarm_rate", "far_limit"]

ALL = "all"
_FAR, _FARTHEST = 3.0, 5.0
# 1 % may lie beyond 3. A kind of 250 numbers would have three there in every thirtieth suite though
# all is well, and there are a dozen kinds: so many as .05 for all of them together asks for.
_SHARE, _LEVEL = 100, 0.05
# The mean of |z|: at least, and at most.
_MEANS, _MEANS_OF_ALL = (0.3, math.inf), (0.45, 1.05)
# The mean of fewer |z| than this says little: by chance it is below .3 once in 1000 at 12.
_ENOUGH = 12
_MOST_SAID_SO = 0.25
_WITHIN = 1.0

Array = NDArray[np.float64]


def far_limit(count: int, kinds: int) -> int:
    """How many of `count` |z| may lie beyond 3, where so many kinds are judged.

    Independent normal numbers exceed it with a chance of at most .05 / (kinds + 1): the one more is
    for all kinds together.
    """
    by_chance = stats.binom.isf(_LEVEL / (kinds + 1), count, 2 * stats.norm.sf(_FAR))
    return max(count // _SHARE, int(by_chance))


def _means(kind: str) -> tuple[float, float]:
    """Between what the mean of |z| must lie."""
    return _MEANS_OF_ALL if kind == ALL else _MEANS


@dataclass(frozen=True)
class KindVerdict:
    """What is found for one kind of quantity.

    Attributes:
        kind: its name, or "all".
        count: comparisons; `said_so` of them were no promise, `bounds` are deterministic.
        beyond_3, beyond_5: how many sampled promises lie that far.
        worst: the largest |z| of them; `worst_bound`: the largest share of a bound.
        mean_size: the mean |z| where the error is rnnmft's own; None where they are too few.
        reasons: why this kind is rejected; empty where it is accepted.
    """

    kind: str
    count: int
    said_so: int
    bounds: int
    beyond_3: int
    beyond_5: int
    worst: float
    worst_bound: float
    mean_size: float | None
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the errors of this kind."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {**vars(self), "reasons": list(self.reasons), "passed": self.passed}


def _judge(kind: str, rows: Sequence[Comparison], kinds: int) -> KindVerdict:
    promises = [c for c in rows if c.promised]
    sizes = np.array([abs(c.score) for c in promises if c.sampled])
    shares = np.array([abs(c.score) for c in promises if not c.sampled])
    wide = np.array([abs(c.score) for c in promises if c.weighs])
    far, farthest = int((sizes > _FAR).sum()), int((sizes > _FARTHEST).sum())
    mean = float(wide.mean()) if len(wide) >= _ENOUGH else None
    said_so = len(rows) - len(promises)
    reasons = []
    if far > far_limit(len(sizes), kinds):
        reasons.append(f"{far} of {len(sizes)} beyond 3")
    if farthest:
        reasons.append(f"{farthest} beyond 5")
    least, most = _means(kind)
    if mean is not None and not least < mean < most:
        wrong = "wide" if mean <= least else "narrow"
        reasons.append(f"errors too {wrong}: mean |z| is {mean:.2f}")
    if vacuous := sum(c.vacuous for c in promises):
        reasons.append(f"{vacuous} with errors above half the truth")
    if (shares > _WITHIN).any():
        reasons.append(f"{int((shares > _WITHIN).sum())} outside their bounds")
    if said_so > _MOST_SAID_SO * len(rows):
        reasons.append(f"{said_so} of {len(rows)} are no promise")
    return KindVerdict(
        kind=kind,
        count=len(rows),
        said_so=said_so,
        bounds=len(shares),
        beyond_3=far,
        beyond_5=farthest,
        worst=float(sizes.max(initial=0.0)),
        worst_bound=float(shares.max(initial=0.0)),
        mean_size=mean,
        reasons=tuple(reasons),
    )


@dataclass(frozen=True)
class Tally:
    """Comparisons, and what they say of each kind and of all."""

    comparisons: tuple[Comparison, ...]

    @cached_property
    def verdicts(self) -> dict[str, KindVerdict]:
        """By kind, "all" last."""
        kinds = dict.fromkeys(c.kind for c in self.comparisons)
        of = {k: [c for c in self.comparisons if c.kind == k] for k in kinds}
        every = {**of, ALL: list(self.comparisons)}
        return {k: _judge(k, rows, len(kinds)) for k, rows in every.items()}

    @property
    def reasons(self) -> list[str]:
        """Every reason for rejection, with its kind."""
        return [f"{v.kind}: {reason}" for v in self.verdicts.values() for reason in v.reasons]

    @property
    def passed(self) -> bool:
        """Whether every kind passed."""
        return not self.reasons

    def worst(self, count: int = 10) -> list[Comparison]:
        """The promises farthest from their truths."""
        promises = [c for c in self.comparisons if c.promised]
        return sorted(promises, key=lambda c: -abs(c.score))[:count]


def false_alarm_rate(
    comparisons: Sequence[Comparison], correlation: float, suites: int = 4000, seed: int = 0
) -> float:
    """How often a suite of these comparisons is rejected though every error is right.

    Args:
        comparisons: only their settings, kinds, and which are promises of which sort matter.
        correlation: between the numbers of one setting, which share their units: each score is
            sqrt(correlation) times the setting's normal number and sqrt(1 - correlation) times
            one of its own.
        suites: how many are drawn.
        seed: of their generator.

    Returns:
        The fraction rejected; its standard error is sqrt(rate (1 - rate) / suites).
    """
    rows = [c for c in comparisons if c.promised and c.sampled]
    if not rows:
        return 0.0
    settings = {name: i for i, name in enumerate(dict.fromkeys(c.setting for c in rows))}
    of = np.array([settings[c.setting] for c in rows])
    kinds, wide = np.array([c.kind for c in rows]), np.array([c.weighs for c in rows])
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((suites, len(settings)))[:, of]
    own = rng.standard_normal((suites, len(rows)))
    sizes = np.abs(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
    judged = {c.kind for c in comparisons}
    rejected = _rejects(ALL, sizes, wide, len(judged))
    for kind in judged:
        of_kind = kinds == kind
        rejected |= _rejects(kind, sizes[:, of_kind], wide[of_kind], len(judged))
    return float(rejected.mean())


def _rejects(kind: str, sizes: Array, wide: NDArray[np.bool_], kinds: int) -> NDArray[np.bool_]:
    """The rules about |z|, (suites, comparisons), by suite."""
    found = (sizes > _FAR).sum(1) > far_limit(sizes.shape[1], kinds)
    found |= (sizes > _FARTHEST).any(1)
    if wide.sum() >= _ENOUGH:
        least, most = _means(kind)
        mean = sizes[:, wide].mean(1)
        found |= (mean <= least) | (mean >= most)
    return found
