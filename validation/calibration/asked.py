"""What a solver answers: any quantity of the suite with its error, kind of error and status."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from rnnmft import ConvergenceError, Status

__all__ = ["KINDS", "NO_ERROR", "Answer", "Answers", "Question"]

#: The kinds of quantities, in the order in which they are reported.
KINDS = (
    "second moment",
    "preactivation variance",
    "mean",
    "cross moment",
    "correlation",
    "autocorrelation C(tau)",
    "m_1(T)",
    "gradient growth",
    "xi_q",
    "xi_c",
    "chi_1",
    "c*",
)
_MOMENTS = {
    "second moment": "second_moment",
    "preactivation variance": "preactivation_variance",
    "mean": "mean",
    "cross moment": "cross_moment",
    "correlation": "correlation",
}
STANDARD, BOUND = "standard error", "bound"
NO_ERROR = "NO_ERROR"


@dataclass(frozen=True)
class Answer:
    """A value, its error, what kind of error, and the name of its status."""

    value: float
    error: float
    error_kind: str
    status: str


@dataclass(frozen=True)
class Question:
    """One quantity that has an answer.

    Args:
        kind: one of `KINDS`.
        name: of the state or preactivation, where the kind has one.
        at: the step T (1 is the first update), the lag or the horizon; None at stationarity.
        burn_in: steps from the zero state before the lag or the horizon; None: as rnnmft chooses.
    """

    kind: str
    name: str = ""
    at: int | None = None
    burn_in: int | None = None

    def __str__(self) -> str:
        letter = "tau" if self.kind == "autocorrelation C(tau)" else "T"
        parts = [self.name] if self.name else []
        parts += [f"{letter} = {self.at}"] if self.at is not None else []
        parts += [f"after {self.burn_in} steps"] if self.burn_in is not None else []
        return ", ".join(parts) or "stationary"


class Answers:
    """The answers of one solver, `MeanField` or one that it might choose; each run made once.

    Args:
        solver: it has the methods of `MeanField`.
        steps, lags, horizon: how far its runs go: the largest asked for.
    """

    def __init__(self, solver: Any, steps: int = 1, lags: int = 1, horizon: int = 1) -> None:
        self.solver = solver
        self._steps, self._lags, self._horizon = steps, lags, horizon
        self._evolve = cache(lambda: solver.evolve(self._steps))
        self._fixed_point = cache(lambda: solver.fixed_point())
        self._correlation = cache(lambda: solver.correlation_fixed_point())
        self._timescales = cache(lambda: solver.timescales())
        self._growth = cache(lambda: solver.gradient_growth())
        self._memory = cache(lambda burn_in: solver.autocorrelation(self._lags, burn_in=burn_in))

    def answer(self, question: Question) -> Answer:
        """The solver's answer; where it raises `ConvergenceError`, the status of that."""
        try:
            return self._readers(question)(question)
        except ConvergenceError as error:
            return Answer(math.nan, math.nan, STANDARD, error.status.name)

    def _readers(self, question: Question) -> Callable[[Question], Answer]:
        if question.kind in _MOMENTS:
            return self._moment if question.at is not None else self._stationary
        return {
            "autocorrelation C(tau)": self._autocorrelation,
            "m_1(T)": self._mean_square,
            "gradient growth": self._gradient_growth,
            "xi_q": self._timescale,
            "xi_c": self._timescale,
            "chi_1": self._timescale,
            "c*": self._fixed_correlation,
        }[question.kind]

    @property
    def _sort(self) -> str:
        """Of the records that do not say it themselves."""
        return STANDARD if self.solver.method == "sampled units" else BOUND

    def _moment(self, question: Question) -> Answer:
        found, kind = self._evolve(), _MOMENTS[question.kind]
        value = getattr(found, kind)[question.name][question.at - 1]
        errors = found.error.get(kind, {}).get(question.name)
        error = None if errors is None else errors[question.at - 1]
        return _answer(value, error, found.error_kind, found.status)

    def _stationary(self, question: Question) -> Answer:
        found, kind = self._fixed_point(), _MOMENTS[question.kind]
        # `error` is about the states: beside it the preactivations have none.
        otherwise = None if kind == "preactivation_variance" else found.error
        error = found.errors.get(kind, {}).get(question.name, otherwise)
        return _answer(getattr(found, kind)[question.name], error, self._sort, found.status)

    def _fixed_correlation(self, question: Question) -> Answer:
        found = self._correlation()
        error = found.errors.get("correlation", {}).get(question.name, found.error)
        return _answer(found.correlation[question.name], error, self._sort, found.status)

    def _autocorrelation(self, question: Question) -> Answer:
        found = self._memory(question.burn_in)
        value, error = (a[question.name][question.at] for a in (found.value, found.error))
        return _answer(value, error, found.error_kind, found.status)

    def _mean_square(self, question: Question) -> Answer:
        found = self.solver.jacobian_means(self._horizon, burn_in=question.burn_in)
        value, error = (a[question.at - 1] for a in (found.value, found.error))
        return _answer(value, error, found.error_kind, found.status)

    def _gradient_growth(self, question: Question) -> Answer:
        found = self._growth()
        return _answer(float(found), found.error, found.error_kind, found.status)

    def _timescale(self, question: Question) -> Answer:
        found = self._timescales()
        value, error = getattr(found, question.kind), found.error.get(question.kind)
        return _answer(value, error, self._sort, found.status)


def _answer(value: Any, error: Any, error_kind: str, status: Status) -> Answer:
    """A number without an error is no promise, whatever its status."""
    if error is None:
        return Answer(float(value), math.nan, error_kind, NO_ERROR if status.ok else status.name)
    return Answer(float(value), float(error), error_kind, status.name)
