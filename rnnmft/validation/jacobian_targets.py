"""Claims about the T-step Jacobian: moments of J J^T, and how the mean squared gradient grows.

m_1(T) and m_2(T) have heavy tails over networks, the more so the longer T: but for m_1 of one step
they are shown with what they resolve. The growth, the mean over networks of

    (log m_1(T_max) - log m_1(T_min)) / (T_max - T_min)

per step, has none; at infinite width it is that of the mean m_1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.results import Trajectory
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.records import Quantity
from rnnmft.simulation import Simulation
from rnnmft.validation.target import Claimed, Target, Untested
from rnnmft.validation.targets import reached_fixed_point
from rnnmft.validation.verdicts import Prediction

__all__ = ["jacobian_moments"]

Array = NDArray[np.float64]
# Where m_2 is sampled: units, and how many numbers their transfer matrices may take.
_UNITS, _NUMBERS = 65_536, 1.5e7


def jacobian_moments(
    mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]
) -> Claimed:
    """m_1(T), m_2(T) at every horizon T, and the growth of m_1 from the first to the last."""
    if not horizons:
        return [], []
    tying = trajectory.tying
    exact = trajectory.error_kind == "bound"
    at = reached_fixed_point(mean_field, trajectory) if exact else None
    if isinstance(at, str):
        names = [_name(order, T) for T in horizons for order in (1, 2)]
        return [], [Untested(name, tying, at) for name in names]
    found, left = _means(mean_field, trajectory, horizons)
    for T in horizons:
        try:
            second = _second(mean_field, trajectory.steps, T)
        except (ConvergenceError, DerivationError) as error:
            left.append(Untested(_name(2, T), tying, str(error)))
            continue
        more, without = _moment(second, 1, 2, T, tying)
        found, left = found + more, left + without
    return found, left


def _name(order: int, horizon: int) -> str:
    return f"m_{order}" if horizon == 1 else f"m_{order}({horizon})"


def _second(mean_field: MeanField, steps: int, horizon: int) -> Quantity:
    size = len(mean_field.cell.states) + len(mean_field.cell.preactivations) * horizon
    units = min(_UNITS, int(_NUMBERS / size**2))
    return mean_field.jacobian(horizon, burn_in=steps, units=units).moments(2)


def _means(mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]) -> Claimed:
    tying = trajectory.tying
    try:
        means = mean_field.jacobian_means(max(horizons), burn_in=trajectory.steps)
    except (ConvergenceError, DerivationError) as error:
        return [], [Untested(_name(1, T), tying, str(error)) for T in horizons]
    found: list[Target] = []
    left: list[Untested] = []
    for T in horizons:
        more, without = _moment(means, T - 1, 1, T, tying)
        found, left = found + more, left + without
    if len(horizons) > 1 and len(found) == len(horizons):
        found.append(_growth(means, horizons[0], horizons[-1], tying))
    return found, left


def _moment(known: Quantity, place: int, order: int, horizon: int, tying: str) -> Claimed:
    """The claim about one moment that the theory knows at a place of its array."""
    name, status = _name(order, horizon), known.status
    value, error = (np.array(float(np.asarray(v)[place])) for v in (known.value, known.error))
    if not status.ok or not np.isfinite(value) or value <= 0:
        reason = str(status) if not status.ok else "The Jacobian is zero."
        return [], [Untested(name, tying, reason)]
    latex = f"m_{{{order}}}" + ("" if horizon == 1 else f"({horizon})")
    prediction = Prediction(value, error, value, known.error_kind)
    primary = order == 1 and horizon == 1
    measured = _samples(horizon, order)
    return [Target(name, latex, "jacobian", str(horizon), tying, prediction, primary, measured)], []


def _samples(horizon: int, order: int) -> Callable[[Simulation], Array]:
    return lambda simulation: simulation.jacobian[horizon].moments.samples[:, order - 1]


def _growth(means: Quantity, first: int, last: int, tying: str) -> Target:
    """On the scale of 1 a step, so that the control moves it by 0.02 a step."""
    places = [first - 1, last - 1]
    values, errors = (np.asarray(v, dtype=float)[places] for v in (means.value, means.error))
    steps = last - first
    value = math.log(values[1] / values[0]) / steps
    relative = errors / values
    # The errors of two horizons of one run move together: neither sum is too small.
    error = (math.hypot(*relative) if means.error_kind != "bound" else relative.sum()) / steps
    prediction = Prediction(np.array(value), np.array(error), np.array(1.0), means.error_kind)

    def measured(simulation: Simulation) -> Array:
        early, late = (simulation.jacobian[T].moments.samples[:, 0] for T in (first, last))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(late / early) / steps

    latex = rf"\frac{{1}}{{{steps}}}\log\frac{{m_1({last})}}{{m_1({first})}}"
    name, of = f"growth({first}-{last})", f"{first}-{last}"
    return Target(name, latex, "gradient_growth", of, tying, prediction, True, measured)
