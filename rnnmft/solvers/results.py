"""The records of the analysis: trajectories, fixed points, timescales; keyed by plain names.

Eq. (second-moment), Eq. (xi), Eq. (memory).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rnnmft.errors import Status
from rnnmft.records import Record

__all__ = ["Autocorrelation", "CorrelationFixedPoint", "FixedPoint", "Timescales", "Trajectory"]


@dataclass(frozen=True)
class Trajectory(Record):
    """Moments over time from t = 0; element t is after t + 1 updates.

    `second_moment[state]`, `cross_moment[state]`, `correlation[state]`, `mean[state]`: (steps,);
    `preactivation_variance[name]`, `preactivation_covariance[name]`: (steps,), element t belongs to
    the preactivation of update t + 1. A correlation is nan where its state has no variance (and
    `status` says so where that is always). `error[quantity][name]`: a bound where the solution is
    deterministic, a standard error where it is sampled (`error_kind`). `tying` names the theory;
    `units`: how many were sampled, None where none were.
    """

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
    error_kind: str = "bound"
    method: str = "quadrature"
    units: int | None = None

    def __repr__(self) -> str:
        last = ", ".join(f"E[{s}^2] = {v[-1]:.6g}" for s, v in self.second_moment.items())
        return f"Trajectory({self.tying}, {self.steps} steps, ends at {last}; {self.status.name})"


@dataclass(frozen=True)
class FixedPoint(Record):
    """A stationary state of the moments.

    `second_moment[state]` (Q*), `mean[state]`, `preactivation_variance[name]` (q*); `slope`: the
    largest |eigenvalue| of the moment map there; `stable`: slope < 1; `error`: a bound on the
    moments (a standard error where sampled, and then `slope` is None: it was not computed);
    `errors`: by quantity and name, where known apart; `units`: how many were sampled.
    """

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
class CorrelationFixedPoint(Record):
    """The stationary correlation of two trajectories: c*, and the slope chi(c*) of the map there.

    `correlation[state]`, `cross_moment[state]`; `others`: the correlations of the states at further
    (unstable or unreached) fixed points, with their slopes; `errors`: by quantity and name, where
    known apart; `units`: how many were sampled.
    """

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

    def __repr__(self) -> str:
        c = ", ".join(f"c_{s} = {v:.8g}" for s, v in self.correlation.items())
        return (
            f"CorrelationFixedPoint({self.tying}: {c}; slope {self.slope:.6g} +- {self.error:.2g})"
        )


@dataclass(frozen=True)
class Timescales(Record):
    """Timescales in steps: xi_q = -1/log(slope of the moment map), xi_c = -1/log chi(c*); chi_1.

    Eq. (xi), Eq. (chi-1).

    chi_1 is the slope at c = 1 with identical inputs: above 1 chaos, below 1 order.
    """

    tying: str
    xi_q: float
    xi_c: float
    chi_1: float
    error: Mapping[str, float]
    status: Status = Status.OK
    unit: str = "steps"

    def __repr__(self) -> str:
        return (
            f"Timescales({self.tying}: xi_q = {self.xi_q:.6g}, xi_c = {self.xi_c:.6g} steps, "
            f"chi_1 = {self.chi_1:.8g})"
        )


@dataclass(frozen=True)
class Autocorrelation(Record):
    """C(tau) = E[v^t v^{t - tau}] at stationarity, tau = 0..lags, of states and preactivations.

    Eq. (memory).

    `value[name]`, `error[name]`: (lags + 1,); preactivations are taken about mu_b.
    `timescale[name]`, `timescale_error[name]`: the integrated memory in steps,
    sum_tau (C(tau) - P) / (C(0) - P) - 1/2, where the plateau P (the last quarter of the lags) is
    what is remembered for ever. Errors are standard errors where sampled, bounds otherwise
    (`error_kind`).
    """

    tying: str
    lags: int
    value: Mapping[str, Any]
    error: Mapping[str, Any]
    timescale: Mapping[str, float]
    timescale_error: Mapping[str, float]
    status: Status = Status.OK
    error_kind: str = "bound"
    method: str = "quadrature"
    units: int | None = None

    def memory(self, name: str) -> float:
        """The integrated timescale of one state or preactivation, in steps."""
        return self.timescale[name]

    def __repr__(self) -> str:
        scales = ", ".join(
            f"{n}: {t:.3g} +- {self.timescale_error[n]:.1g}" for n, t in self.timescale.items()
        )
        return f"Autocorrelation({self.tying}, {self.lags} lags; memory in steps {scales})"
