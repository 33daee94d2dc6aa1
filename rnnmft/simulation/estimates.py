"""Estimates over networks, and the record of a simulation.

The independent unit is the network: a sample is what one whole network gave, and the standard
error is that of the mean over networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.records import STANDARD_ERROR, Measured, Quantity, Record

__all__ = [
    "Estimate",
    "JacobianEstimate",
    "LyapunovEstimate",
    "Simulation",
    "estimate_over_networks",
]


@dataclass(frozen=True, eq=False)
class Estimate(Record):
    """A quantity measured in every network.

    Attributes:
        samples: (networks, ...), one row a network.
        mean: over networks, (...).
        sem: standard error of the mean, (...): std over networks (ddof 1) / sqrt(networks). For
            complex samples its real and imaginary parts are those of real and imaginary part. With
            a single network nothing is known about the error: inf.
        status: `Status.OK`, or why some elements are nan.
        reason: which networks and steps the status is about; empty when OK.
    """

    samples: np.ndarray
    mean: np.ndarray
    sem: np.ndarray
    status: Status = Status.OK
    reason: str = ""

    @property
    def error(self) -> np.ndarray:
        """The standard error: `sem`."""
        return self.sem

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.mean, dtype=dtype)

    def __float__(self) -> float:
        return float(self.mean)

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.mean.shape)) or "scalar"
        last = (self.mean.ravel()[-1], self.sem.ravel()[-1]) if self.mean.size else ("", "")
        text = (
            f"Estimate({shape}, {len(self.samples)} networks; last {last[0]:.6g} +- {last[1]:.2g}"
        )
        return text + (")" if self.status.ok else f"; {self.status.name}: {self.reason})")


def estimate_over_networks(
    samples: np.ndarray, status: Status = Status.OK, reason: str = ""
) -> Estimate:
    """Mean and standard error over the first axis, the networks.

    >>> import numpy as np
    >>> estimate_over_networks(np.array([[1.0, 5.0], [3.0, 5.0]])).sem
    array([1., 0.])
    """
    if np.iscomplexobj(samples):
        real, imaginary = (
            estimate_over_networks(part, status, reason)
            for part in (np.real(samples), np.imag(samples))
        )
        mean, sem = np.empty_like(samples[0]), np.empty_like(samples[0])
        mean.real, mean.imag = real.mean, imaginary.mean
        sem.real, sem.imag = real.sem, imaginary.sem
        return Estimate(samples, mean, sem, status, reason)
    networks = len(samples)
    # Taking out a power of two is exact, and keeps sums and squares of large numbers finite.
    largest = np.abs(samples).max(axis=0)
    scale = np.ldexp(1.0, np.frexp(np.where(np.isfinite(largest), largest, 1.0))[1] - 1)
    scaled = samples / scale
    mean = scaled.mean(axis=0) * scale
    if networks == 1:
        sem = np.full_like(mean, np.inf)
    else:
        sem = scaled.std(axis=0, ddof=1) / np.sqrt(networks) * scale
    return Estimate(samples, mean, sem, status, reason)


class _Estimates(Measured):
    """A record whose numbers are `Estimate`s: their errors are standard errors over networks."""

    def quantity(self, kind: str, name: str | None = None) -> Quantity:
        """The mean over networks with its standard error, unit and status; see `Measured`."""
        found = super().quantity(kind, name)
        if isinstance(found.value, Estimate):
            return replace(found, value=found.value.mean)
        return found

    def _estimate(self, kind: str, name: str | None) -> Estimate | None:
        found = getattr(self, kind)
        return found[name] if isinstance(found, Mapping) else found

    def error_of(self, kind: str, name: str | None) -> Any:
        """The standard error of the mean over networks."""
        found = self._estimate(kind, name)
        return None if found is None else found.sem

    def status_of(self, kind: str, name: str | None) -> Any:
        """That of the estimate."""
        found = self._estimate(kind, name)
        return Status.NOT_COMPUTED if found is None else found.status

    def error_kind_of(self, kind: str) -> str:
        """A standard error: the independent unit is the network."""
        return STANDARD_ERROR


@dataclass(frozen=True, eq=False)
class JacobianEstimate(_Estimates):
    """The T-step Jacobian J of trajectory a, starting after the forward steps.

    Attributes:
        horizon: T.
        moments: m_1, m_2, m_3 of J J^T (`Estimate`, (3,)); nan with Status.DIVERGES where one
            leaves the range of float64, or the network that of its own type.
        blocks: (1/N) tr J_ab J_ab^T from state b to state a (`Estimate`, (m, m)).
        singular_values: of J, descending, (networks, mN), when asked for; else None.
        resolvent: (1/(mN)) tr (z - J J^T)^{-1} (complex `Estimate`, (points,)), or None.
        resolvent_points: z, (points,).
        eigenvalues: of J, in no order, (networks, mN), when asked for; else None.
    """

    kinds: ClassVar[Mapping[str, str]] = {
        "moments": "dimensionless",
        "blocks": "dimensionless",
        "resolvent": "dimensionless",
    }

    horizon: int
    moments: Estimate
    blocks: Estimate
    singular_values: np.ndarray | None = None
    resolvent: Estimate | None = None
    resolvent_points: tuple[complex, ...] = ()
    eigenvalues: NDArray[np.complex128] | None = None

    @property
    def status(self) -> Status:
        """That of the moments."""
        return self.moments.status


@dataclass(frozen=True, eq=False)
class LyapunovEstimate(_Estimates):
    """The largest Lyapunov exponents of finite networks, per step, with natural logarithms.

    They are of trajectory a under its input: conditional exponents where there is one (negative
    ones: another trajectory with the same input is approached), those of the autonomous network
    where there is none. Exponents of directions that J kills (a ReLU network has some) are -inf in
    theory and about the logarithm of the precision here.

    Attributes:
        exponents: (networks, k) samples, in the order of the directions: descending, but for
            fluctuations.
        drift: the second half of the measured steps less the first, of each.
        status: NOT_CONVERGED where a drift is not that of chance (a t-test over networks, one
            false alarm in a thousand records); DIVERGES or UNDEFINED where numbers are not finite.
    """

    kinds: ClassVar[Mapping[str, str]] = {"exponents": "per step", "drift": "per step"}

    exponents: Estimate
    drift: Estimate
    status: Status = Status.OK

    @property
    def mean(self) -> np.ndarray:
        """Of the exponents over networks, (k,)."""
        return self.exponents.mean

    @property
    def sem(self) -> np.ndarray:
        """Its standard error, (k,)."""
        return self.exponents.sem

    @property
    def largest(self) -> Estimate:
        """The largest exponent of each network."""
        found = self.exponents
        return estimate_over_networks(found.samples[:, 0], found.status, found.reason)

    def __repr__(self) -> str:
        largest, count = self.largest, len(self.exponents)
        text = f"LyapunovEstimate({count} exponents; largest "
        text += f"{float(largest.mean):.6g} +- {float(largest.sem):.2g}"
        return text + (")" if self.status.ok else f"; {self.status.name})")


@dataclass(frozen=True, eq=False)
class Simulation(_Estimates):
    """What finite networks did. Element t of an array over steps is after t + 1 updates.

    The two trajectories a, b have one law: second moments, means, variances and autocovariances
    are averages over both. All are averages over the units of a network first.

    Attributes:
        start: {state: standard deviation at t = 0}.
        first_moment: E[s] (steps,), by state.
        second_moment: E[s^2] (steps,), by state.
        cross_moment: E[s_a s_b] (steps,), by state.
        correlation: cross / second moment of each network (steps,), by state; UNDEFINED at 0 / 0.
        preactivation_variance: E[(e - mu_b)^2] (steps,), by preactivation; element t is of the
            update that led to state element t.
        preactivation_covariance: E[(e_a - mu_b)(e_b - mu_b)] (steps,), by preactivation.
        autocovariance: by state and preactivation, E[v^T v^{T-lag}] (lags,) at the last step T;
            states as they are, preactivations about mu_b.
        lags: of `autocovariance`.
        jacobian: by horizon.
        lyapunov: the largest exponents, when asked for; else None.
        diverged_at: for each network the update at which a number left the range of the floating
            point type, or None. Its samples are nan from there on, and so are the means.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "first_moment",
            "second_moment",
            "cross_moment",
            "correlation",
            "preactivation_variance",
            "preactivation_covariance",
            "autocovariance",
        ),
        "dimensionless",
    )

    cell: str
    ensemble: dict[str, Any]
    inputs: dict[str, Any]
    start: dict[str, float]
    width: int
    networks: int
    steps: int
    tying: str
    seed: int
    device: str
    dtype: str
    first_moment: Mapping[str, Estimate]
    second_moment: Mapping[str, Estimate]
    cross_moment: Mapping[str, Estimate]
    correlation: Mapping[str, Estimate]
    preactivation_variance: Mapping[str, Estimate]
    preactivation_covariance: Mapping[str, Estimate]
    autocovariance: Mapping[str, Estimate]
    lags: tuple[int, ...]
    jacobian: Mapping[int, JacobianEstimate]
    lyapunov: LyapunovEstimate | None
    diverged_at: tuple[int | None, ...]

    @property
    def status(self) -> Status:
        """`Status.DIVERGES` when any network left the range of the floating point type."""
        return Status.DIVERGES if any(self.diverged_at) else Status.OK

    @property
    def reason(self) -> str:
        """Which networks diverged when; empty when none did."""
        return describe_divergence(self.diverged_at)

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, as JSON can hold it, with status and reason."""
        return {**super().to_dict(), "status": self.status.value, "reason": self.reason}

    def __repr__(self) -> str:
        text = (
            f"Simulation of {self.networks} {self.tying} networks of cell {self.cell!r}, width "
            f"{self.width}, {self.steps} steps, {self.dtype} on {self.device}, seed {self.seed}"
        )
        for name, estimate in self.second_moment.items():
            text += f"\n  E[{name}^2] = {estimate.mean[-1]:.6g} +- {estimate.sem[-1]:.2g}"
        for horizon, jacobian in self.jacobian.items():
            m = jacobian.moments
            text += f"\n  m_1({horizon}) = {m.mean[0]:.6g} +- {m.sem[0]:.2g}"
        if self.lyapunov is not None:
            largest = self.lyapunov.largest
            text += f"\n  lambda_1 = {largest.mean:.6g} +- {largest.sem:.2g}"
        return text + ("" if self.status.ok else f"\n  {self.status} {self.reason}")


def describe_divergence(diverged_at: Sequence[int | None]) -> str:
    """A sentence that names the networks and their steps, or nothing."""
    said = [f"network {i} at step {t}" for i, t in enumerate(diverged_at) if t]
    if not said:
        return ""
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    return f"Overflow in {', '.join(said[:3])}{more}."
