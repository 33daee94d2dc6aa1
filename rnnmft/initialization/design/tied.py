"""The tied answer: growth rate 0 with one set of weights, from the untied answer.

With tied weights nothing is linear: one sigma_w is moved until the growth rate of gradients,
lim (1/T) log m_1(T), is 0. Where no units are sampled it is the limit itself. Where they are, one
run of some tens of steps leaves the limit a bracket, whose ends change their formulas with what the
run shows: its middle may jump as sigma_w moves, and lies too high where fluctuating slopes hold the
kernel and the run cannot tell. What is solved for is the slope of log m_1(T) between two horizons.
The same random numbers serve every evaluation, so that it is a smooth function of sigma_w and a
secant finds its root; how far the limit may be from it is in its error. A limit to .001 has a
price: at the untied answer of the GRU (horizon 20, 2^14 units) the slope is .0100 +- .0201 after
3.4 s of CPU and the limit .0053 +- .0013 after 133 s, and a search asks some eight times.

Eq. (tied-critical).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.burn_in import stationary_after
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

__all__ = ["TiedAnswer", "TiedGrowth", "root_of_growth", "solve_tied"]

# Growth is read up to 40 steps, or to the horizon of the request, but not beyond 100: with the
# steps the number of units falls that decide m_1(T). The slope leaves out what m_1 begins with.
_FIRST, _LAST, _FARTHEST_LAST = 10, 40, 100
# Units times steps times directions seen of one evaluation, some ten seconds on one core: longer
# runs have fewer units than were asked for, and the noise of that is in their errors.
_WORK = 5e9

# A first search with few units, to several tolerances, for many units differ from few by as much;
# then the wanted number from where it ended.
_FEW, _COARSE = 1 << 13, 4.0
# Steps of log sigma_w, the first and those of Newton's method: growth is nearly straight over 10 %.
_FIRST_STEP, _LARGEST_STEP = 0.1, 0.1
# Beyond what a line through the last two values asks for, to have the root between two; and how
# many times longer than the last a step may be for that.
_OVER, _STRETCH = 1.1, 8.0
# exp of this is the largest change of sigma_w.
_FARTHEST = 4.0
# Steps of either search: the bracket's double, and reach e^4 in six.
_MOST_TRIES = 10


@dataclass(frozen=True)
class TiedAnswer:
    """A tied-critical ensemble.

    Attributes:
        factor: of every sigma_w that was moved.
        growth: of tied gradients there, per step.
        growth_before: of tied gradients at the untied answer.
    """

    ensemble: Ensemble
    factor: float
    growth: Quantity
    growth_before: Quantity


@dataclass(frozen=True)
class TiedGrowth:
    """How tied growth is measured: the limit, or by units the slope of log m_1(T) from T = 10 on.

    A run has `burn_in` + `last` steps. The slope of a linear cell is log(4) / 60 = .023 a step
    below the limit, for m_1 ~ T^(-1/2) exp(g T). The error is the noise, together with the distance
    to the limit that the same run brackets and the error of that.

    Args:
        horizon: T of the request: it says how long a run is.
    """

    cell: Cell
    inputs: Inputs
    sampling: Sampling
    horizon: float

    @property
    def burn_in(self) -> int:
        """Steps before the Jacobian starts: the forward process is stationary then."""
        return stationary_after(self.horizon)

    @property
    def last(self) -> int:
        """The last horizon: 40, or that of the request up to 100."""
        return int(min(max(_LAST, self.horizon), _FARTHEST_LAST))

    def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
        """The growth per step, with an error that holds the limit."""
        field = self._field(ensemble, units)
        limit = field.gradient_growth(horizon=self.last, burn_in=self.burn_in)
        if limit.error_kind == "bound":
            return limit
        means = field.jacobian_means(self.last, burn_in=self.burn_in)
        logs = np.log(np.asarray(means.value)[[_FIRST - 1, self.last - 1]])
        errors = (np.asarray(means.error) / np.asarray(means.value))[[_FIRST - 1, self.last - 1]]
        steps = self.last - _FIRST
        value, noise = float(np.diff(logs)[0]) / steps, float(np.hypot(*errors)) / steps
        beyond = abs(float(limit) - value) + float(limit.error)
        return Quantity(
            f"gradient growth from {_FIRST} to {self.last} steps (tied)",
            value,
            math.hypot(noise, beyond),
            means.status,
            unit="per step",
            error_kind="standard error",
        )

    def _field(self, ensemble: Ensemble, units: int) -> MeanField:
        """The tied theory with so many units, or what the work of a long run allows of them."""
        sampling = replace(self.sampling, units=units, work=_WORK)
        sampling = sampling.for_steps(self.burn_in + self.last)
        return MeanField(
            self.cell,
            ensemble,
            self.inputs,
            "tied",
            particles=sampling.units,
            repetitions=sampling.repetitions,
            seed=sampling.seed,
            device=sampling.device,
        )


def solve_tied(
    growth: TiedGrowth, ensemble: Ensemble, names: Sequence[str], tolerance: float
) -> TiedAnswer:
    """Move sigma_w of some preactivations alike until tied gradients neither grow nor decay.

    Eq. (tied-critical).

    Args:
        growth: measures it.
        ensemble: the untied answer.
        names: of the preactivations; none where every sigma_w is fixed.
        tolerance: how near to 0 the measured growth shall be, per step.

    Raises:
        InfeasibleError: no sigma_w near the untied one does.
    """

    def moved(log_scale: float) -> Ensemble:
        scale = math.exp(log_scale)
        laws = {n: replace(ensemble[n], sigma_w=ensemble[n].sigma_w * scale) for n in names}
        return Ensemble({**ensemble.laws, **laws}, ensemble.parameters)

    @cache
    def measured(log_scale: float, units: int) -> Quantity:
        return growth(moved(log_scale), units)

    units = growth.sampling.units
    few = min(_FEW, units)
    untied = measured(0.0, few)
    if abs(float(untied)) <= tolerance:
        untied = measured(0.0, units)
    if abs(float(untied)) <= tolerance:
        return TiedAnswer(ensemble, 1.0, untied, untied)
    if not names:
        raise InfeasibleError(
            "every sigma_w is fixed: nothing is left to make tied growth 0, and it is "
            f"{float(untied):.3g} per step",
            "growth = 0",
        )

    what = f"the untied sigma_w of {', '.join(map(repr, names))}"
    near, slope = _root(lambda v: float(measured(v, few)), _COARSE * tolerance, what, _FIRST_STEP)
    # From there one Newton step with the slope that fewer units gave, which mostly is enough.
    left = abs(float(measured(near, units)))
    newton = min(left / slope, _LARGEST_STEP) if slope > 0.0 else _FIRST_STEP
    at, _ = _root(lambda v: float(measured(v, units)), tolerance, what, newton, near)
    found = measured(at, units)
    if abs(float(found)) > tolerance:
        raise InfeasibleError(
            f"growth jumps across 0 where {what} is moved (last {float(found):.3g} per step at "
            f"{math.exp(at):.4g} times)",
            "growth = 0",
        )
    return TiedAnswer(moved(at), math.exp(at), found, untied)


def root_of_growth(
    growth: Callable[[float], float], tolerance: float, what: str, first: float
) -> float:
    """The logarithm of the factor of `what` at which growth is 0, to a tolerance.

    Raises:
        InfeasibleError: there is none between e^-4 and e^4.
    """
    return _root(growth, tolerance, what, first)[0]


def _root(
    growth: Callable[[float], float], tolerance: float, what: str, first: float, start: float = 0.0
) -> tuple[float, float]:
    """Where growth is 0, and its slope there: a bracket by growing steps, then regula falsi.

    Growth rises with the weights, nearly in a line: a step goes to where the line through the last
    two values is 0 and a little farther, or is doubled where that is far. A step halves the
    remembered value of an end that does not move (the Illinois rule).
    """
    value = growth(start)
    if abs(value) <= tolerance:
        return start, 0.0
    direction = -1.0 if value > 0 else 1.0
    low, f_low, high, f_high, step = start, value, start, value, first
    while f_low * f_high > 0:
        low, f_low = high, f_high
        high = max(-_FARTHEST, min(_FARTHEST, high + direction * step))
        if high == low:
            raise InfeasibleError(
                f"growth 0 is not met between {math.exp(-_FARTHEST):.2g} and "
                f"{math.exp(_FARTHEST):.2g} times {what} (last {f_low:.3g} per step)",
                "growth = 0",
            )
        f_high = growth(high)
        if abs(f_high) <= tolerance:
            return high, abs((f_high - f_low) / (high - low))
        rise = abs(f_low) - abs(f_high)
        asked = _OVER * step * abs(f_high) / rise if rise > 0.0 else math.inf
        near = abs(high) + asked <= _FARTHEST and asked <= _STRETCH * step
        step = asked if near else 2.0 * step
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
