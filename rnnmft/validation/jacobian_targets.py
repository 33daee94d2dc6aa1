"""Claims about the T-step Jacobian: moments of J J^T, and how the mean squared gradient grows.

m_1(T) and m_2(T) have heavy tails over networks, the more so the longer T: but for m_1 of one step
they are shown with what they resolve. The growth per step, the mean over networks of

    (log m_1(T_max) - log m_1(T_min)) / (T_max - T_min)

has none; at infinite width it is that of the mean m_1. Where units are sampled, the moments come
from the block equation and the growth from the tangent process.
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

__all__ = ["gradient_growth", "jacobian_moments"]

Array = NDArray[np.float64]
# How many numbers the transfer matrices of sampled units may take.
_NUMBERS = 4e6


def jacobian_moments(
    mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]
) -> Claimed:
    """m_1(T), m_2(T) at every horizon T."""
    if not horizons:
        return [], []
    tying = trajectory.tying
    reason = _not_stationary(mean_field, trajectory)
    if reason:
        names = [_name(order, T) for T in horizons for order in (1, 2)]
        return [], [Untested(name, tying, reason) for name in names]
    found: list[Target] = []
    left: list[Untested] = []
    for T in horizons:
        for order, known in _moments(mean_field, trajectory.steps, T).items():
            more, without = _moment(known, order, T, tying)
            found, left = found + more, left + without
    return found, left


def _not_stationary(mean_field: MeanField, trajectory: Trajectory) -> str:
    """Why a theory that knows the stationary Jacobian alone cannot be compared; or nothing."""
    if trajectory.error_kind != "bound":
        return ""
    at = reached_fixed_point(mean_field, trajectory)
    return at if isinstance(at, str) else ""


def _name(order: int, horizon: int) -> str:
    return f"m_{order}" if horizon == 1 else f"m_{order}({horizon})"


def _moments(mean_field: MeanField, steps: int, horizon: int) -> dict[int, Quantity | str]:
    """m_1 and m_2, or why not; m_1 without sampling where there is a way."""
    size = len(mean_field.cell.states) + len(mean_field.cell.preactivations) * horizon
    units = min(mean_field.sampling.units, int(_NUMBERS / size**2))
    found: dict[int, Quantity | str] = {}
    for order in (1, 2):
        try:
            law = mean_field.jacobian(horizon, burn_in=steps, units=units)
            found[order] = law.moments(order)
        except (ConvergenceError, DerivationError) as error:
            found[order] = str(error)
    second = found[2]
    if isinstance(second, Quantity) and getattr(found[1], "error_kind", "bound") != "bound":
        found[1] = second
    return found


def _moment(known: Quantity | str, order: int, horizon: int, tying: str) -> Claimed:
    """The claim about one moment, the last of those known or one before."""
    name = _name(order, horizon)
    if isinstance(known, str):
        return [], [Untested(name, tying, known)]
    value, error = (np.array(float(np.asarray(v)[order - 1])) for v in (known.value, known.error))
    if not known.status.ok or not np.isfinite(value) or value <= 0:
        reason = str(known.status) if not known.status.ok else "The Jacobian is zero."
        return [], [Untested(name, tying, reason)]
    latex = f"m_{{{order}}}" + ("" if horizon == 1 else f"({horizon})")
    prediction = Prediction(value, error, value, known.error_kind)
    primary = order == 1 and horizon == 1
    measured = _samples(horizon, order)
    target = Target(name, latex, "jacobian", str(horizon), tying, prediction, primary, measured)
    return [target], []


def _samples(horizon: int, order: int) -> Callable[[Simulation], Array]:
    return lambda simulation: simulation.jacobian[horizon].moments.samples[:, order - 1]


def gradient_growth(
    mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]
) -> Claimed:
    """Growth of m_1 from the first horizon to the last, on the scale of 1 a step.

    So the control moves it by 0.02 a step.
    """
    if len(horizons) < 2:
        return [], []
    first, last = horizons[0], horizons[-1]
    name, of, steps = f"growth({first}-{last})", f"{first}-{last}", last - first
    reason = _not_stationary(mean_field, trajectory)
    if reason:
        return [], [Untested(name, trajectory.tying, reason)]
    try:
        means = mean_field.jacobian_means(last, burn_in=trajectory.steps)
    except (ConvergenceError, DerivationError) as error:
        return [], [Untested(name, trajectory.tying, str(error))]
    places = [first - 1, last - 1]
    values, errors = (np.asarray(v, dtype=float)[places] for v in (means.value, means.error))
    if not means.status.ok or not (np.isfinite(values) & (values > 0)).all():
        reason = str(means.status) if not means.status.ok else "The Jacobian is zero."
        return [], [Untested(name, trajectory.tying, reason)]
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
    target = Target(
        name, latex, "gradient_growth", of, trajectory.tying, prediction, True, measured
    )
    return [target], []
