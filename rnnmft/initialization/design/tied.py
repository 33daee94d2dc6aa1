"""The tied answer: growth rate 0 with one set of weights, from the untied answer.

With tied weights nothing is linear: one sigma_w is moved until the gradient's growth, measured on
sampled units (or by the two-time kernel), is 0. The same random numbers serve every evaluation, so
that the growth is a smooth function of sigma_w and a secant finds its root.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import InfeasibleError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

__all__ = ["FIRST", "LAST", "TiedAnswer", "TiedGrowth", "solve_tied"]

# Growth is read between these horizons, or up to that of the request.
FIRST, LAST = 10, 40

# A first search with few units; then the wanted number from where it ended.
_FEW = 1 << 13
# Steps of log sigma_w, the first and those of Newton's method: growth is nearly straight over 10 %.
_FIRST_STEP, _LARGEST_STEP = 0.1, 0.1
# exp of this is the largest change of sigma_w.
_FARTHEST = 4.0
# Steps of either search: the bracket's double, and reach e^4 in six.
_MOST_TRIES = 10


@dataclass(frozen=True)
class TiedAnswer:
    """A tied-critical ensemble.

    Attributes:
        name: the preactivation whose sigma_w was moved; None where all are fixed.
        growth: of tied gradients there, per step.
        growth_before: of tied gradients at the untied answer.
    """

    ensemble: Ensemble
    name: str | None
    growth: Quantity
    growth_before: Quantity

    @property
    def sigma_w(self) -> float:
        """The solved standard deviation; nan where none was."""
        return math.nan if self.name is None else self.ensemble[self.name].sigma_w


@dataclass(frozen=True)
class TiedGrowth:
    """How tied growth is measured: the slope of log m_1(T) between T = 10 and the last horizon.

    The Jacobian starts after `burn_in` steps, where the forward process has become stationary as
    far as these go; its first ten steps are left out because m_1 starts with a transient.
    """

    cell: Cell
    inputs: Inputs
    sampling: Sampling
    burn_in: int
    last: int = LAST

    def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
        """The growth per step, with an upper bound of its standard error."""
        sampling = self.sampling
        field = MeanField(
            self.cell,
            ensemble,
            self.inputs,
            "tied",
            particles=units,
            repetitions=sampling.repetitions,
            seed=sampling.seed,
            device=sampling.device,
        )
        found = field.jacobian_means(self.last, burn_in=self.burn_in)
        logs = np.log(np.asarray(found.value)[[FIRST - 1, self.last - 1]])
        errors = (np.asarray(found.error) / np.asarray(found.value))[[FIRST - 1, self.last - 1]]
        value, error = np.diff(logs)[0], np.hypot(*errors)
        steps = self.last - FIRST
        return Quantity(
            f"gradient growth from {FIRST} to {self.last} steps (tied)",
            float(value / steps),
            float(error / steps),
            found.status,
            unit="per step",
            error_kind=found.error_kind,
        )


def solve_tied(
    growth: TiedGrowth, ensemble: Ensemble, name: str | None, tolerance: float
) -> TiedAnswer:
    """Move sigma_w of one preactivation until tied gradients neither grow nor decay.

    Args:
        growth: measures it.
        ensemble: the untied answer.
        name: of the preactivation; None where every sigma_w is fixed.
        tolerance: how near to 0 the measured growth shall be, per step.

    Raises:
        InfeasibleError: no sigma_w near the untied one does.
    """
    units = growth.sampling.units
    untied = growth(ensemble, units)
    if abs(float(untied)) <= tolerance:
        return TiedAnswer(ensemble, name, untied, untied)
    if name is None:
        raise InfeasibleError(
            "every sigma_w is fixed: nothing is left to make tied growth 0, and it is "
            f"{float(untied):.3g} per step",
            "growth = 0",
        )

    def moved(log_scale: float) -> Ensemble:
        law = replace(ensemble[name], sigma_w=ensemble[name].sigma_w * math.exp(log_scale))
        return Ensemble({**ensemble.laws, name: law}, ensemble.parameters)

    def with_units(units: int) -> Callable[[float], float]:
        return lambda log_scale: float(growth(moved(log_scale), units))

    at, slope = _root(with_units(min(_FEW, units)), tolerance, name)
    at = _polished(with_units(units), at, slope, tolerance, name)
    return TiedAnswer(moved(at), name, growth(moved(at), units), untied)


def _root(growth: Callable[[float], float], tolerance: float, name: str) -> tuple[float, float]:
    """Where growth is 0, and its slope there: a bracket by doubled steps, then regula falsi.

    Growth rises with the weights; a step halves the remembered value of an end that does not move
    (the Illinois rule).
    """
    value = growth(0.0)
    direction = -1.0 if value > 0 else 1.0
    low, f_low, high, f_high, step = 0.0, value, 0.0, value, _FIRST_STEP
    while f_low * f_high > 0:
        low, f_low = high, f_high
        high += direction * step
        if abs(high) > _FARTHEST:
            raise InfeasibleError(
                f"growth 0 is not met between {math.exp(-_FARTHEST):.2g} and "
                f"{math.exp(_FARTHEST):.2g} times the untied sigma_w of {name!r} (last "
                f"{f_low:.3g} per step)",
                "growth = 0",
            )
        f_high, step = growth(high), 2.0 * step
    at, slope = high, (f_high - f_low) / (high - low)
    for _ in range(_MOST_TRIES):
        at = (low * f_high - high * f_low) / (f_high - f_low)
        value = growth(at)
        if abs(value) <= tolerance:
            break
        if value * f_high < 0:
            low, f_low = high, f_high
        else:
            f_low /= 2.0
        slope = (value - f_high) / (at - high) if at != high else slope
        high, f_high = at, value
    return at, abs(slope)


def _polished(
    growth: Callable[[float], float], at: float, slope: float, tolerance: float, name: str
) -> float:
    """A few Newton steps with the slope that fewer units gave."""
    value = math.nan
    for _ in range(_MOST_TRIES):
        value = growth(at)
        if abs(value) <= tolerance:
            return at
        at -= max(-_LARGEST_STEP, min(_LARGEST_STEP, value / slope))
    raise InfeasibleError(
        f"growth 0 was not met by moving sigma_w of {name!r} (last {value:.3g} per step at "
        f"{math.exp(at):.4g} times the untied value)",
        "growth = 0",
    )
