"""Parameters of a random network: each knows its domain, checks a value, draws a typical one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from rnnmft.errors import ParameterError

__all__ = [
    "CORRELATION",
    "PREACTIVATION_PARAMETERS",
    "START",
    "TYINGS",
    "Parameter",
    "R",
    "check_count",
    "check_start",
    "check_tying",
]

#: Whose theory, or which networks: one set of weights for all steps, or fresh ones at every step.
TYINGS = ("tied", "untied")


@dataclass(frozen=True)
class Parameter:
    """A real parameter: its name, its closed domain, a typical range and what it means."""

    name: str
    lower: float
    upper: float
    typical: tuple[float, float]
    default: float
    meaning: str

    @property
    def domain(self) -> str:
        """The domain in words, for messages."""
        if math.isinf(self.upper):
            return "a finite number" + (f" >= {self.lower:g}" if self.lower > -math.inf else "")
        return f"a number from {self.lower:g} to {self.upper:g}"

    def validate(self, value: Any, owner: str = "") -> float:
        """The value as a float, or a ParameterError that names argument, value and domain."""
        name = f"{owner}.{self.name}" if owner else self.name
        if isinstance(value, (bool, str)):
            raise ParameterError(f"{name} must be {self.domain}, got {value!r}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ParameterError(f"{name} must be {self.domain}, got {value!r}") from None
        if not math.isfinite(number) or not self.lower <= number <= self.upper:
            raise ParameterError(f"{name} must be {self.domain}, got {value!r}")
        return number

    def draw(self, uniform: float) -> float:
        """The typical value at a uniform number in [0, 1]: for tests and examples."""
        low, high = self.typical
        return low + (high - low) * uniform


PREACTIVATION_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        p.name: p
        for p in (
            Parameter("sigma_w", 0.0, math.inf, (0.2, 5.0), 1.0, "std of sqrt(N) W_ij"),
            Parameter("sigma_v", 0.0, math.inf, (0.1, 2.0), 1.0, "std of sqrt(N_in) V_ij"),
            Parameter("mu_b", -math.inf, math.inf, (-2.0, 4.0), 0.0, "mean of the bias"),
            Parameter("sigma_b", 0.0, math.inf, (0.0, 1.0), 0.0, "std of the bias"),
        )
    }
)
R = Parameter("R", 0.0, math.inf, (0.1, 2.0), 1.0, "second moment of the input")
CORRELATION = Parameter("correlation", -1.0, 1.0, (-1.0, 1.0), 0.5, "of two inputs")
START = Parameter("start", 0.0, math.inf, (0.0, 1.0), 0.0, "std of a state at t = 0")


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number >= least, or raise ParameterError naming the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise ParameterError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def check_start(start: Any, states: Sequence[str]) -> dict[str, float]:
    """The standard deviation of every state at t = 0.

    Args:
        start: one number >= 0 for all states, or {state: number}; a state not named starts at 0.
        states: their names.

    Raises:
        ParameterError: a number outside its domain, or an unknown state.

    >>> check_start({"c": 0.5}, ["c", "h"])
    {'c': 0.5, 'h': 0.0}
    """
    if not isinstance(start, Mapping):
        return dict.fromkeys(states, START.validate(start))
    for name in start:
        if name not in states:
            raise ParameterError(f"start names unknown state {name!r}; there are {list(states)}")
    given = {n: replace(START, name=f"start[{n!r}]").validate(v) for n, v in start.items()}
    return dict.fromkeys(states, START.default) | given


def check_tying(tying: Any) -> str:
    """The tying, or a ParameterError that names it and what there is."""
    if tying not in TYINGS:
        raise ParameterError(f"tying must be 'tied' or 'untied', got {tying!r}")
    return tying
