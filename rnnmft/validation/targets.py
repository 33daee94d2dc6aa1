"""Claims about moments: over time, at stationarity, and between two times.

Targets are drawn up before anything is simulated, so that the number of claims, and with it the
threshold of each, is fixed beforehand. What the theory cannot predict is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ConvergenceError, Status
from rnnmft.simulation import Simulation
from rnnmft.solvers.results import FixedPoint, Trajectory
from rnnmft.validation.target import Claimed, Target, Untested, stationary_window
from rnnmft.validation.verdicts import Prediction

__all__ = ["autocorrelations", "moments_over_time", "reached_fixed_point", "stationary_variances"]

Array = NDArray[np.float64]

# A cross moment may be 0: the least scale of its claim, in second moments, and of a correlation's.
_LEAST_SCALE = 0.25
# A stationary value is claimed only of a moment that has come this close to it: a twentieth of the
# 2 % that a control is off by.
_STATIONARY = 1e-3


def _error_of(trajectory: Trajectory, quantity: str, name: str) -> Array:
    """The error that the theory states; of a correlation, that of its two moments together."""
    stated = trajectory.error.get(quantity, {})
    if name in stated:
        return np.asarray(stated[name], dtype=float)
    if quantity == "correlation":
        second = np.asarray(trajectory.second_moment[name])
        parts = [_error_of(trajectory, q, name) for q in ("second_moment", "cross_moment")]
        return np.divide(sum(parts), second, out=np.zeros_like(second), where=second > 0)
    return np.zeros(trajectory.steps)


def moments_over_time(trajectory: Trajectory) -> Claimed:
    """E[s^2], E[s_a s_b] and c_s of every state at every step."""
    found: list[Target] = []
    left: list[Untested] = []
    labels = tuple(f"step {t + 1}" for t in range(trajectory.steps))
    for state in trajectory.second_moment:
        second = trajectory.second_moment[state]
        least = _LEAST_SCALE * np.asarray(second)
        rows: list[tuple[str, str, str, Mapping[str, Any], Array]] = [
            ("second_moment", f"E[{state}^2]", f"E[{state}^2]", trajectory.second_moment, least),
            ("cross_moment", f"E[{state}_a {state}_b]", f"E[{state}_a {state}_b]",
             trajectory.cross_moment, least),
            ("correlation", f"c_{state}", f"c_{{{state}}}", trajectory.correlation,
             np.full(trajectory.steps, _LEAST_SCALE)),
        ]  # fmt: skip
        for quantity, name, latex, values, floor in rows:
            value = np.asarray(values[state], dtype=float)
            scale = np.maximum(np.abs(value), floor)
            if not (np.asarray(second) > 0).all() or not np.isfinite(value).all():
                left.append(Untested(name, trajectory.tying, str(Status.UNDEFINED)))
                continue
            error = _error_of(trajectory, quantity, state)
            prediction = Prediction(value, error, scale, trajectory.error_kind, labels=labels)
            latex = latex.replace("E[", r"\mathbb{E}[")
            measured = _series(quantity, state)
            found.append(
                Target(name, latex, quantity, state, trajectory.tying, prediction, True, measured)
            )
    return found, left


def _series(quantity: str, name: str) -> Callable[[Simulation], Array]:
    return lambda simulation: getattr(simulation, quantity)[name].samples


def reached_fixed_point(mean_field: MeanField, trajectory: Trajectory) -> FixedPoint | str:
    """The fixed point if the last steps of the trajectory have reached it; else why not."""
    try:
        at = mean_field.fixed_point()
    except ConvergenceError as error:
        return str(error)
    window = stationary_window(trajectory.steps)
    for state, value in at.second_moment.items():
        gap = np.abs(np.asarray(trajectory.second_moment[state])[window] - value).max()
        if gap > _STATIONARY * abs(value):
            return (
                f"E[{state}^2] is still {gap / abs(value):.2%} away from its stationary value in "
                f"the last third of {trajectory.steps} steps; take more steps"
            )
    return at


def stationary_variances(mean_field: MeanField, trajectory: Trajectory) -> Claimed:
    """q* of every preactivation, averaged over the last third of the steps."""
    window = stationary_window(trajectory.steps)
    found: list[Target] = []
    left: list[Untested] = []
    # A sampled theory states its moments over time; its own search for a fixed point is as long.
    exact = trajectory.error_kind == "bound"
    at = reached_fixed_point(mean_field, trajectory) if exact else None
    for name, values in trajectory.preactivation_variance.items():
        value = float(np.asarray(values)[window].mean())
        error = float(_error_of(trajectory, "preactivation_variance", name)[window].mean())
        if isinstance(at, str):
            left.append(Untested(f"q*_{name}", trajectory.tying, at))
            continue
        if at is not None:
            value, error = at.preactivation_variance[name], at.error
        if value <= 0:
            left.append(Untested(f"q*_{name}", trajectory.tying, "The preactivation is constant."))
            continue
        prediction = Prediction(
            np.array(value), np.array(error), np.array(value), trajectory.error_kind
        )
        latex = rf"q^*_{{{name}}}"
        found.append(
            Target(f"q*_{name}", latex, "preactivation_variance", name, trajectory.tying,
                   prediction, True, _window_mean(name, window))
        )  # fmt: skip
    return found, left


def _window_mean(name: str, window: slice) -> Callable[[Simulation], Array]:
    return lambda simulation: simulation.preactivation_variance[name].samples[:, window].mean(1)


def autocorrelations(mean_field: MeanField, trajectory: Trajectory, lags: Sequence[int]) -> Claimed:
    """C(tau) = E[s^T s^{T - tau}] of every state at the last step T, on the scale of C(0)."""
    names = {state: f"C_{state}" for state in trajectory.second_moment}
    if not lags:
        return [], []

    def none(reason: str) -> Claimed:
        return [], [Untested(name, trajectory.tying, reason) for name in names.values()]

    try:
        known = mean_field.autocorrelation(max(lags), burn_in=trajectory.steps - max(lags) - 1)
    except ConvergenceError as error:
        return none(str(error))
    if not known.status.ok:
        return none(str(known.status))
    if known.error_kind == "bound":
        # Deterministic ones know the stationary C alone.
        at = reached_fixed_point(mean_field, trajectory)
        if isinstance(at, str):
            return none(at)
    found: list[Target] = []
    left: list[Untested] = []
    chosen = list(lags)
    for state, name in names.items():
        values, errors = (np.asarray(v[state], dtype=float) for v in (known.value, known.error))
        if not np.isfinite(values).all() or values[0] <= 0:
            left.append(Untested(name, trajectory.tying, str(Status.UNDEFINED)))
            continue
        prediction = Prediction(
            values[chosen], errors[chosen], np.full(len(chosen), values[0]), known.error_kind,
            labels=tuple(f"lag {lag}" for lag in chosen),
        )  # fmt: skip
        found.append(
            Target(name, rf"C_{{{state}}}", "autocovariance", state, trajectory.tying, prediction,
                   True, _series("autocovariance", state))
        )  # fmt: skip
    return found, left
