"""LyapunovSpectrum: the record of the exponents of an infinitely wide network, with their errors.

Every number is read off a curve, and its error off the curves that are as good: what each of them
would change.

Eq. (lyapunov-readings).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rnnmft.errors import ParameterError, Status
from rnnmft.lyapunov.curve import ExponentCurve
from rnnmft.records import BOUND, STANDARD_ERROR, Measured, Quantity

__all__ = ["LyapunovSpectrum"]

#: Fractions of smaller exponents at which `to_dict` gives quantiles.
_FRACTIONS = (0.01, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.99)
#: Rounding of a reading, and of the interpolation between the nodes of a curve, at most.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum(Measured):
    """The law of the m N Lyapunov exponents of a network of N units, N -> infinity, per step.

    Natural logarithms. Under a common input these are the conditional exponents (`setting` says
    "conditional on the input": all negative is the echo-state property), without one those of the
    autonomous network.

    Attributes:
        setting: "autonomous" or "conditional on the input".
        tying: "tied" or "untied".
        method: how they were found.
        states: m, exponents per unit.
        curve: the law.
        bounds: other curves: how far a reading is off is at most the sum of what they change.
        parts: the curves of independent parts of the sampled units; () where none are sampled.
        status: that of the curve.
        reason: what `status` is about; empty when OK.
    """

    kinds: ClassVar[Mapping[str, str]] = {
        "largest": "per step",
        "positive_fraction": "dimensionless",
        "dimension": "per unit",
        "entropy": "per unit and step",
    }

    setting: str
    tying: str
    method: str
    states: int
    curve: ExponentCurve = field(repr=False)
    bounds: tuple[ExponentCurve, ...] = field(default=(), repr=False)
    parts: tuple[ExponentCurve, ...] = field(default=(), repr=False)
    status: Status = Status.OK
    reason: str = ""

    @property
    def largest(self) -> float:
        """lambda_1."""
        return self.curve.largest

    @property
    def positive_fraction(self) -> float:
        """The fraction of positive exponents, of all m N."""
        return self.curve.positive

    @property
    def dimension(self) -> float:
        """Kaplan-Yorke dimension of the attractor per unit, at most m."""
        return self.states * self.curve.dimension

    @property
    def entropy(self) -> float:
        """The sum of the positive exponents per unit: an upper bound of the entropy rate (Ruelle).

        In nats per unit and step; it is the entropy rate where Pesin's identity holds.
        """
        return self.states * self.curve.entropy

    def quantiles(self, p: Any) -> Quantity:
        """The p-quantiles of the exponents, 0 < p < 1, of the shape of p; -inf where J has zeros.

        Raises:
            ParameterError: p is not between 0 and 1.
        """
        wanted = np.asarray(p, dtype=float)
        if not np.isfinite(wanted).all() or (wanted <= 0).any() or (wanted >= 1).any():
            raise ParameterError(f"p must be numbers between 0 and 1, got {p!r}")
        return self._array("quantiles", wanted, lambda c, v: c.exponent(1.0 - v), "per step")

    def fraction_above(self, exponent: Any) -> Quantity:
        """The fraction of exponents that are larger, of the shape of `exponent`."""
        at = np.asarray(exponent, dtype=float)
        return self._array("fraction", at, lambda c, v: c.fraction_above(v), "dimensionless")

    def density(self, exponent: Any) -> Quantity:
        """The density of the exponents, of the shape of `exponent`; those at -inf are left out."""
        at = np.asarray(exponent, dtype=float)
        return self._array("density", at, lambda c, v: c.density(v), "steps")

    def _array(
        self, what: str, at: Any, read: Callable[[ExponentCurve, float], float], unit: str
    ) -> Quantity:
        pairs = [self._read(lambda c, v=float(v): read(c, v)) for v in at.ravel()]
        value, error = np.array(pairs, dtype=float).reshape(-1, 2).T
        status = Status.NOT_CONVERGED if np.isnan(value).any() else self.status
        name = f"{what} of the Lyapunov exponents, {self.setting}, {self.tying}"
        shaped = (value.reshape(at.shape), error.reshape(at.shape))
        return Quantity(name, *shaped, status, unit, self.error_kind)

    def _read(self, read: Callable[[ExponentCurve], float]) -> tuple[float, float]:
        """A reading and its error."""
        value = read(self.curve)
        if not math.isfinite(value):
            return value, 0.0 if math.isinf(value) else math.nan
        bound = sum(abs(read(c) - value) for c in self.bounds) + _ROUNDING * max(1.0, abs(value))
        parts = np.array([read(c) for c in self.parts])
        if not len(parts):
            return value, bound
        return value, math.hypot(bound, float(parts.std(ddof=1)) / math.sqrt(len(parts)))

    @property
    def error_kind(self) -> str:
        """A standard error where units are sampled, else a bound."""
        return STANDARD_ERROR if self.parts else BOUND

    def error_of(self, kind: str, name: str | None) -> float:
        """The error of one of `kinds`."""
        readings: dict[str, Callable[[ExponentCurve], float]] = {
            "largest": lambda c: c.largest,
            "positive_fraction": lambda c: c.positive,
            "dimension": lambda c: self.states * c.dimension,
            "entropy": lambda c: self.states * c.entropy,
        }
        return self._read(readings[kind])[1]

    def status_of(self, kind: str, name: str | None) -> Status:
        """That of the curve; NOT_CONVERGED where it does not reach as far as the number asks."""
        return Status.NOT_CONVERGED if math.isnan(getattr(self, kind)) else self.status

    def to_dict(self) -> dict[str, Any]:
        """What it is, every number with its error, and quantiles."""
        found = self.quantiles(_FRACTIONS)
        return {
            "setting": self.setting,
            "tying": self.tying,
            "method": self.method,
            "states": self.states,
            **{name: q.to_dict() for name, q in self.quantities().items()},
            "quantiles": {"fractions": list(_FRACTIONS), **found.to_dict()},
            "status": self.status.value,
            "reason": self.reason,
        }

    def __repr__(self) -> str:
        numbers = (self.quantity(k) for k in self.kinds)
        said = ", ".join(f"{q.name} {float(q):.6g} +- {q.error:.2g}" for q in numbers)
        text = f"LyapunovSpectrum({self.setting}, {self.tying}, {self.method}: {said}"
        return text + (")" if self.status.ok else f"; {self.status.name}: {self.reason})")
