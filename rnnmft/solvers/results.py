"""The records of the analysis: trajectories, fixed points, timescales; keyed by plain names.

Each is `Measured`: `found.quantity("second_moment", "h")` is one of its numbers with its error, the
kind of the error, its unit and its own status. Second moments, means and variances are in units of
the states and preactivations, which have none: "dimensionless"; times are in steps.

Eq. (second-moment), Eq. (xi), Eq. (memory).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rnnmft.correlation import status_by_element
from rnnmft.errors import Status
from rnnmft.records import BOUND, Measured

__all__ = [
    "Autocorrelation",
    "CorrelationFixedPoint",
    "FixedPoint",
    "Timescales",
    "Trajectory",
    "trajectory_status",
]

_NUMBER, _STEPS = "dimensionless", "steps"
_MOMENTS = ("second_moment", "mean", "preactivation_variance")
_PAIR = ("cross_moment", "preactivation_covariance")


def trajectory_status(second: Mapping[str, Any], moments: Status) -> dict[str, Any]:
    """The fields `status` and `statuses` of a trajectory whose moments have a status.

    A correlation is undefined at the steps at which its state has no variance. The trajectory is
    only where it ends so: that a state which repeats another starts a step later is no fault.
    """
    found = {name: status_by_element(values, moments) for name, values in second.items()}
    undefined = any(np.ravel(status)[-1] is not moments for status in found.values())
    status = Status.worst(moments, Status.UNDEFINED) if undefined else moments
    by_kind: dict[str, Any] = dict.fromkeys((*_MOMENTS, *_PAIR), moments)
    return {"status": status, "statuses": {**by_kind, "correlation": found}}


@dataclass(frozen=True)
class Trajectory(Measured):
    """Moments over time from t = 0; element t is after t + 1 updates.

    `second_moment[state]`, `cross_moment[state]`, `correlation[state]`, `mean[state]`: (steps,);
    `preactivation_variance[name]`, `preactivation_covariance[name]`: (steps,), element t belongs to
    the preactivation of update t + 1. A correlation is nan, and UNDEFINED, at the steps at which
    its state has no variance: `statuses["correlation"][state]`; `status` is that of all numbers
    together, UNDEFINED where a correlation is at the last step. `error[quantity][name]`, (steps,):
    a bound where the solution is deterministic, a standard error where it is sampled
    (`error_kind`). `tying` names the theory; `units`: how many were sampled, None where none were.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys((*_MOMENTS, *_PAIR, "correlation"), _NUMBER)

    tying: str
    steps: int
    second_moment: Mapping[str, Any]
    cross_moment: Mapping[str, Any]
    correlation: Mapping[str, Any]
    mean: Mapping[str, Any]
    preactivation_variance: Mapping[str, Any]
    preactivation_covariance: Mapping[str, Any]
    error: Mapping[str, Mapping[str, Any]]
    status: Status = Status.OK
    error_kind: str = BOUND
    method: str = "quadrature"
    units: int | None = None
    statuses: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a kind and name, (steps,)."""
        return self.error[kind][name]  # type: ignore[index]

    def __repr__(self) -> str:
        last = ", ".join(f"E[{s}^2] = {v[-1]:.6g}" for s, v in self.second_moment.items())
        return f"Trajectory({self.tying}, {self.steps} steps, ends at {last}; {self.status.name})"


@dataclass(frozen=True)
class FixedPoint(Measured):
    """A stationary state of the moments.

    `second_moment[state]` (Q*), `mean[state]`, `preactivation_variance[name]` (q*); `slope`: the
    largest |eigenvalue| of the moment map there (None where it is not computed: where units are
    sampled); `stable`: slope < 1. `errors[quantity][name]` and `slope_error` are bounds, or
    standard errors where units are sampled (`error_kind`); `error`: the largest of the moments.
    `units`: how many were sampled.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys((*_MOMENTS, "slope"), _NUMBER)

    tying: str
    second_moment: Mapping[str, float]
    mean: Mapping[str, float]
    preactivation_variance: Mapping[str, float]
    slope: float | None
    stable: bool
    error: float
    status: Status = Status.OK
    method: str = "quadrature"
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    units: int | None = None
    moments: Any = field(default=None, repr=False, compare=False)
    slope_error: float | None = None
    error_kind: str = BOUND

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a kind and name."""
        if kind == "slope":
            return self.slope_error
        return self.errors[kind][name]  # type: ignore[index]

    def to_dict(self) -> dict[str, Any]:
        """Every field but the internal vector of moments."""
        found = super().to_dict()
        found.pop("moments")
        return found

    def __repr__(self) -> str:
        second = ", ".join(f"E[{s}^2] = {v:.8g}" for s, v in self.second_moment.items())
        q = ", ".join(f"q_{s} = {v:.8g}" for s, v in self.preactivation_variance.items())
        kind = "stable" if self.stable else "unstable"
        return f"FixedPoint({self.tying}, {kind}: {second}; {q}; +- {self.error:.2g})"


@dataclass(frozen=True)
class CorrelationFixedPoint(Measured):
    """The stationary correlation of two trajectories: c*, and the slope chi(c*) of the map there.

    `correlation[state]`, `cross_moment[state]`; `others`: the correlations of the states at further
    (unstable or unreached) fixed points, with their slopes, and `other_errors`: theirs, of the same
    shape. `errors[quantity][name]` and `slope_error` are bounds, or standard errors where units are
    sampled (`error_kind`); `error`: the largest of the correlations. `units`: how many were
    sampled.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("correlation", "cross_moment", "slope"), _NUMBER
    )

    tying: str
    correlation: Mapping[str, float]
    cross_moment: Mapping[str, float]
    slope: float
    error: float
    status: Status = Status.OK
    others: tuple[tuple[Mapping[str, float], float], ...] = ()
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    slope_error: float = 0.0
    units: int | None = None
    error_kind: str = BOUND
    other_errors: tuple[tuple[Mapping[str, float], float], ...] = ()

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a kind and name."""
        if kind == "slope":
            return self.slope_error
        return self.errors[kind][name]  # type: ignore[index]

    def __repr__(self) -> str:
        c = ", ".join(f"c_{s} = {v:.8g}" for s, v in self.correlation.items())
        return (
            f"CorrelationFixedPoint({self.tying}: {c}; slope {self.slope:.6g} +- {self.error:.2g})"
        )


@dataclass(frozen=True)
class Timescales(Measured):
    """Timescales in steps: xi_q = -1/log(slope of the moment map), xi_c = -1/log chi(c*); chi_1.

    Eq. (xi), Eq. (chi-1).

    chi_1, a pure number, is the slope at c = 1 with identical inputs: above 1 chaos, below 1 order.
    Where the stationary state is zero there is no correlation: xi_c is nan and UNDEFINED, the
    others are numbers. `error`, `statuses`: of each, by its name (`error_kind`: of all); `status`:
    of all together.
    """

    kinds: ClassVar[Mapping[str, str]] = {"xi_q": _STEPS, "xi_c": _STEPS, "chi_1": _NUMBER}

    tying: str
    xi_q: float
    xi_c: float
    chi_1: float
    error: Mapping[str, float]
    status: Status = Status.OK
    unit: str = "steps"
    statuses: Mapping[str, Status] = field(default_factory=dict)
    error_kind: str = BOUND

    @classmethod
    def of(
        cls,
        tying: str,
        values: Mapping[str, tuple[float, float, Status]],
        error_kind: str = BOUND,
    ) -> Timescales:
        """From {"xi_q": (value, error, status), "xi_c": .., "chi_1": ..}."""
        value, error, status = ({k: v[i] for k, v in values.items()} for i in range(3))
        return cls(
            tying=tying,
            **value,  # type: ignore[arg-type]
            error=error,  # type: ignore[arg-type]
            status=Status.worst(*status.values()),  # type: ignore[arg-type]
            statuses=status,  # type: ignore[arg-type]
            error_kind=error_kind,
        )

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of one of the three."""
        return self.error[kind]

    def __repr__(self) -> str:
        return (
            f"Timescales({self.tying}: xi_q = {self.xi_q:.6g}, xi_c = {self.xi_c:.6g} steps, "
            f"chi_1 = {self.chi_1:.8g})"
        )


