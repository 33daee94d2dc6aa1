"""What is claimed: which numbers the theory predicts, and where a simulation measures each.

Targets are drawn up before anything is simulated, so that the number of claims, and with it the
threshold of each, is fixed beforehand. What the theory cannot predict is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.results import FixedPoint, Trajectory
from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.records import Record
from rnnmft.simulation import Simulation
from rnnmft.validation.verdicts import Prediction

__all__ = ["Target", "Untested", "stationary_window", "targets"]

Array = NDArray[np.float64]

# A stationary value is claimed only of a moment that has come this close to it.
_STATIONARY = 1e-3


@dataclass(frozen=True, eq=False)
class Target(Record):
    """One claim to be tested.

    Attributes:
        name: as a report prints it: "E[h^2]", "q_e", "m_1".
        latex: the same as LaTeX.
        quantity, of: the field of a `Simulation` and the key in it; ("jacobian", "1") and so on.
        tying: whose theory.
        prediction: of the theory.
        primary: whether its control must be rejected for a report to pass. The moments of J J^T
            beyond the first have heavy-tailed samples; they are tested, and a report says when it
            could not resolve them.
        measured: the samples (networks, ...) in a simulation.
    """

    name: str
    latex: str
    quantity: str
    of: str
    tying: str
    prediction: Prediction
    primary: bool
    measured: Callable[[Simulation], Array] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Every field but the function."""
        found = {k: v for k, v in vars(self).items() if k not in ("measured", "prediction")}
        return {**found, "prediction": self.prediction.to_dict()}


@dataclass(frozen=True)
class Untested(Record):
    """A number that is not tested, and why."""

    name: str
    tying: str
    reason: str


def stationary_window(steps: int) -> slice:
    """The last third of the steps."""
    return slice(steps - max(1, steps // 3), steps)


def targets(
    mean_field: MeanField,
    trajectory: Trajectory,
    horizons: Sequence[int],
    repetitions: int,
) -> tuple[list[Target], list[Untested]]:
    """Every claim of one theory, and what it leaves out.

    Args:
        mean_field: the theory.
        trajectory: its moments over the steps that the networks will take.
        horizons: of the Jacobians.
        repetitions: behind a standard error of the theory.
    """
    # A correlation undefined at some step leaves out that claim, not all.
    if trajectory.status not in (Status.OK, Status.UNDEFINED):
        return [], [Untested("everything", trajectory.tying, str(trajectory.status))]
    found, left = _over_time([s.name for s in mean_field.cell.states], trajectory)
    for more, without in (
        _stationary_variances(mean_field, trajectory),
        _jacobians(mean_field, trajectory, horizons),
    ):
        found, left = found + more, left + without
    return [_with_degrees(target, repetitions - 1) for target in found], left


def _with_degrees(target: Target, degrees: int) -> Target:
    if target.prediction.error_kind == "bound":
        return target
    return replace(target, prediction=replace(target.prediction, error_degrees=float(degrees)))


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


def _over_time(
    states: Sequence[str], trajectory: Trajectory
) -> tuple[list[Target], list[Untested]]:
    found: list[Target] = []
    left: list[Untested] = []
    for state in states:
        second = trajectory.second_moment[state]
        # A cross moment may be 0; a quarter of the second moment is the least scale of its claim.
        least = np.asarray(second) / 4
        rows: list[tuple[str, str, str, Mapping[str, Any], Array]] = [
            ("second_moment", f"E[{state}^2]", f"E[{state}^2]", trajectory.second_moment, least),
            ("cross_moment", f"E[{state}_a {state}_b]", f"E[{state}_a {state}_b]",
             trajectory.cross_moment, least),
            ("correlation", f"c_{state}", f"c_{{{state}}}", trajectory.correlation,
             np.full(trajectory.steps, 0.25)),
        ]  # fmt: skip
        for quantity, name, latex, values, floor in rows:
            value = np.asarray(values[state], dtype=float)
            scale = np.maximum(np.abs(value), floor)
            if not (np.asarray(second) > 0).all() or not np.isfinite(value).all():
                left.append(Untested(name, trajectory.tying, str(Status.UNDEFINED)))
                continue
            prediction = Prediction(
                value, _error_of(trajectory, quantity, state), scale, trajectory.error_kind
            )
            latex = latex.replace("E[", r"\mathbb{E}[")
            measured = _series(quantity, state)
            found.append(
                Target(name, latex, quantity, state, trajectory.tying, prediction, True, measured)
            )
    return found, left


def _series(quantity: str, name: str) -> Callable[[Simulation], Array]:
    return lambda simulation: getattr(simulation, quantity)[name].samples


def _fixed_point(mean_field: MeanField, trajectory: Trajectory) -> FixedPoint | str:
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


def _stationary_variances(
    mean_field: MeanField, trajectory: Trajectory
) -> tuple[list[Target], list[Untested]]:
    window = stationary_window(trajectory.steps)
    found: list[Target] = []
    left: list[Untested] = []
    # A sampled theory states its moments over time; its own search for a fixed point is as long.
    exact = trajectory.error_kind == "bound"
    at = _fixed_point(mean_field, trajectory) if exact else None
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


def _jacobians(
    mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]
) -> tuple[list[Target], list[Untested]]:
    found: list[Target] = []
    left: list[Untested] = []
    tying = trajectory.tying
    at = _fixed_point(mean_field, trajectory) if trajectory.error_kind == "bound" else None
    for horizon in horizons:
        for order in (1, 2):
            name = f"m_{order}" if horizon == 1 else f"m_{order}({horizon})"
            if isinstance(at, str):
                left.append(Untested(name, tying, at))
                continue
            try:
                law = mean_field.jacobian(horizon, burn_in=trajectory.steps)
                moments = law.moments(order)
            except (ConvergenceError, DerivationError) as error:
                left.append(Untested(name, tying, str(error)))
                continue
            value = np.array(float(moments.value[order - 1]))
            status = moments.status
            if not status.ok or not np.isfinite(value) or value <= 0:
                reason = str(status) if not status.ok else "The Jacobian is zero."
                left.append(Untested(name, tying, reason))
                continue
            error = np.array(float(np.asarray(moments.error)[order - 1]))
            latex = f"m_{{{order}}}" + ("" if horizon == 1 else f"({horizon})")
            prediction = Prediction(value, error, value, moments.error_kind)
            found.append(
                Target(name, latex, "jacobian", str(horizon), tying, prediction,
                       order == 1 and horizon == 1, _moment(horizon, order))
            )  # fmt: skip
    return found, left


def _moment(horizon: int, order: int) -> Callable[[Simulation], Array]:
    return lambda simulation: simulation.jacobian[horizon].moments.samples[:, order - 1]
