"""What the theory says of one layer at its measured ensemble: phase, timescales, m_1(T).

Nothing is raised: what the theory has no answer to is None, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.diagnosis.measurement import GradientSeries
from rnnmft.errors import RnnmftError, Status
from rnnmft.records import Record

__all__ = ["LONGEST", "TheoryAnswer", "ask_theory"]

T = TypeVar("T")
# Units are followed for so many steps; further on gradients grow at their asymptotic rate.
LONGEST = 100


@dataclass(frozen=True)
class TheoryAnswer(Record):
    """The infinite-width theory of one layer, tied or untied.

    Attributes:
        tying: "tied" or "untied".
        second_moment: E[s^2] of every state; empty where there is no stationary state.
        preactivation_variance: q of every preactivation.
        growth: lim (1/T) log m_1(T), per step: 0 is critical, above chaos, below order.
        xi_q, xi_c: memory of the variance and of the difference of two inputs, in steps (tied).
        xi_resolved: whether both were measured; they are upper bounds otherwise (over at once).
        log10_mean: log10 m_1(T) at the length asked for.
        log10_error: its standard error.
        log10_means: log10 m_1 at the horizons 1, 2, .. that were followed.
        missing: why an answer is None.
    """

    tying: str
    second_moment: Mapping[str, float] = field(default_factory=dict)
    preactivation_variance: Mapping[str, float] = field(default_factory=dict)
    growth: float | None = None
    xi_q: float | None = None
    xi_c: float | None = None
    xi_resolved: bool = False
    log10_mean: float | None = None
    log10_error: float | None = None
    log10_means: tuple[float, ...] = ()
    missing: tuple[str, ...] = ()

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

    def attempt(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except RnnmftError as error:
            missing[str(error)] = None
            return None

    options = {"particles": particles, "seed": seed, "device": "cpu"}
    field = attempt(lambda: MeanField(cell, ensemble, inputs, tying, **options))  # type: ignore[arg-type]
    if field is None:
        return TheoryAnswer(tying, missing=tuple(missing))
    at = attempt(field.fixed_point)
    # The untied ones would be asked of the slope of a two-trajectory map, which is derived first.
    times = attempt(field.timescales) if tying == "tied" else None
    growth = attempt(lambda: float(field.gradient_growth()))
    mean = attempt(lambda: _mean(field, length, burn_in, growth))
    return TheoryAnswer(
        tying=tying,
        second_moment={} if at is None else at.second_moment,
        preactivation_variance={} if at is None else at.preactivation_variance,
        growth=growth,
        xi_q=None if times is None else times.xi_q,
        xi_c=None if times is None else times.xi_c,
        xi_resolved=times is not None and times.status is Status.OK,
        log10_mean=None if mean is None else mean[0],
        log10_error=None if mean is None else mean[1],
        log10_means=() if mean is None else mean[2],
        missing=tuple(missing),
    )


def _mean(
    field: MeanField, length: int, burn_in: int, growth: float | None
) -> tuple[float, float, tuple[float, ...]]:
    """log10 m_1(T), its error, and log10 m_1 at all horizons up to `LONGEST`.

    Beyond these it goes on at the asymptotic rate of growth.
    """
    horizon = min(length, LONGEST)
    found = field.jacobian_means(horizon, burn_in=burn_in)
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = np.log10(found.value)
        noise = found.error / found.value / math.log(10)
    curve = tuple(float(v) for v in log10)
    if length == horizon or not math.isfinite(curve[-1]):
        return curve[-1], float(noise[-1]), curve
    if growth is not None and math.isfinite(growth):
        beyond = (length - horizon) * growth / math.log(10)
        return curve[-1] + beyond, float(noise[-1]), curve
    return *GradientSeries(log10, noise).at(length), curve