@dataclass(frozen=True)
class Autocorrelation(Measured):
    """C(tau) = E[v^t v^{t - tau}] at stationarity, tau = 0..lags, of states and preactivations.

    Eq. (memory).

    `value[name]`, `error[name]`: (lags + 1,); preactivations are taken about mu_b.
    `timescale[name]`, `timescale_error[name]`: the integrated memory in steps,
    sum_tau (C(tau) - P) / (C(0) - P) - 1/2, where the plateau P (the last quarter of the lags) is
    what is remembered for ever; 0 where nothing fluctuates. Errors are standard errors where
    sampled, bounds otherwise (`error_kind`).
    """

    kinds: ClassVar[Mapping[str, str]] = {"value": _NUMBER, "timescale": _STEPS}

    tying: str
    lags: int
    value: Mapping[str, Any]
    error: Mapping[str, Any]
    timescale: Mapping[str, float]
    timescale_error: Mapping[str, float]
    status: Status = Status.OK
    error_kind: str = BOUND
    method: str = "quadrature"
    units: int | None = None

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of C(tau), (lags + 1,), or of the integrated memory."""
        return (self.error if kind == "value" else self.timescale_error)[name]  # type: ignore[index]

    def memory(self, name: str) -> float:
        """The integrated timescale of one state or preactivation, in steps."""
        return self.timescale[name]

    def __repr__(self) -> str:
        scales = ", ".join(
            f"{n}: {t:.3g} +- {self.timescale_error[n]:.1g}" for n, t in self.timescale.items()
        )
        return f"Autocorrelation({self.tying}, {self.lags} lags; memory in steps {scales})"
