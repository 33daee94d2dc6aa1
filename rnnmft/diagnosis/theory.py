"""What the theory says of one layer at its measured ensemble: phase, timescales, m_1(T).

Nothing is raised: what the theory has no answer to is None, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.diagnosis.series import GradientSeries
from rnnmft.errors import ConvergenceError, OutOfTimeError, RnnmftError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import BOUND, STANDARD_ERROR, Measured, Quantity
from rnnmft.solvers.results import FixedPoint, Timescales, Trajectory

__all__ = ["TheoryAnswer", "ask_theory"]

T = TypeVar("T")
# Units are followed for so many steps, or where they see nothing but themselves, which costs no
# more than their burn-in; further on gradients grow at their asymptotic rate.
_LONGEST, _LONGEST_ALONE = 100, 1000
# And at least for so many: a growth has to be told.
_SHORTEST = 20


@dataclass(frozen=True)
class TheoryAnswer(Measured):
    """The infinite-width theory of one layer, tied or untied.

    Each number is a quantity by its name: `answer.quantity("growth")`.

    Attributes:
        tying: "tied" or "untied".
        second_moment: E[s^2] of every state, stationary (after the burn-in where units are
            sampled); empty where there is no stationary state.
        preactivation_variance: q of every preactivation.
        growth: lim (1/T) log m_1(T), per step (where units are sampled, its slope over the later
            half of the horizons): 0 is critical, above chaos, below order.
        xi_q, xi_c: memory of the variance and of the difference of two inputs, in steps; of the
            untied theory.
        log10_mean: log10 m_1(T) at the length asked for.
        log10_error: its standard error.
        log10_means: log10 m_1 at the horizons 1, 2, .. that were followed.
        missing: why an answer is None.
        cut: whether a time budget ended it.
        errors, statuses: of the numbers: {kind: one, or one by name}.
        error_kind: "bound", or "standard error" where units are sampled.
        status: of all numbers together.
    """

    kinds: ClassVar[Mapping[str, str]] = {
        "second_moment": "dimensionless",
        "preactivation_variance": "dimensionless",
        "growth": "per step",
        "chi_1": "dimensionless",
        "xi_q": "steps",
        "xi_c": "steps",
        "log10_mean": "dimensionless",
    }

    tying: str
    second_moment: Mapping[str, float] = field(default_factory=dict)
    preactivation_variance: Mapping[str, float] = field(default_factory=dict)
    growth: float | None = None
    xi_q: float | None = None
    xi_c: float | None = None
    log10_mean: float | None = None
    log10_error: float | None = None
    log10_means: tuple[float, ...] = ()
    missing: tuple[str, ...] = ()
    cut: bool = False
    errors: Mapping[str, Any] = field(default_factory=dict)
    statuses: Mapping[str, Any] = field(default_factory=dict)
    error_kind: str = BOUND
    status: Status = Status.OK

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of a number; infinite where it is not known."""
        if kind == "log10_mean":
            return self.log10_error
        if kind == "chi_1":
            return (self.chi_1 or 0.0) * self.error_of("growth", None)
        found = self.errors.get(kind, math.inf)
        return found.get(name, math.inf) if isinstance(found, Mapping) else found

    @property
    def chi_1(self) -> float | None:
        """exp(growth)."""
        return None if self.growth is None else math.exp(self.growth)

    def to_dict(self) -> dict[str, Any]:
        """Every field and chi_1, JSON-safe."""
        return {**super().to_dict(), "chi_1": self.chi_1}


def ask_theory(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    tying: str,
    length: int,
    burn_in: int,
    particles: int,
    seed: int,
) -> TheoryAnswer:
    """Every answer that there is."""
    missing: dict[str, None] = {}
    cut = False

    def known(ask: Callable[[], T]) -> T | None:
        nonlocal cut
        try:
            return ask()
        except RnnmftError as error:
            cut = cut or isinstance(error, OutOfTimeError)
            missing[str(error)] = None
            return None

    options = {"particles": particles, "seed": seed, "device": "cpu"}
    field = known(lambda: MeanField(cell, ensemble, inputs, tying, **options))  # type: ignore[arg-type]
    if field is None:
        return TheoryAnswer(tying, missing=tuple(missing), cut=cut)
    sampled = field.is_sampled
    at = known(lambda: _reached(field, burn_in) if sampled else _stationary(field.fixed_point()))
    if at is None:
        return TheoryAnswer(tying, missing=tuple(missing), cut=cut)
    # The tied ones would follow units until they settle, which takes as long as they remember.
    times = known(field.timescales) if tying == "untied" and not sampled else None
    series = known(lambda: _series(field, max(length, _SHORTEST), burn_in))
    growth = None if sampled else known(field.gradient_growth)
    if growth is None and series is not None:
        growth = _slope(series[0], series[1])
    rate = None if growth is None else float(growth)
    # Where units are sampled the series itself knows how it goes on, and may bend.
    on = None if sampled else rate
    mean, error = (None, None) if series is None else _at(series[0], length, on)
    errors, statuses = _qualities(at, growth, times, series)
    return TheoryAnswer(
        tying=tying,
        second_moment=at.second_moment,
        preactivation_variance=at.preactivation_variance,
        growth=rate,
        xi_q=_known(times, "xi_q"),
        xi_c=_known(times, "xi_c"),
        log10_mean=mean,
        log10_error=error,
        log10_means=() if series is None else tuple(map(float, series[0].log10[:length])),
        missing=tuple(missing),
        cut=cut,
        errors=errors,
        statuses=statuses,
        error_kind=STANDARD_ERROR if sampled else BOUND,
        status=Status.worst(*statuses.values()),
    )


