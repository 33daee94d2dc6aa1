"""What became of one point of a map.

Eq. (tied-kernel), Eq. (xi).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.solvers.sampled.growth_search import GrowthFound
from rnnmft.solvers.sampled.readings import READ, second_moments
from rnnmft.solvers.sampled.relaxation import Rate, slowest_rate, timescale_of
from rnnmft.solvers.sampled.stationary import Settled
from rnnmft.units.growth_limit import GrowthLimit

__all__ = ["PointFound", "answer_of", "moments_of", "rates_of"]

Array = NDArray[np.float64]
#: A value (or several), its error, its status.
Found = tuple[Array, Array, Status]


@dataclass(frozen=True)
class PointFound:
    """What became of one point: values, their errors and a status by quantity.

    Those of `phase_diagram` that one trajectory tells: second_moment, preactivation_variance,
    gradient_growth, chi_1, xi_q. A point that is predicted (`kriged_map`) has no xi_q, and no
    units. `limit`: what its error is made of.
    """

    values: Mapping[str, Found]
    units: int = 0
    is_predicted: bool = False
    limit: GrowthLimit | None = None

    @classmethod
    def failed(cls, status: Status) -> PointFound:
        """A point without numbers."""
        nothing = np.array([math.nan])
        names = ("second_moment", "preactivation_variance", "gradient_growth", "chi_1", "xi_q")
        return cls(dict.fromkeys(names, (nothing, nothing, status)))

    def within(self, tolerance: float) -> PointFound:
        """The same, with rates that are `NOT_CONVERGED` if the error is larger than that."""
        if self.limit is None or self.limit.error <= tolerance:
            return self
        rates = {
            name: (*self.values[name][:2], Status.NOT_CONVERGED)
            for name in ("gradient_growth", "chi_1")
            if self.values[name][2] is Status.OK
        }
        return replace(self, values={**self.values, **rates})


def answer_of(at: Settled, growth: GrowthFound) -> PointFound:
    """The numbers of a point, as `SampledUnits` gives them."""
    status = growth.status if at.status is Status.OK else at.status
    found = moments_of(at) | rates_of(growth, status)
    rate, error = growth.limit.value, growth.limit.error
    if not found["second_moment"][0].any():
        xi = timescale_of(Rate(-rate, error, True))
        found["xi_q"] = np.array([xi[0]]), np.array([xi[1]]), status
        if rate > 0.0:
            for name in ("second_moment", "preactivation_variance"):
                found[name] = *found[name][:2], Status.UNSTABLE
    return PointFound(found, growth.units, limit=growth.limit)


def rates_of(growth: GrowthFound, status: Status) -> dict[str, Found]:
    """What perturbations tell."""
    rate, error = growth.limit.value, growth.limit.error
    chi = math.exp(rate)
    return {
        "gradient_growth": (np.array([rate]), np.array([error]), status),
        "chi_1": (np.array([chi]), np.array([chi * error]), status),
    }


def moments_of(at: Settled) -> dict[str, Found]:
    """What needs no perturbation."""
    found: dict[str, Found] = {}
    for name in ("second_moment", "preactivation_variance"):
        pairs = at.late(READ[name])
        values, errors = (np.array([float(pair[k]) for pair in pairs.values()]) for k in (0, 1))
        if name == "second_moment":
            errors = np.hypot(errors, [at.remaining[n] for n in pairs])
        found[name] = values, errors, at.status
    value, error = timescale_of(slowest_rate(second_moments(at.samples.values), at.steps // 4))
    found["xi_q"] = np.array([value]), np.array([error]), at.status
    return found
