"""The stationary law of two trajectories of a cell with an accumulated state.

Eq. (law-recursion), Eq. (chi).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import require_variance
from rnnmft.solvers.transport.accumulated_model import Joint, OneLaw
from rnnmft.solvers.transport.slow_limit import slow_limit
from rnnmft.solvers.transport.stationary_laws import Level, StationaryLaws

__all__ = ["stationary_pair"]

Array = NDArray[np.float64]
# How far from independence and from equality two trajectories begin: any share in between
# approaches the same pair.
_APART = 0.1


def stationary_pair(laws: StationaryLaws, level: Level) -> tuple[Joint, OneLaw, float]:
    """The pair that two runs approach, each one's law, and the rate of the approach.

    Raises:
        ConvergenceError: there is none, or the stationary state is zero.
    """
    drivers = laws.reached[0].second
    require_variance(drivers, laws.reached[1])
    model = laws.model(level)
    at = model.stationary(drivers)
    # Independent trajectories, or equal ones, may be a pair at rest that shows no rate.
    share = min(max(laws.inputs.correlation, _APART), 1.0 - _APART)
    step, start, names = model.step(drivers), model.alike(at, share), list(at.second)
    scale = np.array([max(at.second[s], np.finfo(float).tiny) for s in names])

    def packed(joint: Joint) -> Array:
        return np.r_[joint.omega.ravel(), [joint.cross[s] for s in names]]

    def unpacked(values: Array) -> Joint:
        omega, cross = values[: -len(names)], values[-len(names) :]
        named = {s: float(v) for s, v in zip(names, cross, strict=True)}
        return Joint(omega.reshape(start.omega.shape), named)

    def without_marginals(values: Array) -> Array:
        # Each trajectory's own law is stationary: only what they share may move.
        omega = unpacked(values).omega
        omega = omega - np.outer(at.law[0], omega.sum(0))
        omega = omega - np.outer(omega.sum(1), at.law[0])
        return np.r_[omega.ravel(), values[-len(names) :]]

    found = slow_limit(
        lambda values: packed(model.advance_joint(unpacked(values), at, at, step)),
        packed(start),
        lambda values: float((np.abs(values[-len(names) :]) / scale).max()),
        without_marginals,
        # Equal inputs lead to equal states, where covariances cannot grow any further.
        smooth=laws.inputs.correlation < 1.0,
    )
    return unpacked(found.at), at, found.rate
