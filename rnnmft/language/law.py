"""A one-dimensional law: what every law of an elementwise random parameter answers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from rnnmft.errors import ParameterError
from rnnmft.parameters import Parameter, check_count

__all__ = ["ARGUMENTS", "Law"]

_INF = math.inf
#: What laws may be given, with their domains.
ARGUMENTS = {
    p.name: p
    for p in (
        Parameter("mean", -_INF, _INF, (-1.0, 1.0), 0.0, "of the normal law"),
        Parameter("std", 0.0, _INF, (0.1, 1.0), 1.0, "standard deviation of the normal law"),
        Parameter("low", -_INF, _INF, (0.1, 1.0), 0.0, "the least value"),
        Parameter("high", -_INF, _INF, (1.0, 3.0), 1.0, "the largest value"),
        Parameter("value", -_INF, _INF, (-1.0, 1.0), 0.0, "the one value"),
        Parameter("T_max", 2.0, 1e300, (10.0, 1000.0), 100.0, "the longest dependency, in steps"),
    )
}


@dataclass(frozen=True)
class Law(ABC):
    """A one-dimensional law. `name` is its key in dictionaries and on the command line."""

    name: ClassVar[str]
    open_ended: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            checked = ARGUMENTS[field.name].validate(value, type(self).__name__)
            object.__setattr__(self, field.name, checked)

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """The least closed interval that holds every value; its ends may be infinite."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """E[p^2] - E[p]^2, without the cancellation of this difference."""

    @property
    def mean(self) -> float:
        """E[p]."""
        return self.moment(1)

    def moment(self, n: int) -> float:
        """E[p^n] for a whole number n >= 0.

        Raises:
            ParameterError: n is not a whole number >= 0, or the moment exceeds the floats.
        """
        n = check_count("n", n, least=0)
        try:
            value = self._moment(n) if n else 1.0
        except OverflowError:
            value = _INF
        if not math.isfinite(value):
            raise ParameterError(f"E[p^{n}] of {self} is too large for a floating point number")
        return value

    @abstractmethod
    def _moment(self, n: int) -> float: ...

    def quantile(self, u: Any) -> Any:
        """The value below which the fraction u of the law lies, elementwise.

        Args:
            u: numbers in [0, 1], strictly inside where the support is infinite: one number, a
                NumPy array or a torch tensor, of floating point numbers.

        Returns:
            The same kind, shape and precision. Uniform u give independent draws.

        Raises:
            ParameterError: a number outside the domain, or nan.
        """
        outside = (u <= 0) | (u >= 1) if self.open_ended else (u < 0) | (u > 1)
        outside = outside | (u != u)
        if bool(outside if isinstance(outside, bool) else outside.any()):
            ends = "strictly between 0 and 1" if self.open_ended else "from 0 to 1"
            raise ParameterError(f"u must be {ends} for {self}, got a number outside")
        return self._quantile(u)

    @abstractmethod
    def _quantile(self, u: Any) -> Any: ...

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary: {"law": name, and the arguments}; see `law_from_dict`."""
        return {"law": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    def _check_order(self, low: float, high: float) -> None:
        if not low < high:
            raise ParameterError(
                f"{type(self).__name__} needs low < high, got low={low!r} and high={high!r}"
            )
