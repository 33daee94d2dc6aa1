"""A map's points by the surface that they lie on: over sigma_w and one more parameter.

Eq. (given-gate-surface).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnmft.language import Ensemble, Inputs
from rnnmft.solvers.conditional.held_variance import HeldVariance
from rnnmft.solvers.conditional.weight_range import SizeRange

__all__ = ["MapSlice", "PointParameters", "parameters_of", "slices", "weight_of"]

Array = NDArray[np.float64]


class PointParameters(NamedTuple):
    """Of a point, beside sigma_w."""

    mu_b: float
    sigma_v: float
    R: float


@dataclass
class MapSlice:
    """The points of one surface, and the states that were solved for it.

    Attributes:
        numbers: which points of the map they are.
        log_scale: their log sigma_w^2 R.
        parameters: what else they are.
        varies: the name of the one of these that varies.
        p: its values, or their logarithms ..
        is_logarithm: .. if it is these.
        ranges: of log s at some p.
        places: (log s, p) of states.
        states: that were found there.
    """

    numbers: list[int]
    log_scale: Array
    parameters: list[PointParameters]
    varies: str
    p: Array
    is_logarithm: bool
    ranges: dict[float, SizeRange] = field(default_factory=dict)
    places: list[tuple[float, float]] = field(default_factory=list)
    states: list[HeldVariance] = field(default_factory=list)

    def at(self, p: float) -> PointParameters:
        """The parameters at a value of p, which none of the points may have."""
        value = math.exp(p) if self.is_logarithm else p
        return self.parameters[0]._replace(**{self.varies: value})

    def ends(self, p: float) -> tuple[float, float]:
        """Between which log s there are states: as at the known p on both sides."""
        known = sorted(self.ranges)
        right = min(bisect_left(known, p), len(known) - 1)
        beside = [self.ranges[q] for q in known[max(right - 1, 0) : right + 1]]
        return min(r.low for r in beside), max(r.high for r in beside)


def weight_of(ensemble: Ensemble) -> float:
    """The only sigma_w of an ensemble."""
    (law,) = ensemble.values()
    return law.sigma_w


def parameters_of(ensemble: Ensemble, inputs: Inputs) -> PointParameters:
    """What else a point is."""
    (law,) = ensemble.values()
    return PointParameters(law.mu_b, law.sigma_v, inputs.R)


def slices(points: Sequence[tuple[Ensemble, Inputs]]) -> list[MapSlice]:
    """Points with weights, by all parameters but sigma_w and the one that has the most values."""
    rows = {i: parameters_of(*point) for i, point in enumerate(points) if weight_of(point[0]) > 0.0}
    if not rows:
        return []
    scales = {i: math.log(weight_of(points[i][0]) ** 2 * row.R) for i, row in rows.items()}
    counts = [len(set(column)) for column in zip(*rows.values(), strict=True)]
    along = int(np.argmax(counts))
    values = {i: row[along] for i, row in rows.items()}
    is_logarithm = _is_more_even(np.array(list(values.values())))
    groups: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for i, row in rows.items():
        groups[row[:along] + row[along + 1 :]].append(i)
    found: list[MapSlice] = []
    for those in groups.values():
        along_p = np.array([values[i] for i in those])
        found.append(
            MapSlice(
                those,
                np.array([scales[i] for i in those]),
                [rows[i] for i in those],
                PointParameters._fields[along],
                np.log(along_p) if is_logarithm else along_p,
                is_logarithm,
            )
        )
    return found


def _is_more_even(values: Array) -> bool:
    """Whether logarithms of some values are spaced more evenly than they are."""
    if not (values > 0.0).all():
        return False
    spacings = [np.diff(np.unique(v)) for v in (values, np.log(values))]
    if not spacings[0].size:
        return False
    linear, logarithmic = (s.max() / s.min() for s in spacings)
    return bool(logarithmic < linear)
