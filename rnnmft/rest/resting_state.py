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
from rnnmft.rest.rest_map import Rest, RestMap
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
    q. `gain` is of the power that perturbations carry, the largest on the unit circle: below 1 all
    |lambda| < 1, where units by themselves are stable. `stable`: whether small changes die out.
    `errors` are bounds, by kind and name.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("second_moment", "mean", "preactivation_variance", "gain"), _NUMBER
    )

    second_moment: Mapping[str, float]
    mean: Mapping[str, float]
    preactivation_variance: Mapping[str, float]
    gain: float
    stable: bool
    status: Status
    errors: Mapping[str, Any] = field(repr=False)
    of: Stability = field(repr=False, compare=False)

    def error_of(self, kind: str, name: str | None) -> float:
        """The error bound of a number."""
        found = self.errors[kind]
        return float(found if name is None else found[name])

    @property
    def is_zero(self) -> bool:
        """Whether every state is 0 at every unit."""
        return not any(self.second_moment.values())

    @cached_property
    def radius(self) -> Quantity:
        """The spectral radius of the Jacobian here: the fastest change grows by it in a step."""
        found = self.of.radius
        if found is None:
            return self.eigenvalues().radius
        return Quantity("spectral radius at rest", found[0], found[1], self.status)

    def eigenvalues(self, *, units: int = 1_024) -> EigenvalueLaw:
        """The law of the eigenvalues of the Jacobian at this fixed point.

        Args:
            units: how many are sampled; where all are alike there is one.

        Raises:
            ParameterError: units is not a whole number >= 1.
        """
        return self.of.law(check_count("units", units))

    def to_dict(self) -> dict[str, Any]:
        """Every field but the internal ones."""
        found = super().to_dict()
        found.pop("of")
        return found

    def __repr__(self) -> str:
        second = ", ".join(f"E[{s}^2] = {v:.6g}" for s, v in self.second_moment.items())
        kind = "stable" if self.stable else "unstable"
        return f"RestingState({kind}: {second}; gain {self.gain:.6g})"


def resting_states(cell: Cell, ensemble: Ensemble) -> list[RestingState]:
    """All fixed points of the mean field, by increasing second moment of what matrices see."""
    of = RestMap(cell, ensemble)
    return [_state(of, rest) for rest in of.roots()]


@lru_cache(maxsize=64)
def _averages(cell: Cell) -> FactoredAverages:
    states = resting_unit(cell).states.values()
    return FactoredAverages(
        [x**n for n in (2, 1) for x in states], cell.preactivations, cell.parameters
    )


def _state(of: RestMap, rest: Rest) -> RestingState:
    averages, seen = _averages(of.cell), rest.seen[:, None]
    value, error = (x[:, 0] for x in averages(of.laws(seen)))
    slope = of.slope_of(lambda y: averages(of.laws(y))[0], rest.seen)
    error = error + np.abs(slope) @ rest.error
    names, count = [s.name for s in of.cell.states], len(of.cell.states)
    q = {p.name: float(x[0]) for p, x in of.laws(seen).variance.items()}
    places = {p.name: (of.ensemble[p.name].sigma_w ** 2, r) for p, r in of.unit.row.items()}
    moved = {k: places[k][0] * float(rest.error[places[k][1]]) if k in places else 0.0 for k in q}
    stability = Stability(of, rest)
    gain, spread = stability.gain
    return RestingState(
        second_moment=dict(zip(names, map(float, value[:count]), strict=True)),
        mean=dict(zip(names, map(float, value[count:]), strict=True)),
        preactivation_variance=q,
        gain=gain,
        stable=stability.stable,
        status=rest.status,
        errors={
            "second_moment": dict(zip(names, map(float, error[:count]), strict=True)),
            "mean": dict(zip(names, map(float, error[count:]), strict=True)),
            "preactivation_variance": moved,
            "gain": spread,
        },
        of=stability,
    )
