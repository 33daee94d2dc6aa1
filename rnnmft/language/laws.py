"""Laws of elementwise random parameters: one number a unit, drawn once and fixed in time.

Each law knows the domain of its arguments, its support, mean, variance and moments E[p^n], and
makes its draws from uniform numbers by its quantile function, so that whoever draws chooses the
generator, pseudo-random or quasi-random, and the library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from rnnmft.errors import ParameterError
from rnnmft.language.law import Law
from rnnmft.language.normal_quantile import library_of, normal_quantile

__all__ = [
    "LAWS",
    "ChronoBias",
    "Constant",
    "Empirical",
    "Law",
    "LogUniform",
    "Normal",
    "Uniform",
    "law_from_dict",
]

_INF = math.inf


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


@dataclass(frozen=True)
class Empirical(Law):
    """Each of the given numbers as often as any other: the law of parameters that were drawn.

    >>> Empirical((3.0, 1.0, 2.0)).quantile(0.5)
    2.0
    """

    values: tuple[float, ...]
    name: ClassVar[str] = "empirical"

    def __post_init__(self) -> None:
        try:
            found = tuple(sorted(float(v) for v in self.values))
        except (TypeError, ValueError):
            found = ()
        if not found or not all(map(math.isfinite, found)):
            raise ParameterError(
                f"Empirical.values must be finite numbers, at least one, got {self.values!r:.80}"
            )
        object.__setattr__(self, "values", found)

    @property
    def support(self) -> tuple[float, float]:
        """From the least to the largest."""
        return self.values[0], self.values[-1]

    @property
    def variance(self) -> float:
        """The mean squared deviation from the mean."""
        mean = self._moment(1)
        return math.fsum((v - mean) ** 2 for v in self.values) / len(self.values)

    def _moment(self, n: int) -> float:
        return math.fsum(v**n for v in self.values) / len(self.values)

    def _quantile(self, u: Any) -> Any:
        count, library = len(self.values), library_of(u)
        if library is math:
            return self.values[min(int(u * count), count - 1)]
        if hasattr(library, "as_tensor"):
            known = library.as_tensor(self.values, dtype=u.dtype, device=u.device)
            return known[(u * count).long().clamp(max=count - 1)]
        known = library.asarray(self.values, dtype=u.dtype)
        return known[library.minimum((u * count).astype(int), count - 1)]

    def __repr__(self) -> str:
        low, high = self.support
        return f"Empirical({len(self.values)} numbers from {low:.4g} to {high:.4g})"


#: Those whose arguments are numbers, by name.
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
    laws = {**LAWS, Empirical.name: Empirical}
    if not isinstance(name, str) or name not in laws:
        raise ParameterError(f"law must be one of {', '.join(laws)}, got {name!r}")
    known = [f.name for f in fields(laws[name])]
    wrong = [key for key in given if key not in known] + [key for key in known if key not in given]
    if wrong:
        raise ParameterError(
            f"the law {name!r} takes {', '.join(known)}; {wrong[0]!r} is unknown or missing"
        )
    return laws[name](**given)
