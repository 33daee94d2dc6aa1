"""One number of rnnmft beside its true value: their distance in units of the errors of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from scipy import special

from rnnmft.records import json_safe

__all__ = ["Comparison"]

#: Relative rounding of a truth in double precision: sums of some thousand terms.
_ROUNDING = 1e-10
_POSITIVE = {"second moment", "preactivation variance", "m_1(T)", "xi_q", "xi_c", "chi_1"}


@dataclass(frozen=True)
class Comparison:
    """A value with its error and status, and the truth with its own.

    Args:
        setting, kind, quantity: which number: ("linear 3", "second moment", "h, T = 40").
        source: of the truth: "exact", "solver" (another method of rnnmft) or "networks".
        method: the solver that was asked.
        value, error: what it answered; nan where it raised.
        error_kind: "standard error", or "bound" where the solver is deterministic.
        status: the name of the status, "OK" for a promise.
        truth, truth_error: the right answer and its standard error, 0 where it is exact.
        degrees: of freedom of `error`, where it is a plain standard error of few repetitions;
            infinite where it has been widened for that, as rnnmft's are.
        truth_degrees: of freedom of `truth_error`.
    """

    setting: str
    kind: str
    quantity: str
    source: str
    method: str
    value: float
    error: float
    error_kind: str
    status: str
    truth: float
    truth_error: float = 0.0
    degrees: float = math.inf
    truth_degrees: float = math.inf

    @property
    def promised(self) -> bool:
        """Whether the number is a promise; any other status is a limit that was stated."""
        return self.status == "OK"

    @property
    def sampled(self) -> bool:
        """Whether chance has a part in the distance, so that a distribution of z is expected."""
        return self.error_kind != "bound" or self.truth_error > 0

    @property
    def _truth_error(self) -> float:
        return math.hypot(self.truth_error, _ROUNDING * abs(self.truth))

    @property
    def z(self) -> float:
        """(value - truth) / error.

        The error of the truth adds in quadrature to a standard error. A bound is no standard
        error: beside a truth that has one, z is what lies beyond the bound, in errors of the truth;
        beside an exact truth it is the share of the bound that was needed.
        """
        gap, own = self.value - self.truth, self.error
        if not math.isfinite(gap) or math.isnan(own):
            return math.inf
        if self.error_kind == "bound" and self.truth_error > 0:
            gap = math.copysign(max(abs(gap) - own, 0.0), gap)
            own = 0.0
        scale = math.hypot(own, self._truth_error)
        if gap == 0.0:
            return 0.0
        return gap / scale if scale > 0 else math.copysign(math.inf, gap)

    @property
    def score(self) -> float:
        """z on the normal scale: the standard normal number that is as rare as z.

        A standard error from few repetitions is uncertain itself, and z follows Student's t with
        the degrees of freedom of Welch and Satterthwaite.
        """
        degrees = self._degrees
        if not self.sampled or math.isinf(degrees) or not math.isfinite(self.z):
            return self.z
        return math.copysign(special.ndtri(special.stdtr(degrees, -abs(self.z))), self.z)

    @property
    def vacuous(self) -> bool:
        """Whether the error exceeds half of a truth that is positive by its nature.

        A mean that one outlier makes lies one of its own standard errors off, however far that is:
        z cannot see it.
        """
        return self.kind in _POSITIVE and self.error > 0.5 * self.truth

    @property
    def _degrees(self) -> float:
        own = 0.0 if self.error_kind == "bound" else self.error**2
        of_truth = self._truth_error**2
        spread = own**2 / self.degrees + of_truth**2 / self.truth_degrees
        return (own + of_truth) ** 2 / spread if spread > 0 else math.inf

    @property
    def weighs(self) -> bool:
        """Whether |z| tells how wide the error of rnnmft is: a standard error above the truth's."""
        return self.error_kind != "bound" and self.error > self._truth_error

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: what was compared, z and its score."""
        found = {**vars(self), "z": self.z, "score": self.score}
        return {name: json_safe(v) for name, v in found.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; z and its score are found again."""
        values = {f.name: content[f.name] for f in fields(cls)}
        numbers = {f.name for f in fields(cls) if f.type == "float"}
        return cls(**{name: float(v) if name in numbers else v for name, v in values.items()})