def _qualities(
    at: _Reached,
    growth: Quantity | None,
    times: Timescales | None,
    series: tuple[GradientSeries, Status] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Errors and statuses of all that was found."""
    errors: dict[str, Any] = dict(at.errors)
    statuses: dict[str, Any] = dict.fromkeys(("second_moment", "preactivation_variance"), at.status)
    if series is not None:
        statuses["log10_mean"] = series[1]
    if growth is not None:
        errors["growth"] = float(growth.error)
        statuses["growth"] = statuses["chi_1"] = growth.status
    if times is not None:
        errors |= times.error
        statuses |= {k: times.quantity(k).status for k in ("xi_q", "xi_c")}
    return errors, statuses


def _slope(series: GradientSeries, status: Status) -> Quantity:
    """The growth that a series shows in its later half, in natural logarithms."""
    value, error = series.slope * math.log(10), series.slope_error * math.log(10)
    return Quantity("growth", value, error, status, "per step", STANDARD_ERROR)


def _known(times: Timescales | None, name: str) -> float | None:
    """A timescale, where there is one: a zero state has no correlation to forget."""
    value = math.nan if times is None else getattr(times, name)
    return None if math.isnan(value) else value


@dataclass(frozen=True)
class _Reached:
    """Moments after the burn-in."""

    second_moment: Mapping[str, float]
    preactivation_variance: Mapping[str, float]
    errors: Mapping[str, Mapping[str, float]]
    status: Status


def _stationary(point: FixedPoint) -> _Reached:
    """A fixed point's."""
    second, variance = point.second_moment, point.preactivation_variance
    return _Reached(second, variance, point.errors, point.status)


def _reached(field: MeanField, burn_in: int) -> _Reached:
    """Where sampled units are when their Jacobian starts.

    Raises:
        ConvergenceError: their moments are infinite already.
    """
    run = field.evolve(max(burn_in, 1))
    if run.status is Status.DIVERGES:
        raise ConvergenceError(run.status)
    names = ("second_moment", "preactivation_variance")
    second, variance = ({n: float(v[-1]) for n, v in getattr(run, k).items()} for k in names)
    errors = {k: {n: float(v[-1]) for n, v in run.error[k].items()} for k in names}
    return _Reached(second, variance, errors, _of_moments(run))


def _of_moments(run: Trajectory) -> Status:
    """The status of its moments: what a correlation is does not matter here."""
    return run.statuses.get("second_moment", run.status)


def _series(field: MeanField, length: int, burn_in: int) -> tuple[GradientSeries, Status]:
    """log10 m_1 at the horizons up to a length, or as far as units are followed, and its status."""
    alone = field.is_sampled and not any(p.is_recurrent for p in field.cell.preactivations)
    longest = _LONGEST_ALONE if alone else _LONGEST
    found = field.jacobian_means(min(length, longest), burn_in=burn_in)
    # m_1 = 0 has the logarithm -inf, and no error.
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = found.error / found.value / math.log(10)
        if found.status is Status.NOT_CONVERGED and field.is_sampled:
            # Few of the units carry the mean, and there may be fewer that carry more.
            noise = np.where(found.value > 0, math.inf, noise)
        return GradientSeries(np.log10(found.value), noise), found.status


def _at(series: GradientSeries, length: int, growth: float | None) -> tuple[float, float]:
    """log10 m_1(T) and its error; beyond the series at the asymptotic rate of growth."""
    known = len(series.log10)
    if length <= known or growth is None or not math.isfinite(growth):
        return series.at(length)
    value, error = series.at(known)
    return value + (length - known) * growth / math.log(10), max(error, series.at(length)[1])
