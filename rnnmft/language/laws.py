"""Laws of elementwise random parameters: one number a unit, drawn once and fixed in time.

Each law knows the domain of its arguments, its support, mean, variance and moments E[p^n], and
makes its draws from uniform numbers by its quantile function, so that whoever draws chooses the
generator, pseudo-random or quasi-random, and the library.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from rnnmft.errors import ParameterError
from rnnmft.language.normal_quantile import library_of, normal_quantile
from rnnmft.parameters import Parameter, check_count

__all__ = [
    "LAWS",
    "ChronoBias",
    "Constant",
    "Law",
    "LogUniform",
    "Normal",
    "Uniform",
    "law_from_dict",
]

_INF = math.inf
_ARGUMENTS = {
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
            checked = _ARGUMENTS[field.name].validate(value, type(self).__name__)
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


@dataclass(frozen=True)
class Normal(Law):
    """N(mean, std^2); std is the standard deviation, >= 0.

    >>> Normal(1, 2).moment(2)
    5.0
    """

    mean: float = 0.0  # type: ignore[assignment]
    std: float = 1.0
    name: ClassVar[str] = "normal"
    open_ended: ClassVar[bool] = True

    @property
    def support(self) -> tuple[float, float]:
        """The whole line; one point where std = 0."""
        return (-_INF, _INF) if self.std else (self.mean, self.mean)

    @property
    def variance(self) -> float:
        """std^2."""
        return self.std**2

    def _moment(self, n: int) -> float:
        # sum_k C(n, 2k) (2k - 1)!! mean^(n-2k) std^(2k): every term has the sign of mean^n
        return math.fsum(
            math.comb(n, 2 * k)
            * math.prod(range(1, 2 * k, 2))
            * self.mean ** (n - 2 * k)
            * self.std ** (2 * k)
            for k in range(n // 2 + 1)
        )

    def _quantile(self, u: Any) -> Any:
        return self.mean + self.std * normal_quantile(u)


@dataclass(frozen=True)
class Uniform(Law):
    """Equal density between low and high, low < high.

    >>> Uniform(-1, 1).variance == 1 / 3
    True
    """

    low: float = 0.0
    high: float = 1.0
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_order(self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    @property
    def variance(self) -> float:
        """(high - low)^2 / 12."""
        return (self.high - self.low) ** 2 / 12

    def _moment(self, n: int) -> float:
        return math.fsum(self.low**j * self.high ** (n - j) for j in range(n + 1)) / (n + 1)

    def _quantile(self, u: Any) -> Any:
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class LogUniform(Law):
    """log p uniform between log low and log high, 0 < low < high.

    >>> LogUniform(1, 100).quantile(0.5)
    10.0
    """

    low: float = 0.1
    high: float = 1.0
    name: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise ParameterError(f"LogUniform.low must be a number > 0, got {self.low!r}")
        self._check_order(self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    @property
    def _log_ratio(self) -> float:
        return math.log1p((self.high - self.low) / self.low)

    @property
    def variance(self) -> float:
        """E[p]^2 (x coth x - 1), x = log(high / low) / 2."""
        x = self._log_ratio / 2
        return self.mean**2 * _odd_series(x, lambda k: 2 * k) / math.sinh(x)

    def _moment(self, n: int) -> float:
        width = n * self._log_ratio
        return self.low**n * math.expm1(width) / width

    def _quantile(self, u: Any) -> Any:
        return self.low * (self.high / self.low) ** u


@dataclass(frozen=True)
class Constant(Law):
    """The same value in every unit.

    >>> Constant(0.5).moment(3)
    0.125
    """

    value: float = 0.0
    name: ClassVar[str] = "constant"

    @property
    def support(self) -> tuple[float, float]:
        """(value, value)."""
        return self.value, self.value

    @property
    def variance(self) -> float:
        """0."""
        return 0.0

    def _moment(self, n: int) -> float:
        return self.value**n

    def _quantile(self, u: Any) -> Any:
        return self.value + 0 * u


@dataclass(frozen=True)
class ChronoBias(Law):
    """The chrono initialization of a forget gate's bias: p = log(U), U uniform on [1, T_max - 1].

    For dependencies of up to T_max > 2 steps; the input gate's bias is -p, the same number. Source:
    [tallec2018], section 2; `rnnmft.cells.chrono_lstm` uses it.

    >>> ChronoBias(100).quantile(1.0) == math.log(99)
    True
    """

    T_max: float = 100.0
    name: ClassVar[str] = "chrono_bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.T_max <= 2:
            raise ParameterError(f"ChronoBias.T_max must be a number > 2, got {self.T_max!r}")

    @property
    def support(self) -> tuple[float, float]:
        """(0, log(T_max - 1))."""
        return 0.0, math.log1p(self.T_max - 2)

    @property
    def variance(self) -> float:
        """1 - (x / sinh x)^2, x = log(T_max - 1) / 2."""
        x = self.support[1] / 2
        sinh = math.sinh(x)
        return _odd_series(x, lambda k: 1) / sinh * (1 + x / sinh)

    def _moment(self, n: int) -> float:
        # density e^p / (T_max - 2) on [0, L]: integrate p^n e^(p - L) term by term, all positive
        largest = self.support[1]
        weight = math.exp(-largest)
        terms, k = [weight / (n + 1)], 0
        while k < largest or weight > 1e-18:
            k += 1
            weight *= largest / k
            terms.append(weight / (n + k + 1))
        return largest ** (n + 1) * math.fsum(terms) / -math.expm1(-largest)

    def _quantile(self, u: Any) -> Any:
        return library_of(u).log1p(u * (self.T_max - 2))


def _odd_series(x: float, weight: Any) -> float:
    """sum_{k >= 1} weight(k) x^(2k+1) / (2k+1)!, x > 0: sinh x - x for weight 1."""
    power, k, terms = x, 0, []
    while not terms or terms[-1] > 1e-18 * terms[0] or 2 * k < x:
        k += 1
        power *= x * x / (2 * k * (2 * k + 1))
        terms.append(weight(k) * power)
    return math.fsum(terms)


LAWS: Mapping[str, type[Law]] = {
    law.name: law for law in (Normal, Uniform, LogUniform, Constant, ChronoBias)
}


def law_from_dict(data: Mapping[str, Any]) -> Law:
    """The law that `Law.to_dict` wrote.

    Raises:
        ParameterError: an unknown law, an unknown or missing argument, or one out of its domain.

    >>> law_from_dict({"law": "uniform", "low": 0, "high": 2})
    Uniform(low=0.0, high=2.0)
    """
    given = dict(data)
    name = given.pop("law", None)
    if not isinstance(name, str) or name not in LAWS:
        raise ParameterError(f"law must be one of {', '.join(LAWS)}, got {name!r}")
    known = [f.name for f in fields(LAWS[name])]
    wrong = [key for key in given if key not in known] + [key for key in known if key not in given]
    if wrong:
        raise ParameterError(
            f"the law {name!r} takes {', '.join(known)}; {wrong[0]!r} is unknown or missing"
        )
    return LAWS[name](**given)
