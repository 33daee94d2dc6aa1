"""RestingState: one fixed point of a network without input, as the mean field sees it.

Eq. (rest), Eq. (rest-gain).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble
from rnnmft.parameters import check_count
from rnnmft.records import Measured, Quantity
from rnnmft.rest.averages import FactoredAverages
from rnnmft.rest.rest_map import Kinds, Rest, RestMap
from rnnmft.rest.stability import Stability
from rnnmft.theory.rest import resting_unit

__all__ = ["RestingState", "resting_states"]

Array = NDArray[np.float64]
_NUMBER = "dimensionless"


@dataclass(frozen=True)
class RestingState(Measured):
    """The statistics over units of one fixed point.

    A stable one is the one state in which wide networks of the ensemble come to rest. Unstable ones
    but zero scatter: a network has very many of them, and this is the law of a typical one among
    networks that are given it, not of those that some search finds.

    `second_moment[state]` and `mean[state]` are E[s^2] and E[s], `preactivation_variance[name]` is
    q, and `average[name]` of the cell's averages over units. `gain` is of the power that
    perturbations carry, the largest on the unit circle: below 1 the cloud is, where units by
    themselves are stable. `outliers` are the eigenvalues beside the cloud, an array; None where
    they are not known. `stable`: whether small changes die out.
    `continuum` is 0 at an isolated fixed point; where they fill a ring or more it is the dimension
    of that, this is one of its points, errors and stability are across it.
    `errors` are bounds, by kind and name.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("second_moment", "mean", "preactivation_variance", "average", "gain", "outliers"),
        _NUMBER,
    )

    second_moment: Mapping[str, float]
    mean: Mapping[str, float]
    preactivation_variance: Mapping[str, float]
    average: Mapping[str, float]
    gain: float
    outliers: NDArray[Any] | None
    stable: bool
    continuum: int
    status: Status
    errors: Mapping[str, Any] = field(repr=False)
    stability: Stability = field(repr=False, compare=False)

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error bound of a number, or of each of the outliers."""
        found = self.errors[kind]
        return found if name is None else float(found[name])

    @property
    def growth(self) -> Quantity:
        """What stability is lost by as it passes 1: the gain, or an outlier's |lambda|."""
        found = [Quantity("gain", self.gain, self.errors["gain"], self.status)]
        if self.outliers is not None:
            pairs = zip(np.abs(self.outliers), self.errors["outliers"], strict=True)
            found += [Quantity("outlier", float(x), float(e), self.status) for x, e in pairs]
        return max(found, key=float)

    @property
    def is_zero(self) -> bool:
        """Whether every state is 0 at every unit."""
        return not any(self.second_moment.values())

    @cached_property
    def radius(self) -> Quantity:
        """The spectral radius of the Jacobian here: the fastest change grows by it in a step."""
        found, name = self.stability.radius, "spectral radius at rest"
        cloud = self.eigenvalues().radius
        if found is not None:
            cloud = Quantity(name, found[0], found[1], self.status)
        outlier = self.growth
        if outlier.name == "gain" or float(outlier) < float(cloud):
            return cloud
        return Quantity(name, outlier.value, outlier.error, self.status)

    def eigenvalues(self, *, units: int = 1_024) -> EigenvalueLaw:
        """The law of the eigenvalues of the Jacobian at this fixed point.

        Args:
            units: how many are sampled; where all are alike there is one.

        Raises:
            ParameterError: units is not a whole number >= 1.
        """
        return self.stability.law(check_count("units", units))

    def to_dict(self) -> dict[str, Any]:
        """Every field but the internal ones."""
        found = super().to_dict()
        found.pop("stability")
        return found

    def __repr__(self) -> str:
        second = ", ".join(f"E[{s}^2] = {v:.6g}" for s, v in self.second_moment.items())
        kind = "stable" if self.stable else "unstable"
        return f"RestingState({kind}: {second}; gain {self.gain:.6g})"


def resting_states(cell: Cell, ensemble: Ensemble) -> list[RestingState]:
    """All fixed points of the mean field, by increasing second moment of what matrices see."""
    rest_map = RestMap(cell, ensemble)
    return [_state(rest_map, rest) for rest in rest_map.roots()]


@lru_cache(maxsize=64)
def _averages(cell: Cell, kinds: Kinds) -> FactoredAverages:
    states = resting_unit(cell).states.values()
    return kinds.averages([x**n for n in (2, 1) for x in states])


def _state(rest_map: RestMap, rest: Rest) -> RestingState:
    averages, seen = _averages(rest_map.cell, rest_map.kinds), rest.seen[:, None]
    value, error = (x[:, 0] for x in averages(rest_map.laws(seen)))
    slope = rest_map.slope_of(lambda y: averages(rest_map.laws(y))[0], rest.seen)
    error = error + np.abs(slope) @ rest.error
    names, count = [s.name for s in rest_map.cell.states], len(rest_map.cell.states)
    variance = rest_map.laws(seen).variance
    q = {p.name: float(variance[p][0]) for p in rest_map.cell.preactivations}
    known = [m.name for m in rest_map.unit.averaged]
    places = {
        p.name: (rest_map.ensemble[p.name].sigma_w ** 2, r) for p, r in rest_map.unit.row.items()
    }
    moved = {k: places[k][0] * float(rest.error[places[k][1]]) if k in places else 0.0 for k in q}
    stability = Stability(rest_map, rest)
    (gain, spread), beside = stability.gain, stability.outliers
    return RestingState(
        second_moment=dict(zip(names, map(float, value[:count]), strict=True)),
        mean=dict(zip(names, map(float, value[count:]), strict=True)),
        preactivation_variance=q,
        average=dict(zip(known, map(float, rest.seen[rest_map.squares :]), strict=True)),
        gain=gain,
        outliers=None if beside is None else beside[0],
        stable=stability.stable,
        continuum=rest.continuum,
        status=rest.status,
        errors={
            "second_moment": dict(zip(names, map(float, error[:count]), strict=True)),
            "mean": dict(zip(names, map(float, error[count:]), strict=True)),
            "preactivation_variance": moved,
            "average": dict(zip(known, map(float, rest.error[rest_map.squares :]), strict=True)),
            "gain": spread,
            "outliers": None if beside is None else beside[1],
        },
        stability=stability,
    )
