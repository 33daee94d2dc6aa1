"""Claims about the T-step Jacobian: its singular values, and how the mean squared gradient grows.

Moments of J J^T have heavy tails over networks, the more so the longer T and the higher the moment:
m_1 of one step is claimed, the others are shown beside the claims. What is claimed of the singular
values at every T is the effective dimension, which is bounded. The growth per step, the mean over
networks of

    (log m_1(T_max) - log m_1(T_min)) / (T_max - T_min)

has no heavy tails either; at infinite width it is that of the mean m_1. Where units are sampled,
the law comes from the block equation and the growth from the tangent process.

Eq. (measured-growth).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.page.numbers import significant
from rnnmft.records import Quantity
from rnnmft.simulation import Simulation
from rnnmft.solvers.results import Trajectory
from rnnmft.spectra.law import JacobianLaw
from rnnmft.validation.effective_dimension import measured_dimension, predicted_dimension
from rnnmft.validation.target import Claimed, Target, Untested
from rnnmft.validation.targets import reached_fixed_point
from rnnmft.validation.verdicts import Prediction

__all__ = ["gradient_growth", "singular_values"]

Array = NDArray[np.float64]
Found = TypeVar("Found")
# How many numbers the transfer matrices of sampled units may take: 80 MB.
_NUMBERS = 1e7
# Moments of J J^T that are claimed: the mean, and the second, which tells the spread.
_ORDERS = (1, 2)
_ZERO = "The Jacobian is zero."


def singular_values(
    mean_field: MeanField,
    trajectory: Trajectory,
    horizons: Sequence[int],
    points: Mapping[int, float],
) -> Claimed:
    """m_1(T), m_2(T) and the effective dimension d_eff(T) at every horizon T.

    Args:
        mean_field: the theory.
        trajectory: its moments, over as many steps as networks take before the Jacobian.
        horizons: T.
        points: {T: z} of d_eff; without a z all singular values of the networks were 0.
    """
    if not horizons:
        return [], []
    tying = trajectory.tying
    reason = _not_stationary(mean_field, trajectory)
    found: list[Target] = []
    left: list[Untested] = []
    for T in horizons:
        law = reason or _attempt(lambda T=T: _law(mean_field, trajectory.steps, T))
        if isinstance(law, str):
            names = [*(_name(f"m_{k}", T) for k in _ORDERS), _name("d_eff", T)]
            left += [Untested(name, tying, law) for name in names]
            continue
        for each in (*_moments(law, T, tying), _dimension(law, T, points.get(T), tying)):
            if isinstance(each, Target):
                found.append(each)
            else:
                left.append(each)
    return found, left


def _not_stationary(mean_field: MeanField, trajectory: Trajectory) -> str:
    """Why a theory that knows the stationary Jacobian alone cannot be compared; or nothing."""
    if trajectory.error_kind != "bound":
        return ""
    at = reached_fixed_point(mean_field, trajectory)
    return at if isinstance(at, str) else ""


def _attempt(compute: Callable[[], Found]) -> Found | str:
    """What can be computed, or why not."""
    try:
        return compute()
    except (ConvergenceError, DerivationError) as error:
        return str(error)


def _name(symbol: str, horizon: int) -> str:
    return symbol if horizon == 1 else f"{symbol}({horizon})"


def _law(mean_field: MeanField, steps: int, horizon: int) -> JacobianLaw:
    size = len(mean_field.cell.states) + len(mean_field.cell.preactivations) * horizon
    units = min(mean_field.sampling.units, int(_NUMBERS / size**2))
    return mean_field.jacobian(horizon, burn_in=steps, units=units)


def _moments(law: JacobianLaw, horizon: int, tying: str) -> list[Target | Untested]:
    """m_1 and m_2; m_1 without sampling where there is a way."""
    known = {k: _attempt(lambda k=k: law.moments(k)) for k in _ORDERS}
    first, second = known.values()
    if isinstance(second, Quantity) and isinstance(first, Quantity) and first.error_kind != "bound":
        known[1] = second
    found: list[Target | Untested] = []
    for k, moments in known.items():
        name, latex = _name(f"m_{k}", horizon), _name(f"m_{{{k}}}", horizon)
        prediction = _prediction(moments, k - 1)
        if isinstance(prediction, str):
            found.append(Untested(name, tying, prediction))
            continue
        claimed = k == 1 and horizon == 1
        measured = _samples(horizon, k)
        found.append(
            Target(name, latex, "jacobian", str(horizon), tying, prediction, claimed, measured)
        )
    return found


def _dimension(law: JacobianLaw, horizon: int, z: float | None, tying: str) -> Target | Untested:
    """d_eff at its z, which stands in the label."""
    name, latex = _name("d_eff", horizon), _name(r"d_{\mathrm{eff}}", horizon)
    if z is None:
        return Untested(name, tying, _ZERO)
    known = _attempt(lambda: predicted_dimension(law, z))
    prediction = _prediction(known, ..., f"z = {significant(z, 2)}")
    if isinstance(prediction, str):
        return Untested(name, tying, prediction)
    measured = measured_dimension(horizon, z)
    of = str(horizon)
    return Target(name, latex, "effective_dimension", of, tying, prediction, True, measured)


def _prediction(known: Quantity | str, place: Any, *labels: str) -> Prediction | str:
    """One number among those known, on its own scale; or why it predicts nothing."""
    if isinstance(known, str):
        return known
    value, error = (np.array(np.asarray(v, dtype=float)[place]) for v in (known.value, known.error))
    if not known.status.ok:
        return str(known.status)
    if not np.isfinite(value) or value <= 0:
        return _ZERO
    return Prediction(value, error, value, known.error_kind, labels=labels)


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
        # An m_1 of 0 has no logarithm; a claim whose samples are not finite is left untested.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(late / early) / steps

    latex = rf"\frac{{1}}{{{steps}}}\log\frac{{m_1({last})}}{{m_1({first})}}"
    target = Target(
        name, latex, "gradient_growth", of, trajectory.tying, prediction, True, measured
    )
    return [target], []
